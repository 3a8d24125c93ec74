/**
 * Judges rollouts: three answers, not two. `ok`, `waiting` with a named cause and a budget, `doomed` with a cause.
 *
 * Pure and total: what is in the cluster, what was seen before (`seen`: since when each waiting cause holds) and
 * `now` go in, the verdict and the next `seen` come out. Budgets are counted on our clock from when we first saw
 * a cause, not from the cluster's timestamps, so that clocks that disagree cannot fail a release.
 *
 * Only pods of the new revision count; generations before it never colour the verdict. A pod that was evicted,
 * preempted or lost with its node never fails a release. The rules stand in this folder, each file one idea;
 * `rules.ts` asks them.
 */
import type { Progress } from "../events.ts";
import { judgeWorkload } from "./judge-workload.ts";
import type { Judgement, Memory, Seen } from "./judgement.ts";
import { missing, rememberThere } from "./missing.ts";
import { addProgress, NO_PROGRESS } from "./progress.ts";
import { findWorkload, isOlder, leavingMs, type RolloutSnapshot } from "./snapshot.ts";
import type { ExpectedWorkload } from "./workload.ts";

export interface Judged {
  readonly judgement: Judgement;
  readonly progress: Progress;
  readonly seen: Seen;
}

/** All workloads of one cluster together: doomed if one is, ok when all are. */
export function judge(snapshot: RolloutSnapshot, seen: Seen, now: number): Judged {
  const nextSeen = new Map<string, number>();
  const memory: Memory = { seen, nextSeen, now };
  const leaving = leavingMs(snapshot.pods);
  const judgements = snapshot.expected.map((expected) => {
    const around = { ...snapshot, generation: expected.generation, leavingMs: leaving };
    const workload = findWorkload(snapshot, expected);
    if (workload === undefined || isOlder(workload, expected))
      return missing(snapshot, expected, memory, workload !== undefined);
    rememberThere(expected, memory);
    return judgeWorkload(snapshot, { workload, expected, around }, memory);
  });
  const progress: Progress = {
    ...judgements.map((one) => one.progress).reduce(addProgress, NO_PROGRESS),
    workloads: judgements.map(({ judgement, progress: own }, index) => ({
      ...nameOf(snapshot.expected[index] as ExpectedWorkload),
      ...own,
      ...(judgement.verdict === "waiting"
        ? { waitingFor: judgement.causes, budgetEndsAt: judgement.budgetEndsAt }
        : {}),
    })),
  };
  const doomed = judgements.find((one) => one.judgement.verdict === "doomed");
  if (doomed !== undefined) return { judgement: doomed.judgement, progress, seen: nextSeen };
  const waiting = judgements.flatMap((one) => (one.judgement.verdict === "waiting" ? [one.judgement] : []));
  if (waiting.length > 0) {
    const causes = waiting.flatMap((one) => one.causes);
    const ends = waiting.flatMap((one) => (one.budgetEndsAt === undefined ? [] : [one.budgetEndsAt]));
    return {
      judgement: {
        verdict: "waiting",
        causes,
        budgetEndsAt: ends.length === 0 ? undefined : Math.min(...ends),
      },
      progress: { ...progress, waitingFor: causes },
      seen: nextSeen,
    };
  }
  const ok = judgements.flatMap(({ judgement }) => (judgement.verdict === "ok" ? [judgement] : []));
  const drains = ok.flatMap(({ drainsUntil }) => drainsUntil ?? []);
  return {
    judgement: {
      verdict: "ok",
      notes: ok.flatMap(({ notes }) => notes),
      ...(drains.length === 0 ? {} : { drainsUntil: Math.max(...drains) }),
    },
    progress,
    seen: nextSeen,
  };
}

function nameOf({
  kind,
  namespace,
  name,
}: ExpectedWorkload): Pick<ExpectedWorkload, "kind" | "namespace" | "name"> {
  return { kind, namespace, name };
}
