/**
 * How many pods may be too many and how many too few: `maxSurge` and `maxUnavailable` as numbers. A percentage is of
 * the wanted replicas; surge rounds up, unavailable rounds down, so that rounding favours the service.
 *
 *   replicas  25%/25%          10%/0            0%/10%
 *          1  surge 1, un. 0   surge 1, un. 0   surge 0, un. 1 (both were 0: nothing could move)
 *          3  surge 1, un. 0   surge 1, un. 0   surge 0, un. 1
 *         10  surge 3, un. 2   surge 1, un. 0   surge 0, un. 1
 *         50  surge 13, un. 12 surge 5, un. 0   surge 0, un. 5
 */
import type { Deployment, IntOrString } from "@slipway/kube";

/** Kubernetes' defaults, for objects that were never defaulted by an API server. */
const DEFAULT_LIMIT = "25%";

export interface Limits {
  /** Wanted pods. */
  readonly replicas: number;
  readonly maxSurge: number;
  readonly maxUnavailable: number;
  /** The ceiling: replicas + maxSurge. */
  readonly maxTotal: number;
  /** The floor: replicas - maxUnavailable. */
  readonly minAvailable: number;
}

export function limitsOf(deployment: Deployment): Limits {
  const replicas = replicasOf(deployment);
  const { maxSurge, maxUnavailable } = isRollingUpdate(deployment)
    ? resolveLimits(
        replicas,
        deployment.spec.strategy?.rollingUpdate?.maxSurge ?? DEFAULT_LIMIT,
        deployment.spec.strategy?.rollingUpdate?.maxUnavailable ?? DEFAULT_LIMIT,
      )
    : { maxSurge: 0, maxUnavailable: 0 };
  return {
    replicas,
    maxSurge,
    maxUnavailable,
    maxTotal: replicas + maxSurge,
    minAvailable: replicas - maxUnavailable,
  };
}

/** Both numbers; never both 0, since then no rollout could take a step: one pod may go. */
export function resolveLimits(
  replicas: number,
  maxSurge: IntOrString,
  maxUnavailable: IntOrString,
): { readonly maxSurge: number; readonly maxUnavailable: number } {
  const surge = scaled(maxSurge, replicas, Math.ceil);
  const unavailable = scaled(maxUnavailable, replicas, Math.floor);
  // Upstream compares before it bounds: with 0 replicas the rule gives 1, and the bound takes it back.
  const atLeastOne = surge === 0 && unavailable === 0 ? 1 : unavailable;
  return { maxSurge: surge, maxUnavailable: Math.min(atLeastOne, replicas) };
}

function scaled(value: IntOrString, total: number, round: (value: number) => number): number {
  if (typeof value === "number") return value;
  return round((Number.parseInt(value, 10) * total) / 100);
}

export function isRollingUpdate(deployment: Deployment): boolean {
  return (deployment.spec.strategy?.type ?? "RollingUpdate") === "RollingUpdate";
}

export function replicasOf(deployment: Deployment): number {
  return deployment.spec.replicas ?? 1;
}
