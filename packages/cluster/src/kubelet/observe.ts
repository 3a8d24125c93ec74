/** Folds what the runtime and the hooks report into a pod's state. Pure; reports of older attempts change nothing. */
import type { Container, Pod } from "@slipway/kube";
import { type Backoff, backoffLeftMs, goDuration, nextBackoff } from "./backoff.ts";
import type { PodEvent } from "./decide.ts";
import { answerProbe, firstProbes, type ProbeKind, probeOf, releaseProbes } from "./probes.ts";
import { allContainers, containerState, type Exit, type PodState, withContainer } from "./state.ts";

export type Observation =
  | { readonly saw: "pod-started"; readonly podIP: string }
  | { readonly saw: "pod-start-failed"; readonly message: string }
  | { readonly saw: "pod-stopped" }
  | {
      readonly saw: "container-started";
      readonly container: string;
      readonly id: string;
      readonly imageId: string;
      readonly startedAtMs: number;
    }
  | {
      readonly saw: "container-refused";
      readonly container: string;
      readonly reason: string;
      readonly message: string;
    }
  | { readonly saw: "container-exited"; readonly container: string; readonly exit: Omit<Exit, "imageId"> }
  | {
      readonly saw: "post-start-ended";
      readonly container: string;
      readonly id: string;
      readonly error: string | undefined;
    }
  | {
      readonly saw: "pre-stop-ended";
      readonly container: string;
      readonly id: string;
      readonly error: string | undefined;
    }
  | {
      readonly saw: "probe-answered";
      readonly container: string;
      readonly id: string;
      readonly probe: ProbeKind;
      readonly isOk: boolean;
      readonly message: string;
    }
  /** Something the start was waiting for (a ConfigMap, a Secret) has changed. */
  | { readonly saw: "dependencies-changed" };

export interface Observed {
  readonly state: PodState;
  readonly events: readonly PodEvent[];
}

type Saw<Name extends Observation["saw"]> = Extract<Observation, { saw: Name }>;

/** How long a refusal for a missing ConfigMap, Secret or volume stands before it is tried again unasked. */
const CONFIG_RETRY_MS = 10_000;
/** A sandbox that could not be made is tried again after 1 s, doubling to a minute. */
const SANDBOX_RETRY_MS = 1_000;

export function observe(pod: Pod, state: PodState, observation: Observation, now: number): Observed {
  switch (observation.saw) {
    case "pod-started":
      if (state.sandbox.kind !== "starting") return { state, events: [] };
      return { state: { ...state, sandbox: { kind: "ready", podIP: observation.podIP } }, events: [] };
    case "pod-start-failed":
      return podStartFailed(state, observation, now);
    case "pod-stopped":
      return { state: stopEverything(state, now), events: [] };
    case "container-started":
      return containerStarted(pod, state, observation);
    case "container-refused":
      return containerRefused(pod, state, observation, now);
    case "container-exited":
      return { state: containerExited(state, observation), events: [] };
    case "post-start-ended":
      return postStartEnded(pod, state, observation);
    case "pre-stop-ended":
      return preStopEnded(state, observation);
    case "probe-answered":
      return probeAnswered(pod, state, observation, now);
    case "dependencies-changed":
      return { state: retryBlocked(state, now), events: [] };
  }
}

function podStartFailed(state: PodState, { message }: Saw<"pod-start-failed">, now: number): Observed {
  if (state.sandbox.kind !== "starting") return { state, events: [] };
  const { failures } = state.sandbox;
  const retryAtMs = now + Math.min(60_000, SANDBOX_RETRY_MS * 2 ** failures);
  return {
    state: { ...state, sandbox: { kind: "failed", message, retryAtMs, failures: failures + 1 } },
    events: [
      {
        type: "Warning",
        reason: "FailedCreatePodSandBox",
        message: `Failed to create pod sandbox: ${message}`,
      },
    ],
  };
}

/** The runtime has killed whatever was left; exits that it did not report are written down here. */
function stopEverything(state: PodState, now: number): PodState {
  let next: PodState = { ...state, sandbox: { kind: "stopped" } };
  for (const [name, { phase }] of Object.entries(state.containers)) {
    if (phase.kind !== "running") continue;
    const { id, imageId, startedAtMs } = phase;
    const exit = {
      id,
      imageId,
      exitCode: 137,
      signal: undefined,
      reason: "Error",
      message: "",
      startedAtMs,
      finishedAtMs: now,
    };
    next = withContainer(next, name, { phase: { kind: "exited", exit } });
  }
  return next;
}

function containerStarted(pod: Pod, state: PodState, seen: Saw<"container-started">): Observed {
  const container = specOf(pod, seen.container);
  const own = containerState(state, seen.container);
  if (container === undefined || own.phase.kind !== "starting") return { state, events: [] };
  const isStarted = container.startupProbe === undefined && container.lifecycle?.postStart === undefined;
  const phase = {
    kind: "running" as const,
    id: seen.id,
    imageId: seen.imageId,
    image: container.image ?? "",
    startedAtMs: seen.startedAtMs,
    postStart: "none" as const,
    isStarted,
    isReady: isStarted && container.readinessProbe === undefined,
    probes: firstProbes(container, seen.startedAtMs),
    doomed: undefined,
    stop: undefined,
  };
  const about = { type: "Normal" as const, container: seen.container };
  return {
    state: withContainer(state, seen.container, { phase, pullBackoff: undefined }),
    events: [
      { ...about, reason: "Created", message: `Created container: ${seen.container}` },
      { ...about, reason: "Started", message: `Started container ${seen.container}` },
    ],
  };
}

function containerRefused(pod: Pod, state: PodState, seen: Saw<"container-refused">, now: number): Observed {
  const own = containerState(state, seen.container);
  if (own.phase.kind !== "starting") return { state, events: [] };
  const image = specOf(pod, seen.container)?.image ?? "";
  const about = { type: "Warning" as const, reason: "Failed", container: seen.container };
  switch (seen.reason) {
    case "ErrImagePull":
    case "ErrImageNeverPull":
    case "InvalidImageName": {
      const pullBackoff = nextBackoff(own.pullBackoff, now, now);
      const retryAtMs = now + pullBackoff.delayMs;
      const phase = { kind: "blocked" as const, ...pick(seen), sinceMs: now, retryAtMs };
      const detail =
        seen.reason === "ErrImagePull" ? `Failed to pull image "${image}": ${seen.message}` : seen.message;
      return {
        state: withContainer(state, seen.container, { phase, pullBackoff }),
        events: [
          { ...about, message: detail },
          { ...about, message: `Error: ${seen.reason}` },
        ],
      };
    }
    case "RunContainerError":
      return runError(state, seen, now);
    default: {
      const phase = {
        kind: "blocked" as const,
        ...pick(seen),
        sinceMs: now,
        retryAtMs: now + CONFIG_RETRY_MS,
      };
      const isMount = seen.reason === "FailedMount";
      return {
        state: withContainer(state, seen.container, { phase }),
        events: [
          isMount
            ? { type: "Warning", reason: "FailedMount", message: seen.message }
            : { ...about, message: `Error: ${seen.message}` },
        ],
      };
    }
  }
}

const pick = ({ reason, message }: Saw<"container-refused">) => ({ reason, message });

/** The container was made but its process could not be run: an attempt that ended at once, with code 128. */
function runError(state: PodState, seen: Saw<"container-refused">, now: number): Observed {
  const exit: Exit = {
    id: "",
    imageId: "",
    exitCode: 128,
    signal: undefined,
    reason: "StartError",
    message: seen.message,
    startedAtMs: now,
    finishedAtMs: now,
  };
  return {
    state: withContainer(state, seen.container, { phase: { kind: "exited", exit } }),
    events: [
      { type: "Warning", reason: "Failed", message: `Error: ${seen.message}`, container: seen.container },
    ],
  };
}

function containerExited(state: PodState, { container, exit }: Saw<"container-exited">): PodState {
  const own = containerState(state, container);
  // An exit may overtake the report of its own start; then the start's report is dropped and this one counts.
  const isOurs = own.phase.kind === "starting" || (own.phase.kind === "running" && own.phase.id === exit.id);
  if (!isOurs) return state;
  const imageId = own.phase.kind === "running" ? own.phase.imageId : "";
  return withContainer(state, container, { phase: { kind: "exited", exit: { ...exit, imageId } } });
}

function postStartEnded(pod: Pod, state: PodState, seen: Saw<"post-start-ended">): Observed {
  const { phase } = containerState(state, seen.container);
  const container = specOf(pod, seen.container);
  if (container === undefined || phase.kind !== "running" || phase.id !== seen.id)
    return { state, events: [] };
  if (seen.error === undefined) {
    const isStarted = container.startupProbe === undefined;
    const isReady = isStarted && container.readinessProbe === undefined;
    const next = { ...phase, postStart: "done" as const, isStarted, isReady };
    return { state: withContainer(state, seen.container, { phase: next }), events: [] };
  }
  const doomed = { message: `FailedPostStartHook`, graceMs: graceOf(pod) };
  return {
    state: withContainer(state, seen.container, { phase: { ...phase, postStart: "done", doomed } }),
    events: [
      {
        type: "Warning",
        reason: "FailedPostStartHook",
        message: `PostStartHook failed: ${seen.error}`,
        container: seen.container,
      },
    ],
  };
}

function preStopEnded(state: PodState, seen: Saw<"pre-stop-ended">): Observed {
  const { phase } = containerState(state, seen.container);
  if (phase.kind !== "running" || phase.id !== seen.id || phase.stop?.preStop !== "running") {
    return { state, events: [] };
  }
  const stop = { ...phase.stop, preStop: "done" as const };
  const events: PodEvent[] =
    seen.error === undefined
      ? []
      : [
          {
            type: "Warning",
            reason: "FailedPreStopHook",
            message: `PreStopHook failed: ${seen.error}`,
            container: seen.container,
          },
        ];
  return { state: withContainer(state, seen.container, { phase: { ...phase, stop } }), events };
}

function probeAnswered(pod: Pod, state: PodState, seen: Saw<"probe-answered">, now: number): Observed {
  const container = specOf(pod, seen.container);
  const { phase } = containerState(state, seen.container);
  if (container === undefined || phase.kind !== "running" || phase.id !== seen.id)
    return { state, events: [] };
  const probe = probeOf(container, seen.probe);
  const before = phase.probes[seen.probe];
  if (probe === undefined || before === undefined) return { state, events: [] };

  const answer = answerProbe(probe, before, seen.isOk);
  let next = { ...phase, probes: { ...phase.probes, [seen.probe]: answer.state } };
  const events: PodEvent[] = [];
  if (!seen.isOk) {
    const name = `${seen.probe[0]?.toUpperCase()}${seen.probe.slice(1)}`;
    events.push({
      type: "Warning",
      reason: "Unhealthy",
      message: `${name} probe failed: ${seen.message}`,
      container: seen.container,
    });
  }
  if (answer.verdict !== undefined) {
    if (seen.probe === "readiness") next = { ...next, isReady: answer.verdict };
    else if (phase.stop !== undefined) return { state, events };
    else if (seen.probe === "startup" && answer.verdict) {
      const probes = releaseProbes(container, next.probes, phase.startedAtMs, now);
      next = { ...next, isStarted: true, isReady: container.readinessProbe === undefined, probes };
    } else if (!answer.verdict) {
      const graceMs =
        probe.terminationGracePeriodSeconds === undefined
          ? graceOf(pod)
          : probe.terminationGracePeriodSeconds * 1000;
      const message = `Container ${seen.container} failed ${seen.probe} probe, will be restarted`;
      next = { ...next, doomed: { message, graceMs } };
    }
  }
  return { state: withContainer(state, seen.container, { phase: next }), events };
}

function retryBlocked(state: PodState, now: number): PodState {
  let next = state;
  for (const [name, { phase }] of Object.entries(state.containers)) {
    const waitsForPull = phase.kind === "blocked" && PULL_REASONS.includes(phase.reason);
    if (phase.kind === "blocked" && !waitsForPull) {
      next = withContainer(next, name, { phase: { ...phase, retryAtMs: now } });
    }
  }
  return next;
}

export const PULL_REASONS: readonly string[] = ["ErrImagePull", "ErrImageNeverPull", "InvalidImageName"];

const graceOf = (pod: Pod): number => (pod.spec.terminationGracePeriodSeconds ?? 30) * 1000;

function specOf(pod: Pod, name: string): Container | undefined {
  return allContainers(pod).find((container) => container.name === name);
}

/** `back-off 10s restarting failed container=web pod=web-x_default(uid)` */
export function crashLoopMessage(pod: Pod, container: string, backoff: Backoff): string {
  const { name, namespace, uid } = pod.metadata;
  return `back-off ${goDuration(backoff.delayMs)} restarting failed container=${container} pod=${name}_${namespace}(${uid})`;
}

/** The back-off that keeps an exited container from starting right now, or undefined. */
export function crashLoop(
  own: { readonly crashBackoff: Backoff | undefined },
  exit: Exit,
  now: number,
): Backoff | undefined {
  return backoffLeftMs(own.crashBackoff, exit.finishedAtMs, now) > 0 ? own.crashBackoff : undefined;
}
