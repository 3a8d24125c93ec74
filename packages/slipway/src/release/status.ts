/** What is where: the answer to "what runs, is it well, and is somebody at it". Read-only. */
import type { Deployment } from "@slipway/kube";
import { isUnreachable, RELEASE_ANNOTATION } from "./apply.ts";
import { heldBy, runningIn, withoutSecrets } from "./history.ts";
import { describeInterruption } from "./interruption.ts";
import { type LockHolder, type LockState, readLock } from "./lock.ts";
import type { ReleaseContext, ReleaseRecord, Target } from "./model.ts";
import { noClusterAnswers, readKnowledge } from "./plan.ts";
import { SERVICE_LABEL } from "./render.ts";

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

export interface ClusterStatus {
  readonly name: string;
  readonly reachable: boolean;
  readonly reason: string | undefined;
  readonly runs: number | undefined;
  readonly deployments: readonly DeploymentStatus[];
  readonly lock: LockState | undefined;
}

export interface StatusReport {
  readonly service: string;
  readonly environment: string;
  readonly namespace: string;
  /** The newest release, whatever became of it. */
  readonly newest: ReleaseRecord | undefined;
  readonly clusters: readonly ClusterStatus[];
  /** Who is releasing now. */
  readonly holder: LockHolder | undefined;
  /** Set when the newest release was cut off and nobody is at it. */
  readonly interrupted: string | undefined;
  /** Digests and contents that may not come back, and the release that holds each. */
  readonly held: readonly { readonly what: string; readonly by: number }[];
  readonly warnings: readonly string[];
}

/**
 * All releases that the reachable clusters remember, newest first, values of Secrets hidden. Throws when no cluster
 * answers.
 */
export async function history(context: ReleaseContext): Promise<readonly ReleaseRecord[]> {
  const { records, unreachable } = await readKnowledge(context);
  if (unreachable.size === context.targets.length) throw noClusterAnswers(unreachable);
  return records.map(withoutSecrets);
}

export async function status(context: ReleaseContext): Promise<StatusReport> {
  const { records, warnings } = await readKnowledge(context);
  const clusters = await Promise.all(
    context.targets.map((target) => clusterStatus(context, target, records)),
  );
  const newest = records[0];
  const holders = clusters.flatMap((cluster) =>
    cluster.lock?.holder !== undefined && !cluster.lock.isStale ? [cluster.lock.holder] : [],
  );
  const isCutOff =
    newest !== undefined &&
    (newest.outcome === "interrupted" || (newest.outcome === "in-progress" && holders.length === 0));
  return {
    service: context.service,
    environment: context.environment,
    namespace: context.namespace,
    newest: newest === undefined ? undefined : withoutSecrets(newest),
    clusters,
    holder: holders[0],
    interrupted: isCutOff ? describeInterruption(newest) : undefined,
    held: [...heldBy(records)].map(([what, by]) => ({ what, by })),
    warnings,
  };
}

async function clusterStatus(
  context: ReleaseContext,
  target: Target,
  records: readonly ReleaseRecord[],
): Promise<ClusterStatus> {
  try {
    const [lock, deployments] = await Promise.all([
      readLock(target.client, context),
      target.client.list<Deployment>(
        { apiVersion: "apps/v1", kind: "Deployment" },
        { labelSelector: `${SERVICE_LABEL}=${context.service}` },
      ),
    ]);
    return {
      name: target.name,
      reachable: true,
      reason: undefined,
      runs: runningIn(records, target.name)?.number,
      deployments: deployments.items.map(deploymentStatus),
      lock,
    };
  } catch (error) {
    if (!isUnreachable(error)) throw error;
    const reason = (error as Error).message;
    return { name: target.name, reachable: false, reason, runs: undefined, deployments: [], lock: undefined };
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
