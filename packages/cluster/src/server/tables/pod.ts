/** What `kubectl get pods` says about a pod: the one word, the counts. The order of the rules is Kubernetes' own. */
import { formatAge } from "@slipway/base";
import type { Container, ContainerState, ContainerStatus, Pod } from "@slipway/kube";

/** `1/2`: containers that are ready, of all that stay (sidecars included). */
export function podReady(pod: Pod): string {
  const sidecars = (pod.spec.initContainers ?? []).filter(isSidecar);
  const statuses = [
    ...(pod.status?.containerStatuses ?? []).filter((status) => status.state?.running !== undefined),
    ...(pod.status?.initContainerStatuses ?? []).filter(
      (status) => status.started === true && sidecars.some((sidecar) => sidecar.name === status.name),
    ),
  ];
  const ready = statuses.filter((status) => status.ready).length;
  return `${ready}/${pod.spec.containers.length + sidecars.length}`;
}

export function podStatus(pod: Pod): string {
  const { status } = pod;
  const isFinished = status?.phase === "Succeeded" || status?.phase === "Failed";
  if (pod.metadata.deletionTimestamp !== undefined && !isFinished) {
    return status?.reason === "NodeLost" ? "Unknown" : "Terminating";
  }
  const whole = status?.reason || status?.phase || "";
  const init = initReason(pod);
  if (init !== undefined) return init;
  const reason = containerReason(status?.containerStatuses ?? []);
  if (reason === undefined) return whole;
  // One container is done while another still runs: the pod as a whole is running.
  const isRunning = status?.containerStatuses?.some(
    (each) => each.ready && each.state?.running !== undefined,
  );
  if (reason !== "Completed" || !isRunning) return reason;
  return hasCondition(pod, "Ready") ? "Running" : "NotReady";
}

/** `3 (5m ago)`; the time is that of the newest restart. */
export function podRestarts(pod: Pod, now: number): string {
  const sidecars = (pod.spec.initContainers ?? []).filter(isSidecar).map((container) => container.name);
  const isInitializing = initReason(pod) !== undefined;
  const counted = isInitializing
    ? (pod.status?.initContainerStatuses ?? [])
    : [
        ...(pod.status?.containerStatuses ?? []),
        ...(pod.status?.initContainerStatuses ?? []).filter((status) => sidecars.includes(status.name)),
      ];
  const restarts = counted.reduce((sum, status) => sum + status.restartCount, 0);
  const finished = counted
    .map((status) => status.lastState?.terminated?.finishedAt)
    .filter((time) => time !== undefined)
    .sort();
  const last = finished.at(-1);
  return restarts === 0 || last === undefined
    ? String(restarts)
    : `${restarts} (${formatAge(now - Date.parse(last))} ago)`;
}

function isSidecar(container: Container): boolean {
  return container.restartPolicy === "Always";
}

function hasCondition(pod: Pod, type: string): boolean {
  return (
    pod.status?.conditions?.some((condition) => condition.type === type && condition.status === "True") ===
    true
  );
}

/** Why the pod is still initializing; undefined when it is not. */
function initReason(pod: Pod): string | undefined {
  const containers = pod.spec.initContainers ?? [];
  for (const [index, status] of (pod.status?.initContainerStatuses ?? []).entries()) {
    const container = containers.find((each) => each.name === status.name);
    if (container !== undefined && isSidecar(container) && status.started === true) continue;
    const { terminated, waiting } = status.state ?? {};
    if (terminated !== undefined && terminated.exitCode === 0) continue;
    if (hasCondition(pod, "Initialized")) return undefined;
    if (terminated !== undefined) return `Init:${terminatedReason(terminated)}`;
    if (waiting?.reason !== undefined && waiting.reason !== "" && waiting.reason !== "PodInitializing") {
      return `Init:${waiting.reason}`;
    }
    return `Init:${index}/${containers.length}`;
  }
  return undefined;
}

/** Upstream walks from the last container to the first and keeps what it saw last. */
function containerReason(statuses: readonly ContainerStatus[]): string | undefined {
  for (const { state } of statuses) {
    if (state?.waiting?.reason !== undefined && state.waiting.reason !== "") return state.waiting.reason;
    if (state?.terminated !== undefined) return terminatedReason(state.terminated);
  }
  return undefined;
}

function terminatedReason(terminated: NonNullable<ContainerState["terminated"]>): string {
  if (terminated.reason !== undefined && terminated.reason !== "") return terminated.reason;
  return terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode}`;
}
