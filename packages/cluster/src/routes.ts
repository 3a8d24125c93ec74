/**
 * What the pod network must serve, from the Services and their EndpointSlices: kube-proxy's and the cluster DNS's
 * view of the cluster, as one list. Also keeps a runtime up to date with it.
 */
import type { EndpointSlice, Service, Store, Watch } from "@slipway/kube";
import type { Snapshot } from "./controllers/controller.ts";
import type { PodRuntime, ServiceRoute } from "./runtimes/runtime.ts";

/** On a Service that `egress` made: where its connections go, `host:port`. */
export const EGRESS_ANNOTATION = "slipway.dev/egress";

type Route = ServiceRoute["ports"][number];

/** Where this machine has the API server, which pods know as the Service `kubernetes`. */
export interface ApiServerAddress {
  readonly host: string;
  readonly port: number;
}

/** Services in order of namespace and name; only ready endpoints. ExternalName Services have no address. */
export function serviceRoutes(snapshot: Snapshot, apiServer?: ApiServerAddress): readonly ServiceRoute[] {
  const slices = Map.groupBy(
    snapshot.list("EndpointSlice"),
    ({ metadata }) => `${metadata.namespace}/${metadata.labels?.["kubernetes.io/service-name"]}`,
  );
  return snapshot.list("Service").flatMap((service): readonly ServiceRoute[] => {
    const { clusterIP, type } = service.spec;
    if (type === "ExternalName" || clusterIP === undefined || clusterIP === "") return [];
    const { namespace = "", name } = service.metadata;
    const own = slices.get(`${namespace}/${name}`) ?? [];
    const isApi = namespace === "default" && name === "kubernetes";
    const egress = egressOf(service) ?? (isApi ? apiServer : undefined);
    const hostnames = hostnamesOf(own);
    return [
      {
        namespace,
        name,
        clusterIP,
        ports: (service.spec.ports ?? []).map((port) => ({
          name: port.name,
          port: port.port,
          protocol: port.protocol === "UDP" ? "UDP" : "TCP",
          endpoints: own.length > 0 ? fromSlices(own, port) : fromEndpoints(service, port, snapshot),
        })),
        ...(egress === undefined ? {} : { egress }),
        ...(hostnames.length === 0 ? {} : { hostnames }),
      },
    ];
  });
}

type Port = NonNullable<Service["spec"]["ports"]>[number];

function fromSlices(slices: readonly EndpointSlice[], port: Port): Route["endpoints"] {
  return slices.flatMap((slice) => {
    const target = slice.ports?.find(({ name }) => (name ?? "") === (port.name ?? ""))?.port;
    if (target === undefined) return [];
    return (slice.endpoints ?? [])
      .filter(({ conditions }) => conditions?.ready !== false)
      .flatMap(({ addresses }) => addresses.map((ip) => ({ ip, port: target })));
  });
}

/** Hand-made Endpoints of a Service without a selector, which Kubernetes would mirror into a slice. */
function fromEndpoints(service: Service, port: Port, snapshot: Snapshot): Route["endpoints"] {
  const endpoints = snapshot.get("Endpoints", service.metadata.namespace ?? "", service.metadata.name);
  return (endpoints?.subsets ?? []).flatMap(({ addresses, ports }) => {
    const target = ports?.find(({ name }) => (name ?? "") === (port.name ?? ""))?.port;
    return target === undefined ? [] : (addresses ?? []).map(({ ip }) => ({ ip, port: target }));
  });
}

function hostnamesOf(slices: readonly EndpointSlice[]): readonly { ip: string; hostname: string }[] {
  return slices.flatMap((slice) =>
    (slice.endpoints ?? []).flatMap(({ addresses, hostname }) =>
      hostname === undefined ? [] : addresses.map((ip) => ({ ip, hostname })),
    ),
  );
}

function egressOf(service: Service): ServiceRoute["egress"] {
  const target = service.metadata.annotations?.[EGRESS_ANNOTATION];
  const colon = target?.lastIndexOf(":") ?? -1;
  if (target === undefined || colon < 0) return undefined;
  return { host: target.slice(0, colon), port: Number(target.slice(colon + 1)) };
}

/**
 * Tells the runtime of every change. One call at a time; changes that come meanwhile are told together by the next.
 */
export function followRoutes(
  store: Store,
  runtime: PodRuntime,
  onError: (error: unknown) => void,
): { close(): void; reachApiServer(address: ApiServerAddress): void } {
  let apiServer: ApiServerAddress | undefined;
  let isTelling = false;
  let isStale = true;
  let isClosed = false;
  const tell = async (): Promise<void> => {
    if (isTelling) return;
    isTelling = true;
    try {
      while (isStale && !isClosed) {
        isStale = false;
        await runtime.setServices(serviceRoutes(store, apiServer));
      }
    } catch (error) {
      if (!isClosed) onError(error);
    } finally {
      isTelling = false;
    }
  };
  const changed = (): void => {
    isStale = true;
    // Not in the middle of the write that caused it: the rest of that decision may change routes as well.
    queueMicrotask(tell);
  };
  const watches: Watch[] = ["Service", "EndpointSlice", "Endpoints"].map((kind) =>
    store.watch({ kind }, changed),
  );
  changed();
  return {
    reachApiServer(address) {
      apiServer = address;
      changed();
    },
    close() {
      isClosed = true;
      for (const watch of watches) watch.close();
    },
  };
}
