/** Which container of a pod a request is about, and whether it has anything to say yet. Kubernetes' own words. */
import { badRequest, type ContainerStatus, type Pod } from "@slipway/kube";

/** Throws 400 when the pod has several and none is named, or when it has none of that name. */
export function chooseContainer(pod: Pod, asked: string | null): string {
  const { name } = pod.metadata;
  const containers = pod.spec.containers.map((container) => container.name);
  const init = (pod.spec.initContainers ?? []).map((container) => container.name);
  if (asked !== null && asked !== "") {
    if (containers.includes(asked) || init.includes(asked)) return asked;
    throw badRequest(`container ${asked} is not valid for pod ${name}`);
  }
  const [first, ...others] = containers;
  if (first !== undefined && others.length === 0) return first;
  const andInit = init.length === 0 ? "" : ` or one of the init containers: [${init.join(" ")}]`;
  throw badRequest(
    `a container name must be specified for pod ${name}, choose one of: [${containers.join(" ")}]${andInit}`,
  );
}

export function containerStatus(pod: Pod, container: string): ContainerStatus | undefined {
  const all = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])];
  return all.find((status) => status.name === container);
}

/** Throws 400 while the container has no log: it never ran, or (for `previous`) never before. */
export function requireLog(pod: Pod, container: string, isPrevious: boolean): void {
  const { name } = pod.metadata;
  const status = containerStatus(pod, container);
  const hasEnded = status?.lastState?.terminated !== undefined;
  if (isPrevious) {
    if (hasEnded) return;
    throw badRequest(`previous terminated container "${container}" in pod "${name}" not found`);
  }
  const { running, terminated, waiting } = status?.state ?? {};
  if (running !== undefined || terminated !== undefined || hasEnded) return;
  const reason = waiting?.reason ?? "ContainerCreating";
  const why =
    reason === "ErrImagePull" || reason === "ImagePullBackOff" ? "trying and failing to pull image" : reason;
  throw badRequest(`container "${container}" in pod "${name}" is waiting to start: ${why}`);
}

/** Throws 400 when nothing can be executed in the container because it does not run. */
export function requireRunning(pod: Pod, container: string): void {
  if (containerStatus(pod, container)?.state?.running !== undefined) return;
  const { phase } = pod.status ?? {};
  if (phase === "Succeeded" || phase === "Failed") {
    throw badRequest(`cannot exec into a container in a completed pod; current phase is ${phase}`);
  }
  throw badRequest(`container not found ("${container}"): it is not running`);
}
