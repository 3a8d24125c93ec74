/**
 * Judges rollouts: three answers, not two. `ok`, `waiting` with a named cause and a budget, `doomed` with a cause.
 *
 * Pure and total: what is in the cluster, what was seen before (`seen`: since when each waiting cause holds) and
 * `now` go in, the verdict and the next `seen` come out. Budgets are counted on our clock from when we first saw
 * a cause, not from the cluster's timestamps, so that clocks that disagree cannot fail a release.
 *
 * Only pods of the new revision count; generations before it never colour the verdict. A pod that was evicted,
 * preempted or lost with its node never fails a release. The rules stand in `judge/`, each file one idea.
 */
import { assertNever } from "@slipway/base";
import type { Deployment, Event, Pod, ReplicaSet } from "@slipway/kube";
import type { Progress } from "../events.ts";
import { type Cause, type CauseCode, type CauseObject, makeCause } from "./causes.ts";
import { contested } from "./contest.ts";
import { viewDaemonSet } from "./daemon-set.ts";
import { viewDeployment } from "./deployment.ts";
import type { Finding } from "./finding.ts";
import { unprovenGates } from "./gates.ts";
import { viewJob } from "./job.ts";
import { takenAway } from "./nodes.ts";
import { examinePod } from "./pod.ts";
import { leavesNoWay } from "./quorum.ts";
import { viewStatefulSet } from "./stateful-set.ts";
import type {
  DaemonSet,
  ExpectedWorkload,
  Job,
  StatefulSet,
  Workload,
  WorkloadSurroundings,
  WorkloadView,
} from "./workload.ts";

export interface RolloutSnapshot {
  readonly cluster: string;
  /** How a command names this cluster, like `kubectl --context tokyo`. */
  readonly kubectl: string;
  /** What was applied and is waited for. */
  readonly expected: readonly ExpectedWorkload[];
  /** Everything below is of the namespaces of the workloads; what belongs to others is ignored. */
  readonly deployments: readonly Deployment[];
  readonly statefulSets?: readonly StatefulSet[];
  readonly daemonSets?: readonly DaemonSet[];
  readonly jobs?: readonly Job[];
  readonly replicaSets: readonly ReplicaSet[];
  readonly pods: readonly Pod[];
  /** Oldest first, by the cluster's own clock. */
  readonly events: readonly Event[];
  /** Terminations by pod uid and container that had happened before this release; see `terminationsOf`. */
  readonly baseline: ReadonlyMap<string, number>;
  /** What the registry said about an image after a node could not find it. */
  readonly images: ReadonlyMap<string, "exists" | "missing" | "unknown">;
  /** Logs of dead containers by pod uid and container, as far as they were read. */
  readonly logs?: ReadonlyMap<string, string> | undefined;
  /**
   * `wait` (default): ok when no old pod is wanted any more, as `kubectl rollout status` has it, and none is kept by a
   * finalizer; those in their grace period drain while the release bakes. `report`: ok as soon as the new ones are
   * available, old ones are in the notes; for a rollback, where seconds count.
   */
  readonly oldPods?: "wait" | "report" | undefined;
}

/** Since when (our clock, ms) each waiting cause holds, and what contests of replicas are remembered by. */
export type Seen = ReadonlyMap<string, number>;

export type Judgement =
  | {
      readonly verdict: "ok";
      readonly notes: readonly string[];
      /** Set while old pods are in their grace period: when (our clock, ms) that has been long enough for any of them. */
      readonly drainsUntil?: number;
    }
  /** `budgetEndsAt` is when it becomes `doomed`; undefined when only the progress deadline ends it. */
  | {
      readonly verdict: "waiting";
      readonly causes: readonly Cause[];
      readonly budgetEndsAt: number | undefined;
    }
  | { readonly verdict: "doomed"; readonly cause: Cause; readonly pod: Pod | undefined };

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
    return workload === undefined || isOlder(workload, expected)
      ? notSeen(snapshot, expected, memory)
      : judgeWorkload(snapshot, { workload, expected, around }, memory);
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

interface Memory {
  readonly seen: Seen;
  readonly nextSeen: Map<string, number>;
  readonly now: number;
}

/** Records that `key` holds and says since when. */
function since(memory: Memory, key: string): number {
  const first = memory.seen.get(key) ?? memory.now;
  memory.nextSeen.set(key, first);
  return first;
}

function findWorkload(snapshot: RolloutSnapshot, expected: ExpectedWorkload): Workload | undefined {
  const all: readonly Workload[] = [
    ...snapshot.deployments,
    ...(snapshot.statefulSets ?? []),
    ...(snapshot.daemonSets ?? []),
    ...(snapshot.jobs ?? []),
  ];
  return all.find(
    ({ kind, metadata }) =>
      kind === expected.kind &&
      metadata.name === expected.name &&
      (metadata.namespace ?? "default") === expected.namespace,
  );
}

/** Jobs of Kubernetes 1.20 have no generation: what has none was never older. */
function isOlder({ metadata }: Workload, expected: ExpectedWorkload): boolean {
  return metadata.generation !== undefined && metadata.generation < expected.generation;
}

/** Pods that go make room and give back quota; a grace period bounds how long that may take. */
function leavingMs(pods: readonly Pod[]): number {
  return Math.max(
    0,
    ...pods
      .filter(
        ({ metadata, status }) => metadata.deletionTimestamp !== undefined && status?.phase !== "Failed",
      )
      .map(
        (pod) =>
          (pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30) * 1000,
      ),
  );
}

interface JudgedWorkload {
  readonly judgement: Judgement;
  readonly progress: Progress;
}

function placeOf({ kind, namespace, name }: ExpectedWorkload): CauseObject {
  return kind === "Deployment" ? { namespace, deployment: name } : { namespace, kind, name };
}

function notSeen(snapshot: RolloutSnapshot, expected: ExpectedWorkload, memory: Memory): JudgedWorkload {
  const cause = makeCause("RolloutNotObserved", {
    cluster: snapshot.cluster,
    kubectl: snapshot.kubectl,
    object: placeOf(expected),
    why: `the applied ${expected.kind} has not been seen in the cluster`,
  });
  const key = `${expected.kind}/${expected.namespace}/${expected.name}/not-seen`;
  const budgetEndsAt = since(memory, key) + 60_000;
  return {
    judgement:
      memory.now >= budgetEndsAt
        ? { verdict: "doomed", cause, pod: undefined }
        : { verdict: "waiting", causes: [cause], budgetEndsAt },
    progress: NO_PROGRESS,
  };
}

interface Subject {
  readonly workload: Workload;
  readonly expected: ExpectedWorkload;
  readonly around: WorkloadSurroundings;
}

interface Timed {
  readonly finding: Finding;
  readonly cause: Cause;
  readonly start: number;
  readonly endsAt: number | undefined;
}

function judgeWorkload(snapshot: RolloutSnapshot, subject: Subject, memory: Memory): JudgedWorkload {
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
    if (view.oldPods.length > 0 && snapshot.oldPods === "report") notes.push(terminating(view.oldPods));
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

/** Which of its pods are new, which old, and what its kind says about being done. */
export function viewOf(
  workload: Workload,
  around: WorkloadSurroundings,
  oldPods: "wait" | "report",
): WorkloadView {
  switch (workload.kind) {
    case "Deployment":
      return viewDeployment(workload, around, oldPods);
    case "StatefulSet":
      return viewStatefulSet(workload, around);
    case "DaemonSet":
      return viewDaemonSet(workload, around);
    case "Job":
      return viewJob(workload, around);
    default:
      return assertNever(workload);
  }
}

/** What keeps this workload from being done, most general first; empty when nothing does. */
function findingsOf(
  snapshot: RolloutSnapshot,
  { workload, expected, around }: Subject,
  view: WorkloadView,
  memory: Memory,
): readonly Finding[] {
  const { uid } = workload.metadata;
  if (workload.metadata.deletionTimestamp !== undefined) return [terminatingWorkload(workload)];
  const contest = contested(view.wanted, expected.replicas, {
    get: (name) => memory.seen.get(`${uid}/contest/${name}`),
    set: (name, value) => memory.nextSeen.set(`${uid}/contest/${name}`, value),
  });
  if (!view.isObserved) {
    return [
      {
        code: "RolloutNotObserved",
        key: "observe",
        why: "the cluster has not begun to act on the change",
        budgetMs: 60_000,
      },
    ];
  }
  const findings: Finding[] = [...view.findings];
  if (contest !== undefined && workload.kind !== "DaemonSet") findings.push(contest);
  for (const pod of view.newPods) {
    const found = examinePod(pod, {
      events: snapshot.events.filter((event) => event.involvedObject.uid === pod.metadata.uid),
      baseline: snapshot.baseline,
      images: snapshot.images,
      logs: snapshot.logs ?? NO_LOGS,
      leavingMs: around.leavingMs,
      startedSince: (container) => since(memory, `${uid}/${pod.metadata.uid}/${container}/started`),
      now: memory.now,
    });
    findings.push(...(view.toleratesCrashes === true ? found.map(withoutHaste) : found));
  }
  if (!view.isComplete && !view.toleratesCrashes) findings.push(...takenAway(view.newPods));
  if (findings.length > 0) return findings;
  if (!view.isComplete) return [view.pending];
  const kept = view.oldPods.filter(isKept);
  return kept.length > 0 && snapshot.oldPods !== "report" ? [oldPodsKept(kept)] : [];
}

const NO_LOGS: ReadonlyMap<string, string> = new Map();

/** A Job counts the ends of its pods itself; what keeps them from starting is judged all the same. */
function withoutHaste(finding: Finding): Finding {
  return finding.key.includes("/crash/") ? { ...finding, budgetMs: undefined } : finding;
}

function terminatingWorkload({ kind, metadata }: Workload): Finding {
  const finalizers = metadata.finalizers ?? [];
  const kept = finalizers.length === 0 ? "" : `; it is kept by ${finalizers.join(", ")}`;
  return {
    code: "ObjectTerminating",
    key: "terminating",
    why: `the ${kind} is being deleted${kept}`,
    budgetMs: 30_000,
  };
}

/**
 * Old pods drain on their own, as long as their grace period lets them: that is told, not waited for. One that a finalizer
 * keeps is another thing: when the controller of the finalizer is gone, it stays for ever, and so does what it holds.
 */
function oldPodsKept(pods: readonly Pod[]): Finding {
  return {
    code: "ObjectTerminating",
    key: "old-pods/kept",
    why: terminating(pods),
    budgetMs: drainMs(pods),
    object: { pod: pods[0]?.metadata.name },
  };
}

/** A pod on a lost node never goes: after its grace period and a while nobody counts on it. */
function drainsUntilOf({ metadata }: Workload, oldPods: readonly Pod[], memory: Memory): number | undefined {
  if (oldPods.length === 0) return undefined;
  const until = since(memory, `${metadata.uid}/drain`) + drainMs(oldPods);
  return until > memory.now ? until : undefined;
}

/** The kubelet may take a while to see that a pod has ended. */
function drainMs(pods: readonly Pod[]): number {
  return Math.max(...pods.map((pod) => pod.spec.terminationGracePeriodSeconds ?? 30)) * 1000 + 30_000;
}

function isKept({ metadata }: Pod): boolean {
  return metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length > 0;
}

function terminating(pods: readonly Pod[]): string {
  const finalizers = [...new Set(pods.flatMap((pod) => pod.metadata.finalizers ?? []))];
  const kept = finalizers.length === 0 ? "" : ` (kept by ${finalizers.join(", ")})`;
  return `${pods.length} old ${pods.length === 1 ? "pod is" : "pods are"} still terminating${kept}`;
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

const NO_PROGRESS: Progress = { old: 0, new: 0, ready: 0, total: 0, serving: 0, waitingFor: [] };

function progressOf(view: WorkloadView): Progress {
  const isServing = (pod: Pod): boolean =>
    pod.metadata.deletionTimestamp === undefined &&
    (pod.status?.conditions?.some((one) => one.type === "Ready" && one.status === "True") ?? false);
  return {
    old: view.oldPods.length,
    new: view.newPods.filter((pod) => pod.metadata.deletionTimestamp === undefined).length,
    ready: view.available,
    total: view.wanted,
    serving: [...view.newPods, ...view.oldPods].filter(isServing).length,
    waitingFor: [],
  };
}

function addProgress(a: Progress, b: Progress): Progress {
  return {
    old: a.old + b.old,
    new: a.new + b.new,
    ready: a.ready + b.ready,
    total: a.total + b.total,
    serving: a.serving + b.serving,
    waitingFor: [...a.waitingFor, ...b.waitingFor],
  };
}

/** Pods of the new revisions of what was applied. */
export function newPodsOf(snapshot: RolloutSnapshot): readonly Pod[] {
  return snapshot.expected.flatMap((expected) => {
    const around = { ...snapshot, generation: expected.generation, leavingMs: 0 };
    const workload = findWorkload(snapshot, expected);
    return workload === undefined ? [] : viewOf(workload, around, "wait").newPods;
  });
}
