/**
 * Liveness: with the faults gone and time to recover, every Deployment is what its spec says. All pods of the new
 * template and available, none of the old, nobody without an owner, no failure reported, old ReplicaSets within the
 * history limit. And a rollout that cannot succeed says so in time (`deadline`).
 */
import type { Deployment, Pod, Store } from "@slipway/kube";
import type { Checker } from "./checker.ts";
import { Violation } from "./checker.ts";
import { activePodsOf, isAvailablePod, isOfTemplate, ownerUid, replicaSetsOf } from "./truth.ts";

export function convergenceChecker(): Checker {
  return {
    name: "convergence",
    atRest({ store, now }) {
      for (const deployment of store.list("Deployment")) {
        const problem = whyNotConverged(store, deployment, now());
        if (problem !== undefined) throw new Violation("convergence", problem);
      }
    },
  };
}

/** Undefined when the Deployment is wholly rolled out. */
export function whyNotConverged(store: Store, deployment: Deployment, now: number): string | undefined {
  const { name, namespace, generation = 0 } = deployment.metadata;
  const wanted = deployment.spec.replicas ?? 1;
  const { status = {} } = deployment;
  if ((status.observedGeneration ?? 0) < generation)
    return `${name}: generation ${generation} was not observed`;
  const replicaSets = replicaSetsOf(store, deployment);
  for (const replicaSet of replicaSets) {
    const pods = activePodsOf(store, replicaSet);
    const expected = isOfTemplate(replicaSet, deployment) ? wanted : 0;
    const { minReadySeconds = 0 } = deployment.spec;
    const available = pods.filter((pod) => isAvailablePod(pod, minReadySeconds, now)).length;
    if (pods.length !== expected || available !== expected) {
      return `${replicaSet.metadata.name}: ${pods.length} pods, ${available} available, wanted ${expected}`;
    }
  }
  if (!replicaSets.some((replicaSet) => isOfTemplate(replicaSet, deployment))) {
    return `${name}: no ReplicaSet has its template`;
  }
  const counts = [status.replicas ?? 0, status.updatedReplicas ?? 0, status.availableReplicas ?? 0];
  if (counts.some((count) => count !== wanted)) {
    return `${name}: status shows ${counts.join("/")} pods/updated/available, wanted ${wanted}`;
  }
  const reason = status.conditions?.find(({ type }) => type === "Progressing")?.reason;
  if (reason !== "NewReplicaSetAvailable") return `${name}: Progressing is ${reason}`;
  if (status.conditions?.some(({ type }) => type === "ReplicaFailure"))
    return `${name}: ReplicaFailure stays`;
  const limit = deployment.spec.revisionHistoryLimit ?? 10;
  if (replicaSets.length > limit + 1) return `${name}: ${replicaSets.length} ReplicaSets, limit ${limit}`;
  return orphanIn(store, deployment, namespace);
}

/** A pod that the Deployment's selector matches and nobody owns, or whose owner is gone. */
function orphanIn(store: Store, deployment: Deployment, namespace: string | undefined): string | undefined {
  const uids = new Set(store.list("ReplicaSet", namespace).map(({ metadata }) => metadata.uid));
  const wanted = Object.entries(deployment.spec.selector.matchLabels ?? {});
  const isOurs = ({ metadata }: Pod): boolean =>
    wanted.every(([key, value]) => metadata.labels?.[key] === value);
  const orphan = store.list("Pod", namespace).find((pod) => isOurs(pod) && !uids.has(ownerUid(pod)));
  if (orphan !== undefined) return `${orphan.metadata.name} has no owner`;
  const stray = store
    .list("ReplicaSet", namespace)
    .find(
      (replicaSet) =>
        wanted.every(([key, value]) => replicaSet.metadata.labels?.[key] === value) &&
        ownerUid(replicaSet) === undefined,
    );
  return stray === undefined ? undefined : `${stray.metadata.name} has no owner`;
}
