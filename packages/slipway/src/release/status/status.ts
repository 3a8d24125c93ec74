/**
 * What is where: the answer to "what runs, is it well, has somebody changed it by hand, and is somebody at it".
 * Read-only.
 */
import { assertNever } from "@slipway/base";
import type { Deployment, Event, Pod, ReplicaSet } from "@slipway/kube";
import { cannotBeAsked, RELEASE_ANNOTATION, whyUnreachable } from "../apply/apply.ts";
import { waitingGate } from "../gates/approval.ts";
import type { GateRecord } from "../gates/gate.ts";
import { type GoneCluster, goneClusters } from "../history/gone.ts";
import { type Hold, holdsIn } from "../history/held.ts";
import { runningIn, withoutSecrets } from "../history/history.ts";
import { describeInterruption } from "../history/interruption.ts";
import { noClusterAnswers, PATIENT_MS, type ReadOptions, readKnowledge } from "../history/knowledge.ts";
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
import { type LockHolder, type LockState, readLock } from "../lock/lock.ts";
import { SERVICE_LABEL } from "../manifests/render.ts";
import type { ReleaseContext, ReleaseRecord, Target } from "../model.ts";
import { driftOf, type ObjectDrift } from "./drift.ts";

export interface DeploymentStatus {
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
  readonly deployments: readonly DeploymentStatus[];
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

function exitCodeOf({ reachable, runs, deployments, health }: ClusterStatus): 0 | 1 | 3 | 4 {
  if (!reachable) return 3;
  if (runs === undefined && deployments.length === 0) return 1;
  if (health === undefined || health.verdict === "ok") return 0;
  return health.verdict === "waiting" ? 4 : 1;
}

/** In the namespaces that the release is about: nobody needs rights to more for looking at it. */
async function deploymentsOf(
  context: ReleaseContext,
  { client }: Target,
  running: ReleaseRecord | undefined,
): Promise<readonly Deployment[]> {
  const own = running?.objects.flatMap(({ metadata }) => metadata.namespace ?? []) ?? [];
  const lists = await Promise.all(
    [...new Set([context.namespace, ...own])].map((namespace) =>
      client.list<Deployment>(
        { apiVersion: "apps/v1", kind: "Deployment" },
        { namespace, labelSelector: `${SERVICE_LABEL}=${context.service}` },
      ),
    ),
  );
  return lists.flatMap(({ items }) => items);
}

async function clusterStatus(
  context: ReleaseContext,
  target: Target,
  records: readonly ReleaseRecord[],
): Promise<ClusterStatus> {
  const running = runningIn(records, target.name);
  try {
    const [lock, deployments, drift] = await Promise.all([
      readLock(target.client, context),
      deploymentsOf(context, target, running),
      driftOf(target, running?.objects ?? []),
    ]);
    return {
      name: target.name,
      reachable: true,
      reason: undefined,
      runs: running?.number,
      deployments: deployments.map(deploymentStatus),
      health: await healthOf(context, target, deployments),
      drift,
      lock,
    };
  } catch (error) {
    if (!cannotBeAsked(error)) throw error;
    return silent(target.name, whyUnreachable(error));
  }
}

function silent(name: string, reason: string): ClusterStatus {
  const nothing = { runs: undefined, deployments: [], health: undefined, drift: [], lock: undefined };
  return { name, reachable: false, reason, ...nothing };
}

/** One look, judged as a release would judge it: what has no budget left or needs none is told, the rest is waiting. */
async function healthOf(
  context: ReleaseContext,
  target: Target,
  deployments: readonly Deployment[],
): Promise<ClusterHealth | undefined> {
  if (deployments.length === 0) return undefined;
  const namespaces = [...new Set(deployments.map(({ metadata }) => metadata.namespace ?? "default"))];
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
  const expected = deployments.map(({ metadata }) => ({
    kind: "Deployment" as const,
    namespace: metadata.namespace ?? "default",
    name: metadata.name,
    generation: metadata.generation ?? 1,
  }));
  const { judgement } = judge(
    {
      cluster: target.name,
      kubectl: context.kubectl?.(target.name) ?? `kubectl --context ${target.name}`,
      deployments,
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

function deploymentStatus(deployment: Deployment): DeploymentStatus {
  const { metadata, spec, status: now = {} } = deployment;
  const release = Number(metadata.annotations?.[RELEASE_ANNOTATION]);
  return {
    namespace: metadata.namespace ?? "default",
    name: metadata.name,
    wanted: spec.replicas ?? 1,
    updated: now.updatedReplicas ?? 0,
    available: now.availableReplicas ?? 0,
    old: Math.max(0, (now.replicas ?? 0) - (now.updatedReplicas ?? 0)),
    images: spec.template.spec.containers.map((container) => container.image ?? ""),
    release: Number.isInteger(release) && release > 0 ? release : undefined,
  };
}
