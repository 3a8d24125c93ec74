/**
 * Judges rollouts: three answers, not two. `ok`, `waiting` with a named cause and a budget, `doomed` with a cause.
 *
 * Pure and total: what is in the cluster, what was seen before (`seen`: since when each waiting cause holds) and
 * `now` go in, the verdict and the next `seen` come out. Budgets are counted on our clock from when we first saw
 * a cause, not from the cluster's timestamps, so that clocks that disagree cannot fail a release.
 *
 * Only pods of the new ReplicaSet count; generations before it never colour the verdict. A pod that was evicted,
 * preempted or lost with its node never fails a release.
 */
import type { Deployment, Event, Pod, ReplicaSet } from "@slipway/kube";
import { type Cause, type CauseCode, type CauseObject, makeCause } from "./causes.ts";
import type { Progress } from "./events.ts";
import { examinePod, type Finding } from "./judge-pod.ts";

export interface RolloutSnapshot {
  readonly cluster: string;
  /** How a command names this cluster, like `kubectl --context tokyo`. */
  readonly kubectl: string;
  readonly deployments: readonly Deployment[];
  /**
   * What the apply returned: `namespace/name` to generation. A Deployment that is absent or older in this snapshot
   * has not been seen since the apply, and its status speaks of the release before.
   */
  readonly expected: ReadonlyMap<string, number>;
  /** Of the namespaces of the Deployments; what belongs to others is ignored. */
  readonly replicaSets: readonly ReplicaSet[];
  readonly pods: readonly Pod[];
  readonly events: readonly Event[];
  /** Terminations by pod uid and container that had happened before this release; see `terminationsOf`. */
  readonly baseline: ReadonlyMap<string, number>;
  /** What the registry said about an image after a node could not find it. */
  readonly images: ReadonlyMap<string, "exists" | "missing" | "unknown">;
}

/** Since when (our clock, ms) each waiting cause holds. */
export type Seen = ReadonlyMap<string, number>;

export type Judgement =
  | { readonly verdict: "ok"; readonly notes: readonly string[] }
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

/** All Deployments of one cluster together: doomed if one is, ok when all are. */
export function judge(snapshot: RolloutSnapshot, seen: Seen, now: number): Judged {
  const nextSeen = new Map<string, number>();
  const memory: Memory = { seen, nextSeen, now };
  const judgements = [...snapshot.expected].map(([key, generation]) => {
    const deployment = snapshot.deployments.find((one) => deploymentKey(one) === key);
    return deployment === undefined || (deployment.metadata.generation ?? 0) < generation
      ? notSeen(snapshot, key, memory)
      : judgeDeployment(snapshot, deployment, memory);
  });
  const progress = judgements.map((one) => one.progress).reduce(addProgress, NO_PROGRESS);
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
  const notes = judgements.flatMap((one) => (one.judgement.verdict === "ok" ? one.judgement.notes : []));
  return { judgement: { verdict: "ok", notes }, progress, seen: nextSeen };
}

function deploymentKey(deployment: Deployment): string {
  return `${deployment.metadata.namespace ?? "default"}/${deployment.metadata.name}`;
}

function notSeen(
  snapshot: RolloutSnapshot,
  key: string,
  memory: Memory,
): { readonly judgement: Judgement; readonly progress: Progress } {
  const [namespace, name] = key.split("/") as [string, string];
  const cause = makeCause("RolloutNotObserved", {
    cluster: snapshot.cluster,
    kubectl: snapshot.kubectl,
    object: { namespace, deployment: name },
    why: "the applied Deployment has not been seen in the cluster",
  });
  const budgetEndsAt = since(memory, `${key}/not-seen`) + 60_000;
  return {
    judgement:
      memory.now >= budgetEndsAt
        ? { verdict: "doomed", cause, pod: undefined }
        : { verdict: "waiting", causes: [cause], budgetEndsAt },
    progress: NO_PROGRESS,
  };
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

function judgeDeployment(
  snapshot: RolloutSnapshot,
  deployment: Deployment,
  memory: Memory,
): { readonly judgement: Judgement; readonly progress: Progress } {
  const parts = partsOf(snapshot, deployment);
  const progress = progressOf(deployment, parts);
  const place: CauseObject = {
    namespace: deployment.metadata.namespace ?? "default",
    deployment: deployment.metadata.name,
    ...(parts.newReplicaSet === undefined ? {} : { replicaSet: parts.newReplicaSet.metadata.name }),
  };
  const findings = findingsOf(snapshot, deployment, parts, memory);
  const timed = findings.map((finding) => {
    const start = since(memory, `${deployment.metadata.uid}/${finding.key}`);
    return {
      finding,
      cause: makeCause(finding.code, {
        cluster: snapshot.cluster,
        kubectl: snapshot.kubectl,
        object: { ...place, ...finding.object },
        why: finding.why,
      }),
      endsAt: finding.budgetMs === undefined ? undefined : start + finding.budgetMs,
    };
  });
  const over = timed.find(
    ({ endsAt, finding }) => endsAt !== undefined && memory.now >= endsAt && !finding.lapses,
  );
  if (over !== undefined) {
    return { judgement: { verdict: "doomed", cause: over.cause, pod: over.finding.pod }, progress };
  }
  // What lapses (old pods on a lost node) stops being waited for when its budget ends.
  const holding = timed.filter(({ endsAt }) => endsAt === undefined || memory.now < endsAt);
  const lapsed = timed.filter((one) => !holding.includes(one));
  if (deadlineExceeded(deployment) && !isComplete(deployment)) {
    return { judgement: pastDeadline(snapshot, place, deployment, holding), progress };
  }
  if (holding.length === 0) {
    return { judgement: { verdict: "ok", notes: lapsed.map(({ cause }) => cause.why) }, progress };
  }
  const ends = holding.flatMap(({ endsAt }) => (endsAt === undefined ? [] : [endsAt]));
  return {
    judgement: {
      verdict: "waiting",
      causes: mostTelling(holding.map(({ cause }) => cause)),
      budgetEndsAt: ends.length === 0 ? undefined : Math.min(...ends),
    },
    progress,
  };
}

interface Parts {
  readonly newReplicaSet: ReplicaSet | undefined;
  readonly newPods: readonly Pod[];
  readonly oldPods: readonly Pod[];
}

const REVISION = "deployment.kubernetes.io/revision";

function partsOf(snapshot: RolloutSnapshot, deployment: Deployment): Parts {
  const owned = snapshot.replicaSets.filter((replicaSet) => isOwnedBy(replicaSet, deployment.metadata.uid));
  const isObserved = (deployment.status?.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0);
  const revision = deployment.metadata.annotations?.[REVISION];
  // Before the controller has seen the change, the newest ReplicaSet is still the one of the release before.
  const newReplicaSet = isObserved
    ? owned.find((replicaSet) => replicaSet.metadata.annotations?.[REVISION] === revision)
    : undefined;
  const uids = new Set(owned.map((replicaSet) => replicaSet.metadata.uid));
  const pods = snapshot.pods.filter((pod) => {
    const owner = pod.metadata.ownerReferences?.find((reference) => reference.controller === true);
    return owner !== undefined && uids.has(owner.uid);
  });
  const newUid = newReplicaSet?.metadata.uid;
  const isNew = (pod: Pod): boolean => newUid !== undefined && isOwnedBy(pod, newUid);
  return {
    newReplicaSet,
    newPods: pods.filter((pod) => isNew(pod)),
    oldPods: pods.filter((pod) => !isNew(pod)),
  };
}

function isOwnedBy(object: Pod | ReplicaSet, uid: string | undefined): boolean {
  return (
    object.metadata.ownerReferences?.some(
      (reference) => reference.controller === true && reference.uid === uid,
    ) ?? false
  );
}

/** What keeps this Deployment from being done, most general first; empty when nothing does. */
function findingsOf(
  snapshot: RolloutSnapshot,
  deployment: Deployment,
  parts: Parts,
  memory: Memory,
): readonly Finding[] {
  const generation = deployment.metadata.generation ?? 0;
  if ((deployment.status?.observedGeneration ?? 0) < generation) {
    return [
      {
        code: "RolloutNotObserved",
        key: "observe",
        why: "the cluster has not begun to act on the change",
        budgetMs: 60_000,
      },
    ];
  }
  const findings: Finding[] = [];
  if (deployment.spec.paused === true && !isComplete(deployment)) {
    findings.push({ code: "RolloutPaused", key: "paused", why: "the Deployment is paused", budgetMs: 0 });
  }
  const refused = creationRefused(deployment, parts.newReplicaSet);
  if (refused !== undefined) findings.push(refused);
  for (const pod of parts.newPods) {
    findings.push(
      ...examinePod(pod, {
        events: snapshot.events.filter((event) => event.involvedObject.uid === pod.metadata.uid),
        baseline: snapshot.baseline,
        images: snapshot.images,
        startedSince: (container) =>
          since(memory, `${deployment.metadata.uid}/${pod.metadata.uid}/${container}/started`),
        now: memory.now,
      }),
    );
  }
  if (findings.length > 0) return findings;
  if (!isComplete(deployment)) return [notComplete(deployment, parts)];
  if (parts.oldPods.length > 0) return [oldPodsTerminating(parts.oldPods)];
  return [];
}

/** As `kubectl rollout status`: all pods are of this revision and available. */
function isComplete(deployment: Deployment): boolean {
  const wanted = deployment.spec.replicas ?? 1;
  const status = deployment.status ?? {};
  return (
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0) &&
    (status.updatedReplicas ?? 0) === wanted &&
    (status.replicas ?? 0) === wanted &&
    (status.availableReplicas ?? 0) === wanted
  );
}

function notComplete(deployment: Deployment, parts: Parts): Finding {
  const wanted = deployment.spec.replicas ?? 1;
  const available = parts.newReplicaSet?.status?.availableReplicas ?? 0;
  const ready = parts.newReplicaSet?.status?.readyReplicas ?? 0;
  if (ready > available) {
    const seconds = deployment.spec.minReadySeconds ?? 0;
    return {
      code: "MinReadySeconds",
      key: "min-ready",
      why: `${ready - available} of ${wanted} pods are ready but not yet for ${seconds} s`,
      budgetMs: undefined,
    };
  }
  return {
    code: "RolloutPending",
    key: "pending",
    why: `${available} of ${wanted} new pods are available`,
    budgetMs: undefined,
  };
}

/** Old pods may take their whole grace period; on a lost node they never go, which is not the release's fault. */
function oldPodsTerminating(pods: readonly Pod[]): Finding {
  const grace = Math.max(...pods.map((pod) => pod.spec.terminationGracePeriodSeconds ?? 30));
  return {
    code: "OldPodsTerminating",
    key: "old-pods",
    why: `${pods.length} old ${pods.length === 1 ? "pod is" : "pods are"} still terminating`,
    budgetMs: grace * 1000 + 30_000,
    lapses: true,
  };
}

function creationRefused(deployment: Deployment, replicaSet: ReplicaSet | undefined): Finding | undefined {
  const failure =
    replicaSet?.status?.conditions?.find((one) => one.type === "ReplicaFailure" && one.status === "True") ??
    deployment.status?.conditions?.find((one) => one.type === "ReplicaFailure" && one.status === "True");
  if (failure === undefined || isComplete(deployment)) return undefined;
  const message = failure.message ?? failure.reason ?? "no reason given";
  const code: CauseCode = /exceeded quota/i.test(message) ? "QuotaExceeded" : "CreationRefused";
  return {
    code,
    key: "creation-refused",
    why: `the cluster refuses to create pods: ${message}`,
    budgetMs: 10_000,
  };
}

function deadlineExceeded(deployment: Deployment): boolean {
  return (
    deployment.status?.conditions?.some(
      (condition) => condition.type === "Progressing" && condition.reason === "ProgressDeadlineExceeded",
    ) ?? false
  );
}

/** The deadline alone is never the report: what was waited for last is. */
function pastDeadline(
  snapshot: RolloutSnapshot,
  place: CauseObject,
  deployment: Deployment,
  holding: readonly { readonly finding: Finding; readonly cause: Cause }[],
): Judgement {
  const seconds = deployment.spec.progressDeadlineSeconds ?? 600;
  const generic: ReadonlySet<CauseCode> = new Set(["RolloutPending", "ContainerStarting", "MinReadySeconds"]);
  const telling = holding.find(({ cause }) => !generic.has(cause.code));
  if (telling !== undefined) {
    const why = `${telling.cause.why}; nothing moved for ${seconds} s`;
    return { verdict: "doomed", cause: { ...telling.cause, why }, pod: telling.finding.pod };
  }
  const last = holding[0];
  const cause = makeCause("ProgressDeadlineExceeded", {
    cluster: snapshot.cluster,
    kubectl: snapshot.kubectl,
    object: last?.cause.object ?? place,
    why: `nothing moved for ${seconds} s; last seen: ${last?.cause.why ?? "no pod of the new ReplicaSet"}`,
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

function progressOf(deployment: Deployment, parts: Parts): Progress {
  const isServing = (pod: Pod): boolean =>
    pod.metadata.deletionTimestamp === undefined &&
    (pod.status?.conditions?.some((one) => one.type === "Ready" && one.status === "True") ?? false);
  return {
    old: parts.oldPods.length,
    new: parts.newPods.filter((pod) => pod.metadata.deletionTimestamp === undefined).length,
    ready: parts.newReplicaSet?.status?.availableReplicas ?? 0,
    total: deployment.spec.replicas ?? 1,
    serving: [...parts.newPods, ...parts.oldPods].filter(isServing).length,
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

/** Pods of the newest ReplicaSets of the release's Deployments. */
export function newPodsOf(snapshot: RolloutSnapshot): readonly Pod[] {
  return snapshot.deployments
    .filter((deployment) => snapshot.expected.has(deploymentKey(deployment)))
    .flatMap((deployment) => partsOf(snapshot, deployment).newPods);
}
