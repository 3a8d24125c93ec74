/** The numbers in a Deployment's status, from its ReplicaSets. */
import type { Deployment, DeploymentStatus, ReplicaSet } from "@slipway/kube";
import { condition, withCondition, withoutCondition } from "./progress.ts";
import { sum } from "./rolling.ts";
import { limitsOf } from "./strategy.ts";

/** Counts and the Available condition; the other conditions are those that were there before. */
export function countStatus(
  deployment: Deployment,
  all: readonly ReplicaSet[],
  newReplicaSet: ReplicaSet | undefined,
  now: number,
): DeploymentStatus {
  const { replicas, minAvailable } = limitsOf(deployment);
  const total = sum(all.map(({ spec }) => spec.replicas ?? 1));
  const existing = sum(all.map(({ status }) => status?.replicas ?? 0));
  const ready = sum(all.map(({ status }) => status?.readyReplicas ?? 0));
  const available = sum(all.map(({ status }) => status?.availableReplicas ?? 0));
  const unavailable = Math.max(0, total - available);
  const updated = newReplicaSet?.status?.replicas ?? 0;
  const { generation } = deployment.metadata;
  const { collisionCount, conditions } = deployment.status ?? {};
  const counted: DeploymentStatus = {
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    // Zeros are left out, as Go's omitempty does.
    ...(existing === 0 ? {} : { replicas: existing }),
    ...(updated === 0 ? {} : { updatedReplicas: updated }),
    ...(ready === 0 ? {} : { readyReplicas: ready }),
    ...(available === 0 ? {} : { availableReplicas: available }),
    ...(unavailable === 0 ? {} : { unavailableReplicas: unavailable }),
    ...(conditions === undefined ? {} : { conditions }),
    ...(collisionCount === undefined ? {} : { collisionCount }),
  };
  const isAvailable = available >= Math.min(minAvailable, replicas);
  return withCondition(
    counted,
    isAvailable
      ? condition(
          "Available",
          "True",
          "MinimumReplicasAvailable",
          "Deployment has minimum availability.",
          now,
        )
      : condition(
          "Available",
          "False",
          "MinimumReplicasUnavailable",
          "Deployment does not have minimum availability.",
          now,
        ),
  );
}

/** Carries over a ReplicaSet's failure to create or delete pods, the new one's first; or takes it back. */
export function withReplicaFailure(
  status: DeploymentStatus,
  all: readonly ReplicaSet[],
  newReplicaSet: ReplicaSet | undefined,
  now: number,
): DeploymentStatus {
  const candidates = newReplicaSet === undefined ? all : [newReplicaSet, ...all];
  const failure = candidates
    .flatMap((replicaSet) => replicaSet.status?.conditions ?? [])
    .find(({ type }) => type === "ReplicaFailure");
  if (failure === undefined) return withoutCondition(status, "ReplicaFailure");
  const { reason = "", message = "" } = failure;
  const carried = condition("ReplicaFailure", failure.status, reason, message, now);
  const { lastTransitionTime } = failure;
  return withCondition(status, {
    ...carried,
    ...(lastTransitionTime === undefined ? {} : { lastTransitionTime }),
  });
}

export function isSameStatus(a: DeploymentStatus | undefined, b: DeploymentStatus): boolean {
  if (a === undefined) return false;
  return (
    (a.observedGeneration ?? 0) === (b.observedGeneration ?? 0) &&
    (a.replicas ?? 0) === (b.replicas ?? 0) &&
    (a.updatedReplicas ?? 0) === (b.updatedReplicas ?? 0) &&
    (a.readyReplicas ?? 0) === (b.readyReplicas ?? 0) &&
    (a.availableReplicas ?? 0) === (b.availableReplicas ?? 0) &&
    (a.unavailableReplicas ?? 0) === (b.unavailableReplicas ?? 0) &&
    (a.collisionCount ?? 0) === (b.collisionCount ?? 0) &&
    JSON.stringify(a.conditions ?? []) === JSON.stringify(b.conditions ?? [])
  );
}
