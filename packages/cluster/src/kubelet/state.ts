/**
 * What the kubelet knows of one pod beyond the API object: what it started, what the runtime reported, how often
 * and since when. Values are immutable; `decide.ts` steps them forward, `observe.ts` folds reports into them.
 * Nothing here survives the process: a new kubelet rebuilds it from the pod's status (`adopt`).
 */
import type { Container, ContainerStatus, Pod } from "@slipway/kube";
import type { Backoff } from "./backoff.ts";
import type { ProbeKind, ProbeState } from "./probes.ts";

/** How an attempt ended, in the words of ContainerStateTerminated. */
export interface Exit {
  readonly id: string;
  readonly imageId: string;
  readonly exitCode: number;
  readonly signal: number | undefined;
  readonly reason: string;
  readonly message: string;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
}

/** Where the ending of one running container stands. */
export interface Stop {
  readonly sinceMs: number;
  readonly graceMs: number;
  /** The preStop hook runs on the grace period's clock, not before it. */
  readonly preStop: "none" | "running" | "done";
  readonly killAtMs: number | undefined;
  readonly isKilled: boolean;
}

export type ContainerPhase =
  /** Not started yet: ContainerCreating or PodInitializing. */
  | { readonly kind: "waiting" }
  | { readonly kind: "starting" }
  /** The last start was refused; tried again at `retryAtMs`. */
  | {
      readonly kind: "blocked";
      readonly reason: string;
      readonly message: string;
      readonly sinceMs: number;
      readonly retryAtMs: number;
    }
  | {
      readonly kind: "running";
      readonly id: string;
      readonly imageId: string;
      /** As the pod named it at the start; a pod's images are the one thing that may be changed in place. */
      readonly image: string;
      readonly startedAtMs: number;
      readonly postStart: "none" | "running" | "done";
      /** The startup probe has passed, or there is none. */
      readonly isStarted: boolean;
      readonly isReady: boolean;
      readonly probes: Readonly<Partial<Record<ProbeKind, ProbeState>>>;
      /** A probe or a hook wants this container ended and started anew. */
      readonly doomed: { readonly message: string; readonly graceMs: number } | undefined;
      readonly stop: Stop | undefined;
    }
  /** `isBackOffTold`: its event has said that a restart has to wait. */
  | { readonly kind: "exited"; readonly exit: Exit; readonly isBackOffTold?: boolean };

export interface ContainerState {
  /** restartCount: 0 for the first attempt, also before it has started. */
  readonly attempt: number;
  readonly phase: ContainerPhase;
  /** The attempt before this one. */
  readonly last: Exit | undefined;
  readonly crashBackoff: Backoff | undefined;
  readonly pullBackoff: Backoff | undefined;
}

export type Sandbox =
  | { readonly kind: "none" }
  | { readonly kind: "starting"; readonly failures: number }
  | {
      readonly kind: "failed";
      readonly message: string;
      readonly retryAtMs: number;
      readonly failures: number;
    }
  | { readonly kind: "ready"; readonly podIP: string }
  | { readonly kind: "stopping" }
  | { readonly kind: "stopped" };

export interface PodState {
  readonly uid: string;
  readonly sandbox: Sandbox;
  readonly containers: Readonly<Record<string, ContainerState>>;
  /** When this kubelet, or the one before it, first saw the pod. */
  readonly acceptedAtMs: number;
  /** Ended by the kubelet itself (activeDeadlineSeconds): the pod fails with these words. */
  readonly failure: { readonly reason: string; readonly message: string } | undefined;
  /** All init steps of this sandbox are done; a sidecar that restarts later does not undo that. */
  readonly isInitialized: boolean;
  /** A pod that had ended before this kubelet started: nothing is ever started for it. */
  readonly hasEnded: boolean;
}

const freshContainer: ContainerState = {
  attempt: 0,
  phase: { kind: "waiting" },
  last: undefined,
  crashBackoff: undefined,
  pullBackoff: undefined,
};

/** Init steps and sidecars in order, then the containers. */
export function allContainers(pod: Pod): readonly Container[] {
  return [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
}

export const isSidecar = (container: Container): boolean => container.restartPolicy === "Always";

export function containerState(state: PodState, name: string): ContainerState {
  return state.containers[name] ?? freshContainer;
}

export function withContainer(state: PodState, name: string, change: Partial<ContainerState>): PodState {
  const next = { ...containerState(state, name), ...change };
  return { ...state, containers: { ...state.containers, [name]: next } };
}

/**
 * The state of a pod that this kubelet sees for the first time. If its status tells of containers that ran under
 * an earlier kubelet, they are gone with their sandbox: they count as exited with code 255 and reason Unknown,
 * as containerd reports after a reboot, and start anew with the next restartCount.
 */
export function adopt(pod: Pod, now: number): PodState {
  const { status } = pod;
  const hasEnded = status?.phase === "Succeeded" || status?.phase === "Failed";
  const containers: Record<string, ContainerState> = {};
  for (const known of status?.containerStatuses ?? []) containers[known.name] = adoptContainer(known, now);
  for (const known of status?.initContainerStatuses ?? []) {
    const adopted = adoptContainer(known, now);
    containers[known.name] = hasEnded ? adopted : again(adopted);
  }
  return {
    uid: pod.metadata.uid ?? "",
    sandbox: hasEnded ? { kind: "stopped" } : { kind: "none" },
    containers,
    acceptedAtMs: status?.startTime === undefined ? now : Date.parse(status.startTime),
    failure: undefined,
    isInitialized: hasEnded,
    hasEnded,
  };
}

/** A new sandbox has none of the files that its init steps made: even those that succeeded run again. */
function again(own: ContainerState): ContainerState {
  if (own.phase.kind !== "exited" || own.phase.exit.exitCode !== 0) return own;
  return { ...own, attempt: own.attempt + 1, last: own.phase.exit, phase: { kind: "waiting" } };
}

function adoptContainer(known: ContainerStatus, now: number): ContainerState {
  const base = { ...freshContainer, attempt: known.restartCount };
  const id = known.containerID ?? "";
  const ended = known.state?.terminated ?? known.lastState?.terminated;
  if (known.state?.running !== undefined) {
    const startedAtMs = Date.parse(known.state.running.startedAt ?? "") || now;
    const exit = {
      id,
      imageId: known.imageID,
      exitCode: 255,
      signal: undefined,
      reason: "Unknown",
      message: "",
      startedAtMs,
      finishedAtMs: now,
    };
    return { ...base, phase: { kind: "exited", exit } };
  }
  if (ended === undefined) return base;
  const exit = {
    id: ended.containerID ?? id,
    imageId: known.imageID,
    exitCode: ended.exitCode,
    signal: ended.signal,
    reason: ended.reason ?? "Error",
    message: ended.message ?? "",
    startedAtMs: Date.parse(ended.startedAt ?? "") || now,
    finishedAtMs: Date.parse(ended.finishedAt ?? "") || now,
  };
  return { ...base, phase: { kind: "exited", exit } };
}
