/** The status of a ReplicaSet from its active pods; pure counting. */
import type { Condition, Pod, ReplicaSet, ReplicaSetStatus, StringMap } from "@slipway/kube";
import { availableAt, isReady } from "./pods.ts";

export interface Counted {
  readonly status: ReplicaSetStatus;
  /** When the next ready pod becomes available by minReadySeconds, in ms since the epoch. */
  readonly nextAvailableAt: number | undefined;
}

export type Failure = Condition<"ReplicaFailure">;

/** `failure` is what went wrong in this very decision; without one an earlier condition is taken back. */
export function countStatus(
  replicaSet: ReplicaSet,
  active: readonly Pod[],
  now: number,
  failure: Failure | undefined,
): Counted {
  const minReadySeconds = replicaSet.spec.minReadySeconds ?? 0;
  const templateLabels = replicaSet.spec.template.metadata?.labels ?? {};
  let fullyLabeledReplicas = 0;
  let readyReplicas = 0;
  let availableReplicas = 0;
  let nextAvailableAt: number | undefined;
  for (const pod of active) {
    if (hasLabels(pod.metadata.labels, templateLabels)) fullyLabeledReplicas += 1;
    if (!isReady(pod)) continue;
    readyReplicas += 1;
    const at = availableAt(pod, minReadySeconds);
    if (at === undefined) continue;
    if (at <= now) availableReplicas += 1;
    else nextAvailableAt = Math.min(nextAvailableAt ?? at, at);
  }
  // The first report of a failure stays, with its time, until the ReplicaSet could act again.
  const known = replicaSet.status?.conditions?.find(({ type }) => type === "ReplicaFailure");
  const condition = failure === undefined ? undefined : (known ?? failure);
  const status: ReplicaSetStatus = {
    replicas: active.length,
    ...(fullyLabeledReplicas === 0 ? {} : { fullyLabeledReplicas }),
    ...(readyReplicas === 0 ? {} : { readyReplicas }),
    ...(availableReplicas === 0 ? {} : { availableReplicas }),
    ...(replicaSet.metadata.generation === undefined
      ? {}
      : { observedGeneration: replicaSet.metadata.generation }),
    ...(condition === undefined ? {} : { conditions: [condition] }),
  };
  return { status, nextAvailableAt };
}

export function isSameStatus(a: ReplicaSetStatus | undefined, b: ReplicaSetStatus): boolean {
  return (
    a !== undefined &&
    a.replicas === b.replicas &&
    (a.fullyLabeledReplicas ?? 0) === (b.fullyLabeledReplicas ?? 0) &&
    (a.readyReplicas ?? 0) === (b.readyReplicas ?? 0) &&
    (a.availableReplicas ?? 0) === (b.availableReplicas ?? 0) &&
    a.observedGeneration === b.observedGeneration &&
    a.conditions?.[0]?.reason === b.conditions?.[0]?.reason &&
    (a.conditions?.length ?? 0) === (b.conditions?.length ?? 0)
  );
}

function hasLabels(labels: StringMap | undefined, wanted: StringMap): boolean {
  for (const key in wanted) if (labels?.[key] !== wanted[key]) return false;
  return true;
}
