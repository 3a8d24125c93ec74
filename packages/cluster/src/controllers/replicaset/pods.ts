/** What a ReplicaSet asks of a pod. A pod is active until it ends or is being deleted. */
import type { Pod } from "@slipway/kube";

export function isActive(pod: Pod): boolean {
  const phase = pod.status?.phase;
  return phase !== "Succeeded" && phase !== "Failed" && pod.metadata.deletionTimestamp === undefined;
}

export function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
}

/**
 * When a ready pod counts as available, in ms since the epoch; undefined while it is not ready. A pod that became
 * ready at 10 s counts from 15 s on with minReadySeconds 5, and at once with 0.
 */
export function availableAt(pod: Pod, minReadySeconds: number): number | undefined {
  const ready = pod.status?.conditions?.find(({ type }) => type === "Ready");
  if (ready?.status !== "True") return undefined;
  if (minReadySeconds === 0) return Number.NEGATIVE_INFINITY;
  if (ready.lastTransitionTime === undefined) return undefined;
  return Date.parse(ready.lastTransitionTime) + minReadySeconds * 1000;
}

export function isAvailable(pod: Pod, minReadySeconds: number, now: number): boolean {
  const at = availableAt(pod, minReadySeconds);
  return at !== undefined && at <= now;
}
