/**
 * The pod lifecycle as one pure step: from the pod, what has been reported so far, and the time, to what should
 * be done now and when to look again. Actions that take time are marked in the returned state, so that the same
 * step can be taken again at any moment without doing anything twice.
 */
import type { Container, Pod } from "@slipway/kube";
import { backoffLeftMs, nextBackoff } from "./backoff.ts";
import { type ProbeKind, probeKinds, probeOf, sendProbe } from "./probes.ts";
import {
  allContainers,
  type ContainerPhase,
  type ContainerState,
  containerState,
  isSidecar,
  type PodState,
  type Stop,
  withContainer,
} from "./state.ts";

export type Action =
  | { readonly do: "start-pod" }
  | { readonly do: "start-container"; readonly container: string; readonly attempt: number }
  | { readonly do: "post-start"; readonly container: string; readonly id: string }
  | { readonly do: "pre-stop"; readonly container: string; readonly id: string; readonly timeoutMs: number }
  /** `stop` is the image's STOPSIGNAL. */
  | { readonly do: "signal"; readonly container: string; readonly signal: "stop" | "SIGKILL" }
  | { readonly do: "probe"; readonly container: string; readonly id: string; readonly probe: ProbeKind }
  | { readonly do: "stop-pod" }
  /** Everything has stopped: the API object may go (grace 0), and the logs with it. */
  | { readonly do: "finish" };

export interface PodEvent {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
  /** Container the event is about, for `involvedObject.fieldPath`. */
  readonly container?: string;
}

export interface Step {
  readonly state: PodState;
  readonly actions: readonly Action[];
  readonly events: readonly PodEvent[];
  /** Wall time at which to look again; Infinity when only reports can change anything. */
  readonly wakeAtMs: number;
}

/** After the preStop hook a container always gets this long between its stop signal and SIGKILL. */
const MINIMUM_GRACE_MS = 2_000;
/** `deletionTimestamp` is when the grace period ends; this much later a pod that still is there is forced. */
const OVERDUE_MS = 5_000;
/** A pull that failed shows its own error for this long, then that it backs off. */
export const PULL_ERROR_SHOWN_MS = 1_000;

/** `pod` undefined: the object is gone (forced deletion), so everything ends at once. */
export function decidePod(pod: Pod | undefined, state: PodState, now: number): Step {
  const draft = new Draft(state, now);
  if (pod === undefined) draft.abandon();
  else if (pod.metadata.deletionTimestamp !== undefined) draft.terminate(pod);
  else if (state.hasEnded || state.failure !== undefined) draft.end(pod);
  else draft.run(pod);
  return { state: draft.state, actions: draft.actions, events: draft.events, wakeAtMs: draft.wakeAtMs };
}

/** Collects the outcome of one step; lives for one call of `decidePod`. */
class Draft {
  state: PodState;
  readonly actions: Action[] = [];
  readonly events: PodEvent[] = [];
  wakeAtMs = Number.POSITIVE_INFINITY;
  readonly #now: number;

  constructor(state: PodState, now: number) {
    this.state = state;
    this.#now = now;
  }

  abandon(): void {
    if (this.state.sandbox.kind === "stopped") this.actions.push({ do: "finish" });
    else this.#stopSandbox();
  }

  terminate(pod: Pod): void {
    const graceMs = (pod.metadata.deletionGracePeriodSeconds ?? 30) * 1000;
    if (this.#stopContainers(pod, graceMs) || this.#isOverdue(pod)) this.#stopSandbox();
    if (this.state.sandbox.kind === "stopped") this.actions.push({ do: "finish" });
  }

  /** A start that hangs (a slow pull) must not hold a deletion for ever: the runtime then ends what there is. */
  #isOverdue(pod: Pod): boolean {
    const overdueMs = Date.parse(pod.metadata.deletionTimestamp ?? "") + OVERDUE_MS;
    if (this.#now >= overdueMs) return true;
    if (this.state.sandbox.kind !== "stopped") this.#wakeAt(overdueMs);
    return false;
  }

  /** Containers first, then the network; the object stays for people to read. */
  end(pod: Pod): void {
    const graceMs = (pod.spec.terminationGracePeriodSeconds ?? 30) * 1000;
    if (this.#stopContainers(pod, graceMs)) this.#stopSandbox();
  }

  run(pod: Pod): void {
    if (this.#deadlineHasPassed(pod)) return this.end(pod);
    const { sandbox } = this.state;
    switch (sandbox.kind) {
      case "none":
        return this.#startSandbox(0);
      case "failed":
        if (sandbox.retryAtMs > this.#now) return this.#wakeAt(sandbox.retryAtMs);
        return this.#startSandbox(sandbox.failures);
      case "ready":
        return this.#runContainers(pod);
      case "starting":
      case "stopping":
      case "stopped":
        return;
    }
  }

  #startSandbox(failures: number): void {
    this.state = { ...this.state, sandbox: { kind: "starting", failures } };
    this.actions.push({ do: "start-pod" });
  }

  #deadlineHasPassed(pod: Pod): boolean {
    const seconds = pod.spec.activeDeadlineSeconds;
    if (seconds === undefined) return false;
    const deadlineMs = this.state.acceptedAtMs + seconds * 1000;
    if (this.#now < deadlineMs) {
      this.#wakeAt(deadlineMs);
      return false;
    }
    const message = "Pod was active on the node longer than the specified deadline";
    this.state = { ...this.state, failure: { reason: "DeadlineExceeded", message } };
    this.events.push({ type: "Normal", reason: "DeadlineExceeded", message });
    return true;
  }

  /** Init steps one after another, sidecars among them; then all containers together. */
  #runContainers(pod: Pod): void {
    const inits = pod.spec.initContainers ?? [];
    const current = this.state.isInitialized
      ? -1
      : inits.findIndex((container) => !this.#isInitDone(pod, container));
    if (this.state.hasEnded) return this.end(pod);
    if (current >= 0) {
      const begun = inits.slice(0, current).filter(isSidecar);
      for (const container of [...begun, inits[current] as Container]) this.#advance(pod, container);
      return;
    }
    this.state = { ...this.state, isInitialized: true };
    for (const container of inits.filter(isSidecar)) this.#advance(pod, container);
    for (const container of pod.spec.containers) this.#advance(pod, container);
    if (pod.spec.containers.every((container) => this.#isOver(pod, container))) {
      // The work is done; sidecars have nothing left to serve.
      this.state = { ...this.state, hasEnded: true };
      this.end(pod);
    }
  }

  #isInitDone(pod: Pod, container: Container): boolean {
    const { phase } = containerState(this.state, container.name);
    if (isSidecar(container)) return phase.kind === "running" && phase.isStarted;
    const done = phase.kind === "exited" && phase.exit.exitCode === 0;
    if (done || pod.spec.restartPolicy !== "Never") return done;
    // A failed init step of a pod that never restarts fails the pod.
    if (phase.kind === "exited") this.state = { ...this.state, hasEnded: true };
    return false;
  }

  #isOver(pod: Pod, container: Container): boolean {
    const { phase } = containerState(this.state, container.name);
    return phase.kind === "exited" && !mayRestart(pod, container, phase.exit.exitCode);
  }

  /** Brings one container as far as it can come now. */
  #advance(pod: Pod, container: Container): void {
    const own = containerState(this.state, container.name);
    switch (own.phase.kind) {
      case "starting":
        return;
      case "waiting":
        return this.#start(container, { attempt: own.attempt });
      case "blocked":
        if (own.phase.retryAtMs <= this.#now) return this.#start(container, { attempt: own.attempt });
        this.#wakeAt(own.phase.retryAtMs);
        if (own.phase.sinceMs + PULL_ERROR_SHOWN_MS > this.#now) {
          this.#wakeAt(own.phase.sinceMs + PULL_ERROR_SHOWN_MS);
        }
        return;
      case "running":
        if (own.phase.doomed !== undefined) return this.#stop(container, own.phase.doomed);
        if (own.phase.image !== (container.image ?? "")) return this.#replace(pod, container, own.phase);
        return this.#probe(container, probeKinds);
      case "exited":
        if (!mayRestart(pod, container, own.phase.exit.exitCode)) return;
        return this.#restart(pod, container, own);
    }
  }

  #replace(pod: Pod, container: Container, phase: Extract<ContainerPhase, { kind: "running" }>): void {
    const message = `Container ${container.name} definition changed, will be restarted`;
    const doomed = { message, graceMs: (pod.spec.terminationGracePeriodSeconds ?? 30) * 1000 };
    this.state = withContainer(this.state, container.name, { phase: { ...phase, doomed } });
    this.#stop(container, doomed);
  }

  #restart(pod: Pod, container: Container, own: ContainerState): void {
    if (own.phase.kind !== "exited") return;
    const { exit } = own.phase;
    // Init steps that succeeded run again only in a new sandbox, where nothing has failed.
    const failedAtMs = exit.finishedAtMs;
    const leftMs = backoffLeftMs(own.crashBackoff, failedAtMs, this.#now);
    if (leftMs > 0) {
      this.#tellBackOff(pod, container, own.phase);
      this.#wakeAt(this.#now + leftMs);
      return;
    }
    this.#start(container, {
      attempt: own.attempt + 1,
      last: exit,
      crashBackoff: nextBackoff(own.crashBackoff, failedAtMs, this.#now),
    });
  }

  /** Once per wait, as soon as it begins; upstream says it again with each of its rounds. */
  #tellBackOff(pod: Pod, container: Container, phase: Extract<ContainerPhase, { kind: "exited" }>): void {
    if (phase.isBackOffTold === true) return;
    const { name, namespace, uid } = pod.metadata;
    this.events.push({
      type: "Warning",
      reason: "BackOff",
      message: `Back-off restarting failed container ${container.name} in pod ${name}_${namespace}(${uid})`,
      container: container.name,
    });
    this.state = withContainer(this.state, container.name, { phase: { ...phase, isBackOffTold: true } });
  }

  #start(container: Container, change: Partial<ContainerState> & { readonly attempt: number }): void {
    this.state = withContainer(this.state, container.name, { ...change, phase: { kind: "starting" } });
    this.actions.push({ do: "start-container", container: container.name, attempt: change.attempt });
  }

  #probe(container: Container, kinds: readonly ProbeKind[]): void {
    const own = containerState(this.state, container.name);
    if (own.phase.kind !== "running") return;
    const { id, postStart, stop } = own.phase;
    if (stop === undefined && postStart === "none" && container.lifecycle?.postStart !== undefined) {
      this.state = withContainer(this.state, container.name, {
        phase: { ...own.phase, postStart: "running" },
      });
      this.actions.push({ do: "post-start", container: container.name, id });
      return;
    }
    if (postStart === "running") return;
    let probes = own.phase.probes;
    for (const kind of kinds) {
      const probe = probeOf(container, kind);
      const state = probes[kind];
      if (probe === undefined || state === undefined || state.isInFlight) continue;
      if (state.dueAtMs > this.#now) {
        this.#wakeAt(state.dueAtMs);
        continue;
      }
      probes = { ...probes, [kind]: sendProbe(probe, state, this.#now) };
      this.actions.push({ do: "probe", container: container.name, id, probe: kind });
    }
    this.state = withContainer(this.state, container.name, { phase: { ...own.phase, probes } });
  }

  /** True once nothing runs any more. Sidecars outlive the containers they serve. */
  #stopContainers(pod: Pod, graceMs: number): boolean {
    const running = allContainers(pod).filter(({ name }) => isUp(containerState(this.state, name)));
    const mains = running.filter((container) => !isSidecar(container));
    for (const container of mains.length > 0 ? mains : running) {
      this.#stop(container, { message: `Stopping container ${container.name}`, graceMs });
      // Readiness goes on being asked while a pod ends: its endpoints' `serving` condition depends on it.
      this.#probe(container, ["readiness"]);
    }
    return running.length === 0;
  }

  /** One container's way out: preStop, the stop signal, SIGKILL. Called again on every step until it has exited. */
  #stop(container: Container, how: { readonly message: string; readonly graceMs: number }): void {
    const { phase } = containerState(this.state, container.name);
    if (phase.kind !== "running") return;
    const hook = container.lifecycle?.preStop;
    let stop: Stop;
    if (phase.stop === undefined) {
      const runsHook = hook !== undefined && how.graceMs > 0;
      const isFirst = { sinceMs: this.#now, graceMs: how.graceMs, killAtMs: undefined, isKilled: false };
      stop = { ...isFirst, preStop: runsHook ? "running" : "none" };
      this.events.push({
        type: "Normal",
        reason: "Killing",
        message: how.message,
        container: container.name,
      });
      if (runsHook) {
        const { id } = phase;
        this.actions.push({ do: "pre-stop", container: container.name, id, timeoutMs: how.graceMs });
      }
    } else {
      // A second deletion may only shorten the grace period.
      const graceMs = Math.min(phase.stop.graceMs, how.graceMs);
      const shortened = phase.stop.graceMs - graceMs;
      const { killAtMs } = phase.stop;
      stop = { ...phase.stop, graceMs, killAtMs: killAtMs === undefined ? undefined : killAtMs - shortened };
    }
    stop = this.#signal(container.name, stop);
    this.state = withContainer(this.state, container.name, { phase: { ...phase, stop } });
  }

  #signal(container: string, stop: Stop): Stop {
    const endsAtMs = stop.sinceMs + stop.graceMs;
    if (stop.preStop === "running" && this.#now < endsAtMs) {
      this.#wakeAt(endsAtMs);
      return stop;
    }
    if (stop.killAtMs === undefined) {
      if (stop.graceMs === 0) {
        this.actions.push({ do: "signal", container, signal: "SIGKILL" });
        return { ...stop, killAtMs: this.#now, isKilled: true };
      }
      this.actions.push({ do: "signal", container, signal: "stop" });
      const minimumMs = stop.preStop === "none" ? 0 : MINIMUM_GRACE_MS;
      const killAtMs = Math.max(endsAtMs, this.#now + minimumMs);
      this.#wakeAt(killAtMs);
      return { ...stop, killAtMs };
    }
    if (!stop.isKilled && this.#now >= stop.killAtMs) {
      this.actions.push({ do: "signal", container, signal: "SIGKILL" });
      return { ...stop, isKilled: true };
    }
    if (!stop.isKilled) this.#wakeAt(stop.killAtMs);
    return stop;
  }

  #stopSandbox(): void {
    switch (this.state.sandbox.kind) {
      case "none":
      case "failed":
        this.state = { ...this.state, sandbox: { kind: "stopped" } };
        return;
      case "ready":
      case "starting":
        this.state = { ...this.state, sandbox: { kind: "stopping" } };
        this.actions.push({ do: "stop-pod" });
        return;
      case "stopping":
      case "stopped":
        return;
    }
  }

  #wakeAt(ms: number): void {
    this.wakeAtMs = Math.min(this.wakeAtMs, ms);
  }
}

const isUp = ({ phase }: ContainerState): boolean => phase.kind === "running" || phase.kind === "starting";

/** The pod's restartPolicy; a sidecar always restarts, and an init step of an Always pod does so on failure. */
export function mayRestart(pod: Pod, container: Container, exitCode: number): boolean {
  if (isSidecar(container)) return true;
  const isInit = pod.spec.initContainers?.includes(container) === true;
  switch (pod.spec.restartPolicy ?? "Always") {
    case "Always":
      return !isInit || exitCode !== 0;
    case "OnFailure":
      return exitCode !== 0;
    case "Never":
      return false;
  }
}
