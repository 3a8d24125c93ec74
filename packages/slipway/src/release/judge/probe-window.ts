import type { Container, Probe } from "@slipway/kube";

/**
 * How long a container that has started may fail its readiness probe before that means something, in milliseconds,
 * counted from `containerStatuses[].started`. The rule is kubedog's: enough time for one failure threshold to run
 * out and the probe to recover,
 *
 *   max(0, D + 2·timeout + (failureThreshold + successThreshold − 3)·period + period/2)
 *
 * with D = period + initialDelay. After a startup probe D is smaller, because the readiness probe has been waiting:
 * with S its longest duration (period + initialDelay + (failure + success − 1)·period + timeout, and one readiness
 * period), D = period if S exceeds period + initialDelay, else the difference.
 * The API's defaults (0, 1, 10, 3, 1) give 27 s.
 */
export function readinessWindowMs(container: Container): number {
  const probe = container.readinessProbe;
  if (probe === undefined) return 0;
  const { period, initialDelay, timeout, failure, success } = numbersOf(probe);
  if (failure === 1) return 0;
  let d = period + initialDelay;
  if (container.startupProbe !== undefined) {
    const startup = numbersOf(container.startupProbe);
    const longest =
      startup.period +
      startup.initialDelay +
      (startup.failure + startup.success - 1) * startup.period +
      startup.timeout +
      period;
    d = longest > d ? period : d - longest;
  }
  return 1000 * Math.max(0, d + 2 * timeout + (failure + success - 3) * period + period / 2);
}

/**
 * A window shorter than this says nothing about a program that is still starting and has no startup probe: with a
 * period of 1 s the rule above gives 4.5 s, which a loaded machine needs to start a process. docs/adr/0010 has the cases.
 */
export const MINIMUM_READINESS_WINDOW_MS = 15_000;

/**
 * Where nothing listens, the program is still starting, or has already ended and a busy kubelet has not said so: seen
 * 23 s late on a real node. Then nobody is judged by less than the window of the API's defaults.
 */
export const SILENT_PROGRAM_WINDOW_MS = 27_000;

function numbersOf(probe: Probe): {
  period: number;
  initialDelay: number;
  timeout: number;
  failure: number;
  success: number;
} {
  return {
    period: probe.periodSeconds ?? 10,
    initialDelay: probe.initialDelaySeconds ?? 0,
    timeout: probe.timeoutSeconds ?? 1,
    failure: probe.failureThreshold ?? 3,
    success: probe.successThreshold ?? 1,
  };
}
