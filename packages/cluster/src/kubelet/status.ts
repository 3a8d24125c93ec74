/** A pod's status from what the kubelet knows, in Kubernetes' words and by its rules for phase and conditions. */
import type {
  ContainerState as ApiState,
  Condition,
  Container,
  ContainerStatus,
  Pod,
  PodStatus,
} from "@slipway/kube";
import { timestamp } from "../controllers/reference.ts";
import { mayRestart, PULL_ERROR_SHOWN_MS } from "./decide.ts";
import { crashLoop, crashLoopMessage, PULL_REASONS } from "./observe.ts";
import {
  allContainers,
  type ContainerState,
  containerState,
  type Exit,
  isSidecar,
  type PodState,
} from "./state.ts";

export function podStatus(pod: Pod, state: PodState, hostIP: string, now: number): PodStatus {
  const inits = pod.spec.initContainers ?? [];
  const initDone = state.isInitialized || inits.every((container) => isInitDone(container, state));
  const statusOf = (container: Container): ContainerStatus => containerStatus(pod, container, state, now);
  const initContainerStatuses = inits.map(statusOf);
  const containerStatuses = pod.spec.containers.map(statusOf);
  const phase = phaseOf(pod, state, containerStatuses);
  const podIP = state.sandbox.kind === "ready" ? state.sandbox.podIP : pod.status?.podIP;
  const hasIP = state.sandbox.kind === "ready" || (podIP !== undefined && state.sandbox.kind !== "starting");
  // A pod that another kubelet process left behind has the address of a sandbox that is gone.
  const isFresh = state.sandbox.kind === "none" || state.sandbox.kind === "starting";
  const { podIP: _ip, podIPs: _ips, message: _message, reason: _reason, ...kept } = pod.status ?? {};
  return {
    ...kept,
    phase,
    conditions: conditionsOf(
      pod,
      state,
      phase,
      initDone,
      [...initContainerStatuses, ...containerStatuses],
      now,
    ),
    ...(state.failure ?? {}),
    hostIP,
    ...(hasIP && !isFresh && podIP !== undefined ? { podIP, podIPs: [{ ip: podIP }] } : {}),
    startTime: timestamp(state.acceptedAtMs),
    ...(inits.length === 0 ? {} : { initContainerStatuses }),
    containerStatuses,
  };
}

function isInitDone(container: Container, state: PodState): boolean {
  const { phase } = containerState(state, container.name);
  if (isSidecar(container)) {
    return (phase.kind === "running" && phase.isStarted) || (phase.kind === "exited" && state.hasEnded);
  }
  return phase.kind === "exited" && phase.exit.exitCode === 0;
}

function containerStatus(pod: Pod, container: Container, state: PodState, now: number): ContainerStatus {
  const own = containerState(state, container.name);
  const { phase } = own;
  const isInit = pod.spec.initContainers?.includes(container) === true;
  const current = apiState(pod, container, own, state, now);
  // While an exited container waits for its next start, the exit is the *last* state.
  const last = phase.kind === "exited" && current.terminated === undefined ? phase.exit : own.last;
  const id = phase.kind === "running" ? phase.id : phase.kind === "exited" ? phase.exit.id : (last?.id ?? "");
  const imageId =
    phase.kind === "running"
      ? phase.imageId
      : phase.kind === "exited"
        ? phase.exit.imageId
        : (last?.imageId ?? "");
  // An init step is "ready" once it has done its work.
  const isDoneInit = isInit && !isSidecar(container) && phase.kind === "exited" && phase.exit.exitCode === 0;
  return {
    name: container.name,
    state: current,
    lastState:
      last === undefined || last === currentExit(own, current) ? {} : { terminated: terminated(last) },
    ready: isDoneInit || (phase.kind === "running" && phase.isReady),
    restartCount: own.attempt,
    image: container.image ?? "",
    imageID: imageId,
    ...(id === "" ? {} : { containerID: id }),
    started: phase.kind === "running" && phase.isStarted,
  };
}

function currentExit(own: ContainerState, current: ApiState): Exit | undefined {
  return own.phase.kind === "exited" && current.terminated !== undefined ? own.phase.exit : undefined;
}

function apiState(
  pod: Pod,
  container: Container,
  own: ContainerState,
  state: PodState,
  now: number,
): ApiState {
  const { phase } = own;
  switch (phase.kind) {
    case "waiting":
    case "starting":
      return { waiting: { reason: waitingReason(pod) } };
    case "blocked":
      return { waiting: blockedReason(pod, container, phase, now) };
    case "running":
      return { running: { startedAt: timestamp(phase.startedAtMs) } };
    case "exited": {
      const isEnding =
        pod.metadata.deletionTimestamp !== undefined || state.hasEnded || state.failure !== undefined;
      if (isEnding || !mayRestart(pod, container, phase.exit.exitCode))
        return { terminated: terminated(phase.exit) };
      const backoff = crashLoop(own, phase.exit, now);
      if (backoff === undefined) return { terminated: terminated(phase.exit) };
      const message = crashLoopMessage(pod, container.name, backoff);
      return { waiting: { reason: "CrashLoopBackOff", message } };
    }
  }
}

/** The same for all containers of a pod, init or not: kubectl then counts (`Init:0/1`) instead of quoting it. */
function waitingReason(pod: Pod): string {
  return (pod.spec.initContainers ?? []).length > 0 ? "PodInitializing" : "ContainerCreating";
}

function blockedReason(
  pod: Pod,
  container: Container,
  phase: Extract<ContainerState["phase"], { kind: "blocked" }>,
  now: number,
): { reason: string; message?: string } {
  const { reason, message, sinceMs } = phase;
  // A volume that cannot be set up keeps the container in creation; the event FailedMount says why.
  if (reason === "FailedMount") return { reason: waitingReason(pod) };
  if (!PULL_REASONS.includes(reason) || reason === "InvalidImageName") return { reason, message };
  if (reason === "ErrImageNeverPull" || now < sinceMs + PULL_ERROR_SHOWN_MS) return { reason, message };
  return {
    reason: "ImagePullBackOff",
    message: `Back-off pulling image "${container.image ?? ""}": ${reason}: ${message}`,
  };
}

function terminated(exit: Exit): NonNullable<ApiState["terminated"]> {
  return {
    exitCode: exit.exitCode,
    ...(exit.signal === undefined ? {} : { signal: exit.signal }),
    reason: exit.reason,
    ...(exit.message === "" ? {} : { message: exit.message }),
    startedAt: timestamp(exit.startedAtMs),
    finishedAt: timestamp(exit.finishedAtMs),
    ...(exit.id === "" ? {} : { containerID: exit.id }),
  };
}

/** As the kubelet's getPhase. Containers that wait for a restart count as stopped, not as waiting. */
function phaseOf(
  pod: Pod,
  state: PodState,
  statuses: readonly ContainerStatus[],
): NonNullable<PodStatus["phase"]> {
  if (state.failure !== undefined) return "Failed";
  const old = pod.status?.phase;
  // Terminal phases are for ever.
  if (old === "Succeeded" || old === "Failed") return old;
  for (const container of state.isInitialized ? [] : (pod.spec.initContainers ?? [])) {
    const { phase } = containerState(state, container.name);
    if (isInitDone(container, state) || isSidecar(container)) continue;
    const failed = phase.kind === "exited" && phase.exit.exitCode !== 0 && pod.spec.restartPolicy === "Never";
    return failed ? "Failed" : "Pending";
  }
  let waiting = 0;
  let running = 0;
  let stopped = 0;
  let succeeded = 0;
  for (const { state: current, lastState } of statuses) {
    if (current?.running !== undefined) running += 1;
    else if (current?.terminated !== undefined) {
      stopped += 1;
      if (current.terminated.exitCode === 0) succeeded += 1;
    } else if (lastState?.terminated !== undefined) stopped += 1;
    else waiting += 1;
  }
  if (waiting > 0) return "Pending";
  if (running > 0) return "Running";
  if (stopped === 0) return "Pending";
  if (pod.metadata.deletionTimestamp !== undefined && stopped === statuses.length) {
    return stopped === succeeded ? "Succeeded" : "Failed";
  }
  if ((pod.spec.restartPolicy ?? "Always") === "Always") return "Running";
  if (stopped === succeeded) return "Succeeded";
  return pod.spec.restartPolicy === "Never" ? "Failed" : "Running";
}

type Phase = NonNullable<PodStatus["phase"]>;
interface Truth {
  readonly isTrue: boolean;
  readonly reason?: string;
  readonly message?: string;
}

function conditionsOf(
  pod: Pod,
  state: PodState,
  phase: Phase,
  initDone: boolean,
  statuses: readonly ContainerStatus[],
  now: number,
): readonly Condition[] {
  const containersReady = containersReadyOf(pod, phase, statuses);
  const truths: Readonly<Record<string, Truth>> = {
    PodReadyToStartContainers: { isTrue: state.sandbox.kind === "ready" },
    Initialized: initializedOf(pod, phase, initDone, statuses),
    Ready: readyOf(pod, containersReady),
    ContainersReady: containersReady,
    PodScheduled: { isTrue: true },
  };
  const old = pod.status?.conditions ?? [];
  const own = Object.entries(truths).map(([type, { isTrue, reason, message }]): Condition => {
    const status = isTrue ? ("True" as const) : ("False" as const);
    const before = old.find((condition) => condition.type === type);
    const since = before?.status === status ? before.lastTransitionTime : undefined;
    return {
      type,
      status,
      lastTransitionTime: since ?? timestamp(now),
      ...(reason === undefined ? {} : { reason }),
      ...(message === undefined ? {} : { message }),
    };
  });
  // Conditions of others (readiness gates, disruption targets) are theirs.
  return [...own, ...old.filter(({ type }) => truths[type] === undefined)];
}

function initializedOf(
  pod: Pod,
  phase: Phase,
  initDone: boolean,
  statuses: readonly ContainerStatus[],
): Truth {
  if (phase === "Succeeded") return { isTrue: true, reason: "PodCompleted" };
  if (initDone) return { isTrue: true };
  const inits = (pod.spec.initContainers ?? []).map(({ name }) => name);
  const incomplete = statuses
    .filter(({ name, ready }) => inits.includes(name) && !ready)
    .map(({ name }) => name);
  return {
    isTrue: false,
    reason: "ContainersNotInitialized",
    message: `containers with incomplete status: [${incomplete.join(" ")}]`,
  };
}

function containersReadyOf(pod: Pod, phase: Phase, statuses: readonly ContainerStatus[]): Truth {
  if (phase === "Succeeded") return { isTrue: false, reason: "PodCompleted" };
  if (phase === "Failed") return { isTrue: false, reason: "PodFailed" };
  const counted = allContainers(pod)
    .filter((container) => pod.spec.containers.includes(container) || isSidecar(container))
    .map(({ name }) => name);
  const unready = statuses
    .filter(({ name, ready }) => counted.includes(name) && !ready)
    .map(({ name }) => name);
  if (unready.length === 0) return { isTrue: true };
  return {
    isTrue: false,
    reason: "ContainersNotReady",
    message: `containers with unready status: [${unready.join(" ")}]`,
  };
}

function readyOf(pod: Pod, containersReady: Truth): Truth {
  if (!containersReady.isTrue) return containersReady;
  const unmet = (pod.spec.readinessGates ?? []).flatMap(({ conditionType }) => {
    const condition = pod.status?.conditions?.find(({ type }) => type === conditionType);
    if (condition === undefined) {
      return [`corresponding condition of pod readiness gate "${conditionType}" does not exist.`];
    }
    if (condition.status === "True") return [];
    return [`the status of pod readiness gate "${conditionType}" is not "True", but ${condition.status}`];
  });
  if (unmet.length === 0) return { isTrue: true };
  return { isTrue: false, reason: "ReadinessGatesNotReady", message: unmet.join(", ") };
}
