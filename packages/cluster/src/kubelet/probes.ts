/**
 * When a probe is due and what its answers mean. Timing is the kubelet's, without its start-up jitter: the first
 * probe as soon as the container runs (plus initialDelaySeconds), then every period on a fixed beat. Readiness
 * and liveness wait for the startup probe and then begin at once.
 */
import type { Container, Probe } from "@slipway/kube";

export type ProbeKind = "startup" | "readiness" | "liveness";
export const probeKinds: readonly ProbeKind[] = ["startup", "readiness", "liveness"];

export interface ProbeState {
  /** Infinity while something else must happen first. */
  readonly dueAtMs: number;
  readonly isInFlight: boolean;
  /** Equal answers in a row, and which. */
  readonly run: number;
  readonly lastOk: boolean | undefined;
}

export function probeOf(container: Container, kind: ProbeKind): Probe | undefined {
  switch (kind) {
    case "startup":
      return container.startupProbe;
    case "readiness":
      return container.readinessProbe;
    case "liveness":
      return container.livenessProbe;
  }
}

const idle = (dueAtMs: number): ProbeState => ({ dueAtMs, isInFlight: false, run: 0, lastOk: undefined });

export function firstProbes(
  container: Container,
  startedAtMs: number,
): Readonly<Partial<Record<ProbeKind, ProbeState>>> {
  const probes: Partial<Record<ProbeKind, ProbeState>> = {};
  for (const kind of probeKinds) {
    const probe = probeOf(container, kind);
    if (probe === undefined) continue;
    const waits = kind !== "startup" && container.startupProbe !== undefined;
    probes[kind] = idle(
      waits ? Number.POSITIVE_INFINITY : startedAtMs + (probe.initialDelaySeconds ?? 0) * 1000,
    );
  }
  return probes;
}

/** The startup probe has passed: the others begin now, or when their own initial delay is over. */
export function releaseProbes(
  container: Container,
  probes: Readonly<Partial<Record<ProbeKind, ProbeState>>>,
  startedAtMs: number,
  now: number,
): Readonly<Partial<Record<ProbeKind, ProbeState>>> {
  const released: Partial<Record<ProbeKind, ProbeState>> = {};
  for (const kind of ["readiness", "liveness"] as const) {
    const probe = probeOf(container, kind);
    if (probe === undefined) continue;
    released[kind] = idle(Math.max(now, startedAtMs + (probe.initialDelaySeconds ?? 0) * 1000));
  }
  const { startup: _, ...rest } = probes;
  return { ...rest, ...released };
}

/** A probe goes out: the next beat is a period after the one that was due, never in the past. */
export function sendProbe(probe: Probe, state: ProbeState, now: number): ProbeState {
  const periodMs = (probe.periodSeconds ?? 10) * 1000;
  const missed = Math.max(0, Math.floor((now - state.dueAtMs) / periodMs));
  return { ...state, isInFlight: true, dueAtMs: state.dueAtMs + (missed + 1) * periodMs };
}

/** Folds an answer in. `verdict` is set once as many equal answers have come as the threshold asks for. */
export function answerProbe(
  probe: Probe,
  state: ProbeState,
  isOk: boolean,
): { readonly state: ProbeState; readonly verdict: boolean | undefined } {
  const run = state.lastOk === isOk ? state.run + 1 : 1;
  const threshold = isOk ? (probe.successThreshold ?? 1) : (probe.failureThreshold ?? 3);
  return {
    state: { ...state, isInFlight: false, run, lastOk: isOk },
    verdict: run >= threshold ? isOk : undefined,
  };
}
