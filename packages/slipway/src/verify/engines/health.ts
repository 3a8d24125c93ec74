/**
 * Healthchecks as Docker counts them: healthy at the first success, unhealthy after `retries` failures in a row, one for
 * each interval, and none while the start period lasts. Until the first success it is asked more often than Docker asks,
 * so that nobody waits for an interval; what fails in between is not counted.
 */
import type { ContainerState, HealthcheckSpec } from "./engine.ts";

const EARLY_MS = 200;

export interface Health {
  readonly status: NonNullable<ContainerState["health"]>;
  readonly failures: number;
  /** The start, or the end of the last probe that counted. */
  readonly countedAtMs: number;
  readonly output: string | undefined;
}

export interface Probe {
  /** Undefined: it did not end in time. */
  readonly exitCode: number | undefined;
  readonly output: string;
  readonly endedAtMs: number;
}

export function freshHealth(startedAtMs: number): Health {
  return { status: "starting", failures: 0, countedAtMs: startedAtMs, output: undefined };
}

export function afterProbe(
  check: HealthcheckSpec,
  before: Health,
  probe: Probe,
  startedAtMs: number,
): Health {
  const { output, endedAtMs } = probe;
  if (probe.exitCode === 0) return { status: "healthy", failures: 0, countedAtMs: endedAtMs, output };
  const isStarting = before.status === "starting";
  const isSpared = isStarting && endedAtMs - startedAtMs < check.startPeriodMs;
  const isEarly = isStarting && endedAtMs - before.countedAtMs < check.intervalMs;
  if (isEarly) return { ...before, output };
  if (isSpared) return { ...before, countedAtMs: endedAtMs, output };
  const failures = before.failures + 1;
  return {
    status: failures >= check.retries ? "unhealthy" : before.status,
    failures,
    countedAtMs: endedAtMs,
    output,
  };
}

/** The wait before the next probe. */
export function probeDelay(check: HealthcheckSpec, health: Health): number {
  return health.status === "starting" ? Math.min(check.intervalMs, EARLY_MS) : check.intervalMs;
}
