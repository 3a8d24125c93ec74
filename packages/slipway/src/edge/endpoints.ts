/**
 * Where endpoints come from: a watch of each cluster's EndpointSlices, never a poll. A cluster that cannot be
 * watched keeps the endpoints that were known last, as a load balancer must not lose a region because its API
 * server is away; whether they still answer is for the health checks to say.
 */
import type { Clock } from "@slipway/base";
import { type EndpointSlice, isReason, type KubeClient, type Service } from "@slipway/kube";
import type { Backend } from "./load-balancer/balancer.ts";

export interface ServiceRef {
  readonly namespace: string;
  readonly name: string;
  /** Port of the Service, by number or name. */
  readonly port: number | string;
}

export interface EndpointSource {
  readonly cluster: string;
  /** Calls `onChange` with all ready endpoints, at once when known and after every change, until `signal` aborts. */
  follow(
    service: ServiceRef,
    onChange: (backends: readonly Backend[]) => void,
    signal: AbortSignal,
  ): Promise<void>;
  /** Resolves when all that is followed was read anew, and `onChange` called: what was known of an earlier life of the cluster is forgotten. */
  refresh(): Promise<void>;
}

const slices = { apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice" } as const;

export function kubeEndpoints(
  cluster: string,
  client: KubeClient,
  clock: Clock,
  onProblem: (error: unknown) => void,
): EndpointSource {
  const followers = new Set<() => Promise<void>>();
  return {
    cluster,
    async refresh() {
      await Promise.all([...followers].map((readAnew) => readAnew()));
    },
    async follow(service, onChange, signal) {
      const selector = {
        namespace: service.namespace,
        labelSelector: `kubernetes.io/service-name=${service.name}`,
      };
      let wait = 0;
      let anew = new AbortController();
      let read = Promise.withResolvers<void>();
      const readAnew = (): Promise<void> => {
        anew.abort();
        return read.promise;
      };
      const tell = (backends: readonly Backend[]): void => {
        onChange(backends);
        read.resolve();
        read = Promise.withResolvers();
      };
      followers.add(readAnew);
      signal.addEventListener("abort", () => {
        followers.delete(readAnew);
        read.resolve();
      });
      while (!signal.aborted) {
        if (anew.signal.aborted) anew = new AbortController();
        const either = AbortSignal.any([signal, anew.signal]);
        try {
          const portName = await findPortName(client, service);
          const known = new Map<string, EndpointSlice>();
          const listed = await client.list<EndpointSlice>(slices, selector);
          for (const slice of listed.items) known.set(slice.metadata.name, slice);
          const publish = (): void => onChange(backendsOf(cluster, [...known.values()], portName));
          if (anew.signal.aborted) continue; // it may be older than the wish
          tell(backendsOf(cluster, [...known.values()], portName));
          wait = 0;
          const events = client.watch<EndpointSlice>(slices, {
            ...selector,
            resourceVersion: listed.metadata.resourceVersion,
            signal: either,
          });
          for await (const event of events) {
            if (event.type === "BOOKMARK") continue;
            if (event.type === "DELETED") known.delete(event.object.metadata.name);
            else known.set(event.object.metadata.name, event.object);
            publish();
          }
        } catch (error) {
          if (signal.aborted) return;
          if (anew.signal.aborted) continue;
          if (isReason(error, "NotFound")) tell([]);
          else if (!isReason(error, "Expired")) onProblem(error);
        }
        wait = Math.min(2000, wait === 0 ? 50 : wait * 2);
        await clock.sleep(wait, either).catch(() => {});
        if (anew.signal.aborted) wait = 0;
      }
    },
  };
}

/** A slice lists ports by name, a route may give the Service's port number: the Service translates. */
async function findPortName(client: KubeClient, service: ServiceRef): Promise<string | undefined> {
  const object = await client.get<Service>({
    apiVersion: "v1",
    kind: "Service",
    namespace: service.namespace,
    name: service.name,
  });
  const ports = object.spec.ports ?? [];
  const port = ports.find((candidate) => candidate.port === service.port || candidate.name === service.port);
  if (port === undefined) {
    const known = ports.map((candidate) => candidate.port).join(", ");
    throw new Error(`service ${service.name} has no port ${service.port}; it has ${known || "none"}`);
  }
  return port.name;
}

export function backendsOf(
  cluster: string,
  all: readonly EndpointSlice[],
  portName: string | undefined,
): Backend[] {
  const backends = new Map<string, Backend>();
  for (const slice of all) {
    const port = (slice.ports ?? []).find((candidate) => (candidate.name ?? "") === (portName ?? ""))?.port;
    if (port === undefined) continue;
    for (const endpoint of slice.endpoints) {
      if (endpoint.conditions?.ready === false || endpoint.conditions?.terminating === true) continue;
      for (const ip of endpoint.addresses) {
        const id = `${cluster}/${ip}:${port}`;
        backends.set(id, { id, cluster, ip, port, pod: endpoint.targetRef?.name ?? ip });
      }
    }
  }
  return [...backends.values()];
}
