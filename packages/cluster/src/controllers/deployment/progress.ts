/**
 * Whether a rollout moves: the conditions of a Deployment and its progress deadline. The conditions are the memory of
 * the controller (`lastUpdateTime` of Progressing is when something last moved), so their order, times and reasons
 * follow upstream exactly; clients wait on them.
 *
 *   Progressing: NewReplicaSetCreated | FoundNewReplicaSet -> ReplicaSetUpdated … -> NewReplicaSetAvailable
 *                                                         -> ProgressDeadlineExceeded (status False)
 */
import type { Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet } from "@slipway/kube";
import { replicasOf } from "./strategy.ts";

const NO_DEADLINE = 2_147_483_647;

export function hasProgressDeadline(deployment: Deployment): boolean {
  const deadline = deployment.spec.progressDeadlineSeconds;
  return deadline !== undefined && deadline !== NO_DEADLINE;
}

export function conditionOf(
  status: DeploymentStatus | undefined,
  type: DeploymentCondition["type"],
): DeploymentCondition | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}

/** RFC 3339 with whole seconds, as Kubernetes stores times. */
export function timestamp(now: number): string {
  return new Date(now).toISOString().replace(/\.\d+Z$/, "Z");
}

export function condition(
  type: DeploymentCondition["type"],
  status: DeploymentCondition["status"],
  reason: string,
  message: string,
  now: number,
): DeploymentCondition {
  const time = timestamp(now);
  return { type, status, lastUpdateTime: time, lastTransitionTime: time, reason, message };
}

/** The same status and reason change nothing, times included; the same status alone keeps the transition time. */
export function withCondition(status: DeploymentStatus, next: DeploymentCondition): DeploymentStatus {
  const current = conditionOf(status, next.type);
  if (current?.status === next.status && current.reason === next.reason) return status;
  const kept =
    current?.status === next.status && current.lastTransitionTime !== undefined
      ? { ...next, lastTransitionTime: current.lastTransitionTime }
      : next;
  const others = (status.conditions ?? []).filter(({ type }) => type !== next.type);
  return { ...status, conditions: [...others, kept] };
}

export function withoutCondition(
  status: DeploymentStatus,
  type: DeploymentCondition["type"],
): DeploymentStatus {
  if (conditionOf(status, type) === undefined) return status;
  return { ...status, conditions: (status.conditions ?? []).filter((each) => each.type !== type) };
}

/** All pods are of the new template, available, and no other is left. */
export function isComplete(deployment: Deployment, status: DeploymentStatus): boolean {
  const replicas = replicasOf(deployment);
  return (
    (status.updatedReplicas ?? 0) === replicas &&
    (status.replicas ?? 0) === replicas &&
    (status.availableReplicas ?? 0) === replicas &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  );
}

/** More new pods, fewer old ones, more ready or more available than at the last look. */
function isProgressing(before: DeploymentStatus, after: DeploymentStatus): boolean {
  const old = (status: DeploymentStatus): number => (status.replicas ?? 0) - (status.updatedReplicas ?? 0);
  return (
    (after.updatedReplicas ?? 0) > (before.updatedReplicas ?? 0) ||
    old(after) < old(before) ||
    (after.readyReplicas ?? 0) > (before.readyReplicas ?? 0) ||
    (after.availableReplicas ?? 0) > (before.availableReplicas ?? 0)
  );
}

/** Whether the deadline has passed since the last sign of progress. Once exceeded it stays so until progress. */
export function isTimedOut(deployment: Deployment, status: DeploymentStatus, now: number): boolean {
  const progressing = conditionOf(status, "Progressing");
  if (!hasProgressDeadline(deployment) || progressing === undefined) return false;
  // A rollout that once succeeded cannot time out any more: what fails later is not the rollout.
  if (progressing.reason === "NewReplicaSetAvailable") return false;
  if (progressing.reason === "ProgressDeadlineExceeded") return true;
  return deadlineAt(deployment, progressing) < now;
}

/** How long until the deadline must be looked at again; undefined when it need not be. */
export function untilDeadlineMs(
  deployment: Deployment,
  status: DeploymentStatus,
  now: number,
): number | undefined {
  const progressing = conditionOf(status, "Progressing");
  if (!hasProgressDeadline(deployment) || progressing === undefined) return undefined;
  if (isComplete(deployment, status)) return undefined;
  // Neither a deadline that has passed nor one that was kept can pass any more.
  if (["ProgressDeadlineExceeded", "NewReplicaSetAvailable"].includes(progressing.reason ?? ""))
    return undefined;
  // Stored times have whole seconds; one more second makes sure that the deadline has passed when we look.
  return Math.max(0, deadlineAt(deployment, progressing) - now) + 1000;
}

function deadlineAt(deployment: Deployment, progressing: DeploymentCondition): number {
  const since = Date.parse(progressing.lastUpdateTime ?? progressing.lastTransitionTime ?? "");
  return since + (deployment.spec.progressDeadlineSeconds ?? 0) * 1000;
}

/** What the rollout's conditions should be after this look; `counted` has the new numbers and the old conditions. */
export function withProgress(
  deployment: Deployment,
  counted: DeploymentStatus,
  newReplicaSet: ReplicaSet | undefined,
  now: number,
): DeploymentStatus {
  if (!hasProgressDeadline(deployment)) return withoutCondition(counted, "Progressing");
  const current = conditionOf(counted, "Progressing");
  const isRolledOut =
    counted.replicas === counted.updatedReplicas && current?.reason === "NewReplicaSetAvailable";
  if (isRolledOut) return counted;
  const who =
    newReplicaSet === undefined
      ? `Deployment "${deployment.metadata.name}"`
      : `ReplicaSet "${newReplicaSet.metadata.name}"`;
  if (isComplete(deployment, counted)) {
    const message = `${who} has successfully progressed.`;
    return withCondition(counted, condition("Progressing", "True", "NewReplicaSetAvailable", message, now));
  }
  if (isProgressing(deployment.status ?? {}, counted)) {
    const next = condition("Progressing", "True", "ReplicaSetUpdated", `${who} is progressing.`, now);
    const kept =
      current?.status === "True" && current.lastTransitionTime !== undefined
        ? { ...next, lastTransitionTime: current.lastTransitionTime }
        : next;
    // Removed first: progress renews lastUpdateTime even when status and reason stay the same.
    return withCondition(withoutCondition(counted, "Progressing"), kept);
  }
  if (isTimedOut(deployment, counted, now)) {
    const message = `${who} has timed out progressing.`;
    return withCondition(
      counted,
      condition("Progressing", "False", "ProgressDeadlineExceeded", message, now),
    );
  }
  return counted;
}
