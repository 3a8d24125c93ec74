/**
 * Is an endpoint fit for traffic? Pure: a state, an observation and a time give the next state.
 *
 * Two sources feed it. Active checks (one every interval) need `unhealthyAfter` failures in a row to take an
 * endpoint out and `healthyAfter` successes to bring it back, so that it does not flap. A refused connection in
 * live traffic takes it out at once, because nothing is listening there; the next successful check brings it back.
 */
export interface Health {
  readonly state: "healthy" | "unhealthy" | "ejected";
  /** Checks in a row with the same outcome. */
  readonly streak: number;
  readonly lastOk: boolean;
  /** Why it is out, for `slipway local status` and the access log. */
  readonly reason: string | undefined;
}

export interface HealthPolicy {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly unhealthyAfter: number;
  readonly healthyAfter: number;
  /** HTTP path to check (2xx and 3xx pass); a TCP connect when absent. */
  readonly path: string | undefined;
}

export const defaultHealthPolicy: HealthPolicy = {
  intervalMs: 1000,
  timeoutMs: 1000,
  unhealthyAfter: 2,
  healthyAfter: 2,
  path: undefined,
};

/** New endpoints are ready by Kubernetes' own readiness probe, so they take traffic at once. */
export const initialHealth: Health = { state: "healthy", streak: 0, lastOk: true, reason: undefined };

export function afterCheck(
  health: Health,
  ok: boolean,
  reason: string | undefined,
  policy: HealthPolicy,
): Health {
  const streak = ok === health.lastOk ? health.streak + 1 : 1;
  const next = { ...health, streak, lastOk: ok };
  if (ok && health.state === "ejected") return { ...next, state: "healthy", reason: undefined };
  if (ok && health.state === "unhealthy" && streak >= policy.healthyAfter) {
    return { ...next, state: "healthy", reason: undefined };
  }
  if (!ok && health.state === "healthy" && streak >= policy.unhealthyAfter) {
    return { ...next, state: "unhealthy", reason: reason ?? "health check failed" };
  }
  return next;
}

export function afterRefusal(health: Health, reason: string): Health {
  return { ...health, state: "ejected", streak: 0, lastOk: false, reason };
}
