/** A Deployment: new are the pods of the ReplicaSet of its current revision, done is what `kubectl rollout status` calls so. */
import { limitsOf } from "@slipway/cluster/scheduling";
import type { Deployment, Pod, ReplicaSet } from "@slipway/kube";
import { refusedByEvents, refusedPods } from "./creation.ts";
import type { Finding } from "./finding.ts";
import {
  hasObserved,
  isCurrent,
  isOwnedBy,
  type WorkloadSurroundings,
  type WorkloadView,
} from "./workload.ts";

const REVISION = "deployment.kubernetes.io/revision";

export function viewDeployment(
  deployment: Deployment,
  around: WorkloadSurroundings,
  oldPods: "wait" | "report",
): WorkloadView {
  const parts = partsOf(deployment, around);
  const isComplete = isDone(deployment, oldPods);
  const wanted = deployment.spec.replicas ?? 1;
  const limits = limitsOf(deployment);
  const findings: Finding[] = [];
  if (deployment.spec.paused === true && !isComplete) {
    findings.push({ code: "RolloutPaused", key: "paused", why: "the Deployment is paused", budgetMs: 0 });
  }
  const refused = isComplete ? undefined : refusal(deployment, parts.newReplicaSet, around);
  if (refused !== undefined) {
    const isBetweenPods = parts.newPods.some(isThere) && parts.oldPods.length > 0;
    findings.push(refusedPods(refused, { leavingMs: around.leavingMs, isBetweenPods }));
  }
  return {
    newPods: parts.newPods,
    oldPods: parts.oldPods,
    ...(parts.newReplicaSet === undefined
      ? {}
      : { place: { replicaSet: parts.newReplicaSet.metadata.name } }),
    isObserved: hasObserved(deployment, around.generation),
    isComplete,
    wanted,
    available: parts.newReplicaSet?.status?.availableReplicas ?? 0,
    room: Math.max(1, limits.maxSurge + limits.maxUnavailable),
    findings,
    pending: pending(deployment, parts.newReplicaSet, wanted),
    deadlineSeconds: hasExceededDeadline(deployment)
      ? (deployment.spec.progressDeadlineSeconds ?? 600)
      : undefined,
    notes: [],
  };
}

interface Parts {
  readonly newReplicaSet: ReplicaSet | undefined;
  readonly newPods: readonly Pod[];
  readonly oldPods: readonly Pod[];
}

function partsOf(deployment: Deployment, around: WorkloadSurroundings): Parts {
  const owned = around.replicaSets.filter((replicaSet) => isOwnedBy(replicaSet, deployment.metadata.uid));
  const revision = deployment.metadata.annotations?.[REVISION];
  // Before the controller has seen the change, the newest ReplicaSet is still the one of the release before.
  const newReplicaSet = hasObserved(deployment, around.generation)
    ? owned.find((replicaSet) => replicaSet.metadata.annotations?.[REVISION] === revision)
    : undefined;
  const uids = new Set(owned.map((replicaSet) => replicaSet.metadata.uid));
  const pods = around.pods.filter((pod) => {
    const owner = pod.metadata.ownerReferences?.find((reference) => reference.controller === true);
    return owner !== undefined && uids.has(owner.uid);
  });
  const newUid = newReplicaSet?.metadata.uid;
  const isNew = (pod: Pod): boolean => newUid !== undefined && isOwnedBy(pod, newUid);
  return {
    newReplicaSet,
    newPods: pods.filter((pod) => isNew(pod)),
    oldPods: pods.filter((pod) => !isNew(pod) && isThere(pod)),
  };
}

/** A pod that has ended as a whole stays as an object until it is collected; nobody waits for it. */
function isThere(pod: Pod): boolean {
  return pod.status?.phase !== "Failed" && pod.status?.phase !== "Succeeded";
}

function isDone(deployment: Deployment, oldPods: "wait" | "report"): boolean {
  const wanted = deployment.spec.replicas ?? 1;
  const { updatedReplicas = 0, replicas = 0, availableReplicas = 0 } = deployment.status ?? {};
  if (!isCurrent(deployment) || updatedReplicas !== wanted) return false;
  return oldPods === "wait"
    ? replicas === wanted && availableReplicas === wanted
    : // Old pods count as available too while they are there, so all but them must be.
      availableReplicas >= wanted + (replicas - updatedReplicas);
}

/** The condition appears with the first refusal and keeps its words; the newest event has the newest. */
function refusal(
  deployment: Deployment,
  replicaSet: ReplicaSet | undefined,
  around: WorkloadSurroundings,
): string | undefined {
  const condition =
    replicaSet?.status?.conditions?.find((one) => one.type === "ReplicaFailure" && one.status === "True") ??
    deployment.status?.conditions?.find((one) => one.type === "ReplicaFailure" && one.status === "True");
  const isShort =
    replicaSet !== undefined && (replicaSet.status?.replicas ?? 0) < (replicaSet.spec.replicas ?? 1);
  const told = refusedByEvents(around.events, replicaSet?.metadata.uid);
  if (condition !== undefined) return told ?? condition.message ?? condition.reason ?? "no reason given";
  // The event may be there before the condition; after it, a ReplicaSet with all its pods has got over it.
  return isShort ? told : undefined;
}

function pending(deployment: Deployment, replicaSet: ReplicaSet | undefined, wanted: number): Finding {
  const available = replicaSet?.status?.availableReplicas ?? 0;
  const ready = replicaSet?.status?.readyReplicas ?? 0;
  if (ready > available) {
    const seconds = deployment.spec.minReadySeconds ?? 0;
    return {
      code: "MinReadySeconds",
      key: "min-ready",
      why: `${ready - available} of ${wanted} pods are ready but not yet for ${seconds} s`,
      budgetMs: undefined,
    };
  }
  if (available >= wanted) {
    const old = (deployment.status?.replicas ?? 0) - (deployment.status?.updatedReplicas ?? 0);
    return {
      code: "OldPodsTerminating",
      key: "old-pods",
      why: `${available} of ${wanted} new pods are available, ${Math.max(old, 0)} old ones are to go`,
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

function hasExceededDeadline(deployment: Deployment): boolean {
  return (
    deployment.status?.conditions?.some(
      (condition) => condition.type === "Progressing" && condition.reason === "ProgressDeadlineExceeded",
    ) ?? false
  );
}
