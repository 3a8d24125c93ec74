/**
 * One workload: each finding has a budget from when it was first seen; those whose budget is over may doom it, and
 * so does the deadline that the controller itself keeps.
 */
import type { Pod } from "@slipway/kube";
import type { Progress } from "../events.ts";
import { type Cause, type CauseCode, type CauseObject, makeCause } from "./causes.ts";
import type { Finding } from "./finding.ts";
import { unprovenGates } from "./gates.ts";
import { type Judgement, type Memory, since } from "./judgement.ts";
import { drainsUntilOf, stillTerminating } from "./old-pods.ts";
import { progressOf } from "./progress.ts";
import { leavesNoWay } from "./quorum.ts";
import { findingsOf, type Subject } from "./rules.ts";
import { type RolloutSnapshot, viewOf } from "./snapshot.ts";
import { placeOf, type WorkloadView } from "./workload.ts";

export interface JudgedWorkload {
  readonly judgement: Judgement;
  readonly progress: Progress;
}

interface Timed {
  readonly finding: Finding;
  readonly cause: Cause;
  readonly start: number;
  readonly endsAt: number | undefined;
}

export function judgeWorkload(snapshot: RolloutSnapshot, subject: Subject, memory: Memory): JudgedWorkload {
  const { workload, expected } = subject;
  const view = viewOf(workload, subject.around, snapshot.oldPods ?? "wait");
  const progress = progressOf(view);
  const place: CauseObject = { ...placeOf(expected), ...view.place };
  const timed = findingsOf(snapshot, subject, view, memory).map((finding): Timed => {
    const start = since(memory, `${workload.metadata.uid}/${finding.key}`);
    const object = { ...place, ...finding.object };
    return {
      finding,
      cause: makeCause(finding.code, { ...snapshot, object, why: finding.why }),
      start,
      endsAt: finding.budgetMs === undefined ? undefined : start + finding.budgetMs,
    };
  });
  const over = timed.filter(({ endsAt }) => endsAt !== undefined && memory.now >= endsAt);
  const doomed = doomedBy(over, view);
  if (doomed !== undefined) {
    return { judgement: { verdict: "doomed", cause: doomed.cause, pod: doomed.finding.pod }, progress };
  }
  if (view.deadlineSeconds !== undefined && !view.isComplete) {
    const past = pastDeadline(snapshot, { place, holding: timed, seconds: view.deadlineSeconds });
    return { judgement: past, progress };
  }
  if (timed.length === 0) {
    const notes = [...view.notes, ...unprovenGates(view.newPods)];
    if (view.oldPods.length > 0 && snapshot.oldPods === "report") notes.push(stillTerminating(view.oldPods));
    const drainsUntil = drainsUntilOf(workload, view.oldPods, memory);
    return {
      judgement: { verdict: "ok", notes, ...(drainsUntil === undefined ? {} : { drainsUntil }) },
      progress,
    };
  }
  const ends = timed.flatMap(({ endsAt }) => (endsAt === undefined || endsAt <= memory.now ? [] : [endsAt]));
  return {
    judgement: {
      verdict: "waiting",
      causes: mostTelling(timed.map(({ cause }) => cause)),
      budgetEndsAt: ends.length === 0 ? undefined : Math.min(...ends),
    },
    progress,
  };
}

/** What is about the whole workload dooms it; what is about pods does when they leave it no way to go on. */
function doomedBy(over: readonly Timed[], view: WorkloadView): Timed | undefined {
  const general = over.find(({ finding }) => finding.pod === undefined || finding.code === "JobFailed");
  if (general !== undefined) return general;
  const pods = new Set(over.map(({ finding }) => finding.pod as Pod));
  if (pods.size === 0 || !leavesNoWay(pods, view)) return undefined;
  // What began first is likelier the reason for the others.
  return over.reduce((first, one) => (one.start < first.start ? one : first));
}

/** The deadline alone is never the report: what was waited for last is. */
function pastDeadline(
  snapshot: RolloutSnapshot,
  past: { readonly place: CauseObject; readonly holding: readonly Timed[]; readonly seconds: number },
): Judgement {
  const { holding, place, seconds } = past;
  const generic: ReadonlySet<CauseCode> = new Set(["RolloutPending", "ContainerStarting", "MinReadySeconds"]);
  // An init container that never ends is a reason, with its name; that something has not started yet is none.
  const telling = holding.find(
    ({ cause, finding }) => !generic.has(cause.code) || finding.key.endsWith("/init-runs"),
  );
  if (telling !== undefined) {
    const why = `${telling.cause.why}; nothing moved for ${seconds} s`;
    return { verdict: "doomed", cause: { ...telling.cause, why }, pod: telling.finding.pod };
  }
  const last = holding[0];
  const cause = makeCause("ProgressDeadlineExceeded", {
    cluster: snapshot.cluster,
    kubectl: snapshot.kubectl,
    object: last?.cause.object ?? place,
    why: `nothing moved for ${seconds} s; last seen: ${last?.cause.why ?? "no pod of the new revision"}`,
  });
  return { verdict: "doomed", cause, pod: last?.finding.pod };
}

/** One cause per code, so that ten starting pods are one line. */
function mostTelling(causes: readonly Cause[]): readonly Cause[] {
  const byCode = new Map<CauseCode, Cause>();
  for (const cause of causes) if (!byCode.has(cause.code)) byCode.set(cause.code, cause);
  return [...byCode.values()];
}
