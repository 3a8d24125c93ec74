/**
 * What is where: the answer to "what runs, is it well, has somebody changed it by hand, and is somebody at it".
 * Read-only.
 */
import { assertNever } from "@slipway/base";
import type { AnyObject, Deployment, Event, Pod, ReplicaSet } from "@slipway/kube";
import { cannotBeAsked, RELEASE_ANNOTATION, whyUnreachable } from "../apply/apply.ts";
import { waitingGate } from "../gates/approval.ts";
import type { GateRecord } from "../gates/gate.ts";
import { type GoneCluster, goneClusters } from "../history/gone.ts";
import { holdsIn } from "../history/held.ts";
import { runningIn } from "../history/history.ts";
import { describeInterruption } from "../history/interruption.ts";
import { noClusterAnswers, PATIENT_MS, type ReadOptions, readKnowledge } from "../history/knowledge.ts";
import { withoutSecrets } from "../history/records.ts";
import {
  type ClusterIdentity,
  checkIdentities,
  identityWarnings,
  readIdentities,
  underPresentNames,
} from "../identity.ts";
import type { Cause } from "../judge/causes.ts";
import { baselineOf } from "../judge/crash.ts";
import { judge } from "../judge/judge.ts";
import type { DaemonSet, StatefulSet } from "../judge/workload.ts";
import { type LockHolder, type LockState, readLock } from "../lock/lease.ts";
import { SERVICE_LABEL } from "../manifests/render.ts";
import type { Hold, ReleaseContext, ReleaseRecord, Target } from "../model.ts";
import { driftOf, type ObjectDrift } from "./drift.ts";

export interface WorkloadStatus {
  readonly kind: "Deployment" | "StatefulSet" | "DaemonSet";
  readonly namespace: string;
  readonly name: string;
  readonly wanted: number;
  readonly updated: number;
  readonly available: number;
  /** Pods beyond the updated ones. */
  readonly old: number;
  readonly images: readonly string[];
  /** The release whose apply it carries; undefined when it was made by other hands. */
  readonly release: number | undefined;
}

export interface ClusterHealth {
  /** The judge's three answers, at this moment: `waiting` is a rollout that goes on, `doomed` one that will not end well. */
  readonly verdict: "ok" | "waiting" | "doomed";
  readonly causes: readonly Cause[];
}

export interface ClusterStatus {
  readonly name: string;
  readonly reachable: boolean;
  readonly reason: string | undefined;
  readonly runs: number | undefined;
  readonly workloads: readonly WorkloadStatus[];
  /** Undefined where nothing of the service runs, or the cluster did not answer. */
  readonly health: ClusterHealth | undefined;
  /** What differs from what the release applied; empty when nothing does. */
  readonly drift: readonly ObjectDrift[];
  readonly lock: LockState | undefined;
}

export interface StatusReport {
  readonly service: string;
  readonly environment: string;
  readonly namespace: string;
  /** The newest release, whatever became of it. */
  readonly newest: ReleaseRecord | undefined;
  readonly clusters: readonly ClusterStatus[];
  /** Which clusters the names stand for now; one that is not what it is bound to is among the warnings. */
  readonly identities: readonly ClusterIdentity[];
  /** Who is releasing now. */
  readonly holder: LockHolder | undefined;
  /** The gate at which the newest release waits for a person. */
  readonly waiting: Pick<GateRecord, "name" | "wave" | "clusters" | "startedAt"> | undefined;
  /** Set when the newest release was cut off and nobody is at it. */
  readonly interrupted: string | undefined;
  /** What may not come back, by whom and why. */
  readonly held: readonly Hold[];
  /** Clusters that were taken out of the configuration with a release in them. */
  readonly gone: readonly Pick<GoneCluster, "name" | "runs">[];
  readonly warnings: readonly string[];
}

/**
 * All releases that the reachable clusters remember, newest first, values of Secrets hidden. Throws when no cluster
 * answers.
 */
export async function history(context: ReleaseContext): Promise<readonly ReleaseRecord[]> {
  const { records, unreachable } = await readKnowledge(context, { patienceMs: PATIENT_MS });
  if (unreachable.size === context.targets.length) throw noClusterAnswers(unreachable);
  return records.map(withoutSecrets);
}

/** `onSlow` is told of each cluster that has not answered after a few seconds. */
export async function status(
  context: ReleaseContext,
  { onSlow }: Pick<ReadOptions, "onSlow"> = {},
): Promise<StatusReport> {
  const knowledge = await readKnowledge(context, { patienceMs: PATIENT_MS, onSlow });
  const { warnings, unreachable } = knowledge;
  const identities = await readIdentities(context, knowledge.records, unreachable);
  const records = underPresentNames(knowledge.records, identities);
  const clusters = await Promise.all(
    context.targets.map(async (target): Promise<ClusterStatus> => {
      const reason = unreachable.get(target.name);
      return reason === undefined ? clusterStatus(context, target, records) : silent(target.name, reason);
    }),
  );
  const newest = records[0];
  const holders = clusters.flatMap((cluster) =>
    cluster.lock?.holder !== undefined && !cluster.lock.isStale ? [cluster.lock.holder] : [],
  );
  const isCutOff =
    newest !== undefined &&
    (newest.outcome === "interrupted" || (newest.outcome === "in-progress" && holders.length === 0));
  const names = context.targets.map(({ name }) => name);
  const gate = newest === undefined || isCutOff ? undefined : waitingGate(newest);
  return {
    service: context.service,
    environment: context.environment,
    namespace: context.namespace,
    newest: newest === undefined ? undefined : withoutSecrets(newest),
    clusters,
    identities,
    holder: holders[0],
    waiting:
      gate === undefined
        ? undefined
        : { name: gate.name, wave: gate.wave, clusters: gate.clusters, startedAt: gate.startedAt },
    interrupted: isCutOff ? describeInterruption(newest) : undefined,
    held: holdsIn(records),
    gone: goneClusters(records, names).map(({ name, runs }) => ({ name, runs })),
    warnings: [
      ...warnings,
      ...identityWarnings(identities),
      ...checkIdentities(identities).map(({ where, message }) => `${where}: ${message}`),
    ],
  };
}

/**
 * 0 every cluster runs a release and is well · 1 one is not well, or runs nothing · 3 one cannot be asked · 4 one is still
 * on its way. The first of 1, 3, 4 that is true of any.
 */
export function statusExitCode(report: Pick<StatusReport, "clusters">): 0 | 1 | 3 | 4 {
  const codes = report.clusters.map(exitCodeOf);
  return ([1, 3, 4] as const).find((code) => codes.includes(code)) ?? 0;
}

function exitCodeOf({ reachable, runs, workloads, health }: ClusterStatus): 0 | 1 | 3 | 4 {
  if (!reachable) return 3;
  if (runs === undefined && workloads.length === 0) return 1;
  if (health === undefined || health.verdict === "ok") return 0;
  return health.verdict === "waiting" ? 4 : 1;
}

type Seen = Deployment | StatefulSet | DaemonSet;

/**
 * In the namespaces that the release is about: nobody needs rights to more for looking at it. Sets only where the release
 * has some: a local cluster does not even serve them.
 */
async function workloadsOf(
  context: ReleaseContext,
  { client }: Target,
  running: ReleaseRecord | undefined,
): Promise<readonly Seen[]> {
  const own = running?.objects.flatMap(({ metadata }) => metadata.namespace ?? []) ?? [];
  const sets = (["StatefulSet", "DaemonSet"] as const).filter((kind) =>
    running?.objects.some((object) => object.kind === kind),
  );
  const lists = await Promise.all(
    [...new Set([context.namespace, ...own])].flatMap((namespace) =>
      (["Deployment", ...sets] as const).map(async (kind) => {
        const options = { namespace, labelSelector: `${SERVICE_LABEL}=${context.service}` };
        const { items } = await client.list<Seen>({ apiVersion: "apps/v1", kind }, options);
        // The items of a list do not say their own kind.
        return items.map((item) => ({ ...item, apiVersion: "apps/v1", kind }) as Seen);
      }),
    ),
  );
  return lists.flat();
}

async function clusterStatus(
  context: ReleaseContext,
  target: Target,
  records: readonly ReleaseRecord[],
): Promise<ClusterStatus> {
  const running = runningIn(records, target.name);
  try {
    const [lock, workloads, drift] = await Promise.all([
      readLock(target.client, context),
      workloadsOf(context, target, running),
      driftOf(target, running?.objects ?? [], before(records, target.name)),
    ]);
    return {
      name: target.name,
      reachable: true,
      reason: undefined,
      runs: running?.number,
      workloads: workloads.map(workloadStatus),
      health: await healthOf(context, target, workloads),
      drift,
      lock,
    };
  } catch (error) {
    if (!cannotBeAsked(error)) throw error;
    return silent(target.name, whyUnreachable(error));
  }
}

/** What a cluster is on its way from, while a release is applied to it or taken back; undefined in all other clusters. */
function before(records: readonly ReleaseRecord[], name: string): readonly AnyObject[] | undefined {
  const at = records.findIndex(({ clusters }) => clusters[name]?.runs !== undefined);
  const step = records[at]?.clusters[name]?.step;
  if (step !== "applying" && step !== "restoring") return undefined;
  return runningIn(records.slice(at + 1), name)?.objects ?? [];
}

function silent(name: string, reason: string): ClusterStatus {
  const nothing = { runs: undefined, workloads: [], health: undefined, drift: [], lock: undefined };
  return { name, reachable: false, reason, ...nothing };
}

/** One look, judged as a release would judge it: what has no budget left or needs none is told, the rest is waiting. */
async function healthOf(
  context: ReleaseContext,
  target: Target,
  workloads: readonly Seen[],
): Promise<ClusterHealth | undefined> {
  if (workloads.length === 0) return undefined;
  const namespaces = [...new Set(workloads.map(({ metadata }) => metadata.namespace ?? "default"))];
  const listAll = async <T extends ReplicaSet | Pod | Event>(
    apiVersion: string,
    kind: string,
  ): Promise<T[]> => {
    const lists = await Promise.all(
      namespaces.map((namespace) => target.client.list<T>({ apiVersion, kind }, { namespace })),
    );
    return lists.flatMap(({ items }) => items.map((item) => ({ ...item, apiVersion, kind })));
  };
  const [replicaSets, pods, events] = await Promise.all([
    listAll<ReplicaSet>("apps/v1", "ReplicaSet"),
    listAll<Pod>("v1", "Pod"),
    listAll<Event>("v1", "Event"),
  ]);
  const expected = workloads.map(({ kind, metadata }) => ({
    kind,
    namespace: metadata.namespace ?? "default",
    name: metadata.name,
    generation: metadata.generation ?? 1,
  }));
  const { judgement } = judge(
    {
      cluster: target.name,
      kubectl: context.kubectl?.(target.name) ?? `kubectl --context ${target.name}`,
      deployments: workloads.filter((one) => one.kind === "Deployment"),
      statefulSets: workloads.filter((one) => one.kind === "StatefulSet"),
      daemonSets: workloads.filter((one) => one.kind === "DaemonSet"),
      expected,
      replicaSets,
      pods,
      events,
      baseline: baselineOf(pods),
      images: new Map(),
    },
    new Map(),
    context.clock.now(),
  );
  switch (judgement.verdict) {
    case "ok":
      return { verdict: "ok", causes: [] };
    case "waiting":
      return { verdict: "waiting", causes: judgement.causes };
    case "doomed":
      return { verdict: "doomed", causes: [judgement.cause] };
    default:
      return assertNever(judgement);
  }
}

function workloadStatus(workload: Seen): WorkloadStatus {
  const { kind, metadata, spec } = workload;
  const release = Number(metadata.annotations?.[RELEASE_ANNOTATION]);
  return {
    kind,
    namespace: metadata.namespace ?? "default",
    name: metadata.name,
    ...countsOf(workload),
    images: spec.template.spec.containers.map((container) => container.image ?? ""),
    release: Number.isInteger(release) && release > 0 ? release : undefined,
  };
}

function countsOf(workload: Seen): Pick<WorkloadStatus, "wanted" | "updated" | "available" | "old"> {
  switch (workload.kind) {
    case "Deployment": {
      const { updatedReplicas = 0, availableReplicas = 0, replicas = 0 } = workload.status ?? {};
      const old = Math.max(0, replicas - updatedReplicas);
      return {
        wanted: workload.spec.replicas ?? 1,
        updated: updatedReplicas,
        available: availableReplicas,
        old,
      };
    }
    case "StatefulSet": {
      const { readyReplicas = 0, replicas = 0, currentRevision, updateRevision } = workload.status ?? {};
      // Some versions count updated pods only while two revisions differ.
      const updated = currentRevision === updateRevision ? replicas : (workload.status?.updatedReplicas ?? 0);
      const old = Math.max(0, replicas - updated);
      return { wanted: workload.spec.replicas ?? 1, updated, available: readyReplicas, old };
    }
    case "DaemonSet": {
      const now = workload.status ?? {};
      const wanted = now.desiredNumberScheduled ?? 0;
      const updated = now.updatedNumberScheduled ?? 0;
      return { wanted, updated, available: now.numberAvailable ?? 0, old: Math.max(0, wanted - updated) };
    }
    default:
      return assertNever(workload);
  }
}
