/**
 * One HTTP request to a Service of any cluster, from outside: as `kubectl port-forward service/…` goes, through the API
 * server to a ready pod that the Service selects. It takes get of Services, list of pods, and pods/portforward.
 */
import { type Clock, SlipwayError } from "@slipway/base";
import { type KubeClient, type Pod, type Service, type ServicePort, StatusError } from "@slipway/kube";
import type { InsideRequest, InsideResponse } from "../engines/engine.ts";
import { forwardedRequest } from "./forwarded-request.ts";

export interface AskedService {
  /** Of the cluster, for messages. */
  readonly cluster: string;
  readonly namespace: string;
  readonly name: string;
  /** Number or name; the Service's first when absent. */
  readonly port: number | string | undefined;
}

/** The request's `url` is a path. Rejects when there is nothing to ask. */
export async function askService(
  client: KubeClient,
  service: AskedService,
  request: InsideRequest,
  clock: Clock,
): Promise<InsideResponse> {
  const { spec } = await findService(client, service);
  const port = portOf(spec, service);
  const pod = await readyPod(client, spec, service);
  const target = targetPort(pod, port, service);
  const { namespace, name } = service;
  return forwardedRequest({ ...request, url: `http://${name}${request.url}` }, clock, (_, signal) =>
    client.portForward({ namespace, name: pod.metadata.name }, target, { signal }),
  );
}

async function findService(client: KubeClient, service: AskedService): Promise<Service> {
  const { namespace, name } = service;
  try {
    return await client.get<Service>({ apiVersion: "v1", kind: "Service", namespace, name });
  } catch (error) {
    if (!(error instanceof StatusError) || error.status.reason !== "NotFound") throw error;
    throw fault(service, "SERVICE_MISSING", `no Service "${name}" in namespace ${namespace}`);
  }
}

function portOf(spec: Service["spec"], service: AskedService): ServicePort {
  const { ports = [] } = spec;
  const wanted = service.port;
  const found =
    wanted === undefined ? ports[0] : ports.find(({ port, name }) => port === wanted || name === wanted);
  if (found !== undefined) return found;
  throw fault(service, "SERVICE_NO_PORT", `the Service has no port ${wanted ?? ""}`.trimEnd());
}

async function readyPod(
  client: KubeClient,
  { selector }: Service["spec"],
  service: AskedService,
): Promise<Pod> {
  const labels = Object.entries(selector ?? {});
  if (labels.length === 0) {
    throw fault(
      service,
      "SERVICE_NO_SELECTOR",
      "the Service selects no pods, and what else stands behind it cannot be reached through the API server",
    );
  }
  const { items } = await client.list<Pod>(
    { apiVersion: "v1", kind: "Pod" },
    {
      namespace: service.namespace,
      labelSelector: labels.map(([key, value]) => `${key}=${value}`).join(","),
    },
  );
  const ready = items.filter(
    ({ metadata, status }) =>
      metadata.deletionTimestamp === undefined &&
      status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True"),
  );
  // One of several, and the same one each time.
  const [first] = ready.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  if (first !== undefined) return first;
  throw fault(service, "SERVICE_NO_ENDPOINT", "has no ready endpoint");
}

/** A name is one of the pod's container ports (Kubernetes, Service `targetPort`); sidecars are init containers, too. */
function targetPort(
  pod: Pod,
  { port, targetPort: target = port }: ServicePort,
  service: AskedService,
): number {
  if (typeof target === "number") return target;
  const { containers, initContainers = [] } = pod.spec;
  const ports = [...containers, ...initContainers].flatMap((container) => container.ports ?? []);
  const found = ports.find(({ name }) => name === target);
  if (found !== undefined) return found.containerPort;
  throw fault(service, "SERVICE_NO_PORT", `no container of ${pod.metadata.name} has a port named ${target}`);
}

const fault = ({ cluster, name }: AskedService, code: string, message: string): SlipwayError =>
  new SlipwayError({ code, where: `${cluster}/${name}`, message });
