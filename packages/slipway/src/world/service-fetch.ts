/** One HTTP request to a Service of a local cluster, from outside: for the checks on what was deployed. */
import { request } from "node:http";
import type { Duplex } from "node:stream";
import { buffer } from "node:stream/consumers";
import { SlipwayError } from "@slipway/base";
import type { Cluster } from "@slipway/cluster";
import { backendsOf } from "../edge/endpoints.ts";

export interface ServiceRequest {
  /** The first cluster when absent. */
  readonly cluster?: string;
  readonly namespace: string;
  readonly service: string;
  /** The Service's first port when absent. */
  readonly port?: number | string;
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeoutMs: number;
}

export interface ServiceAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bodyBase64: string;
}

export async function fetchService(cluster: Cluster, wanted: ServiceRequest): Promise<ServiceAnswer> {
  const where = `${cluster.name}/${wanted.service}`;
  const service = cluster.store.get("Service", wanted.namespace, wanted.service);
  if (service === undefined)
    throw new SlipwayError({
      code: "SERVICE_MISSING",
      where,
      message: `no Service "${wanted.service}" in namespace ${wanted.namespace}`,
    });
  const ports = service.spec.ports ?? [];
  const port =
    wanted.port === undefined
      ? ports[0]
      : ports.find(({ port: number, name }) => number === wanted.port || name === wanted.port);
  if (port === undefined)
    throw new SlipwayError({
      code: "SERVICE_NO_PORT",
      where,
      message: `the Service has no port ${wanted.port ?? ""}`,
    });
  const slices = cluster.store
    .list("EndpointSlice", wanted.namespace)
    .filter(({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === wanted.service);
  const [backend] = backendsOf(cluster.name, slices, port.name);
  if (backend === undefined)
    throw new SlipwayError({ code: "SERVICE_NO_ENDPOINT", where, message: "has no ready endpoint" });
  const socket = await cluster.dial(backend.ip, backend.port, { timeoutMs: wanted.timeoutMs });
  try {
    return await send(socket, wanted);
  } finally {
    socket.destroy();
  }
}

function send(
  socket: Duplex,
  { service, path, method, headers, body, timeoutMs }: ServiceRequest,
): Promise<ServiceAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({
      createConnection: () => socket,
      path,
      method,
      headers: { host: service, connection: "close", ...headers },
      signal: AbortSignal.timeout(timeoutMs),
    });
    outgoing.on("error", reject);
    outgoing.on("response", (answer) => {
      buffer(answer).then((body) => {
        const flat = Object.fromEntries(
          Object.entries(answer.headers).map(([name, value]) => [
            name,
            Array.isArray(value) ? value.join(", ") : (value ?? ""),
          ]),
        );
        resolve({ status: answer.statusCode ?? 0, headers: flat, bodyBase64: body.toString("base64") });
      }, reject);
    });
    outgoing.end(body);
  });
}
