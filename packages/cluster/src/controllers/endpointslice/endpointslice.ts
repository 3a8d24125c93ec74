/**
 * endpointslice-controller: a Service's addresses in slices of at most 100. An endpoint stays in the slice it is
 * in for as long as it exists, so that one pod's change is one small write.
 */
import { isDeepStrictEqual } from "node:util";
import type { Endpoint, EndpointSlice, Service } from "@slipway/kube";
import type { Command, Controller, Decision, Key, Snapshot } from "../controller.ts";
import { keyOf, splitKey } from "../controller.ts";
import {
  groupByPorts,
  type Member,
  type MemberPort,
  membersOf,
  portsSignature,
  servicesOfPod,
} from "../endpoints/members.ts";

const MAX_ENDPOINTS_PER_SLICE = 100;
const SERVICE_NAME = "kubernetes.io/service-name";
const MANAGED_BY = "endpointslice.kubernetes.io/managed-by";
const MANAGER = "endpointslice-controller.k8s.io";

export const endpointSliceController: Controller = {
  name: "endpointslice-controller",
  watches: [
    { kind: "Service", keys: (service) => [keyOf(service)] },
    { kind: "Pod", keys: servicesOfPod },
    {
      kind: "EndpointSlice",
      keys: (slice) => {
        const service = slice.metadata.labels?.[SERVICE_NAME];
        return service === undefined ? [] : [`${slice.metadata.namespace}/${service}`];
      },
    },
  ],
  decide,
};

function decide(snapshot: Snapshot, key: Key): Decision {
  const { namespace, name } = splitKey(key);
  const service = snapshot.get("Service", namespace, name);
  const own = snapshot
    .list("EndpointSlice", namespace)
    .filter(
      ({ metadata }) => metadata.labels?.[SERVICE_NAME] === name && metadata.labels[MANAGED_BY] === MANAGER,
    );
  if (service === undefined || service.metadata.deletionTimestamp !== undefined) {
    return { commands: own.map(remove) };
  }
  const members = membersOf(service, snapshot);
  if (members === undefined) return { commands: [] };

  const commands: Command[] = [];
  const groups = groupByPorts(members);
  const bySignature = Map.groupBy(own, (slice) => portsSignature(slice.ports));
  const isHeadless = service.spec.clusterIP === "None";
  let remaining = 0;
  for (const [signature, group] of groups) {
    // Without ports nothing can be reached, except by the DNS name of a headless Service.
    if (group.ports.length === 0 && !isHeadless) continue;
    remaining += 1;
    const endpoints = group.members.map((member) => endpointOf(member, service));
    commands.push(...reconcile(service, group.ports, endpoints, bySignature.get(signature) ?? []));
  }
  const stale = own.filter((slice) => !isKept(slice, groups, isHeadless));
  const placeholder = remaining === 0 ? (stale[0] ?? "missing") : undefined;
  for (const slice of stale) if (slice !== placeholder) commands.push(remove(slice));
  // A Service without endpoints keeps one empty slice, so that watchers know it has been looked at.
  if (placeholder === "missing") commands.push({ do: "create", object: sliceOf(service, [], []) });
  else if (placeholder !== undefined)
    commands.push(...update(placeholder, service, placeholder.ports ?? [], []));
  return { commands };
}

function isKept(
  slice: EndpointSlice,
  groups: ReadonlyMap<string, { readonly ports: readonly MemberPort[] }>,
  isHeadless: boolean,
): boolean {
  const group = groups.get(portsSignature(slice.ports));
  return group !== undefined && (group.ports.length > 0 || isHeadless);
}

/** Drops what is gone, rewrites what changed, fills free places, then opens new slices. */
function reconcile(
  service: Service,
  ports: readonly MemberPort[],
  endpoints: readonly Endpoint[],
  slices: readonly EndpointSlice[],
): readonly Command[] {
  const waiting = new Map(endpoints.map((endpoint) => [identity(endpoint), endpoint]));
  const filled = slices.map((slice) => {
    const kept: Endpoint[] = [];
    for (const old of slice.endpoints ?? []) {
      const wanted = waiting.get(identity(old));
      if (wanted === undefined) continue;
      kept.push(wanted);
      waiting.delete(identity(old));
    }
    return { slice, kept };
  });
  const rest = [...waiting.values()];
  const commands: Command[] = [];
  for (const { slice, kept } of filled) {
    kept.push(...rest.splice(0, Math.max(0, MAX_ENDPOINTS_PER_SLICE - kept.length)));
    if (kept.length === 0 && endpoints.length > 0) commands.push(remove(slice));
    else commands.push(...update(slice, service, ports, kept));
  }
  while (rest.length > 0) {
    const object = sliceOf(service, ports, rest.splice(0, MAX_ENDPOINTS_PER_SLICE));
    commands.push({ do: "create", object });
  }
  return commands;
}

const identity = (endpoint: Endpoint): string =>
  `${endpoint.targetRef?.uid ?? ""} ${endpoint.addresses.join(",")}`;

function endpointOf({ pod, ip, hostname, isReady, isTerminating }: Member, service: Service): Endpoint {
  return {
    addresses: [ip],
    conditions: {
      ready: service.spec.publishNotReadyAddresses === true || (isReady && !isTerminating),
      serving: isReady,
      terminating: isTerminating,
    },
    ...(hostname === undefined ? {} : { hostname }),
    targetRef: {
      kind: "Pod",
      namespace: pod.metadata.namespace ?? "",
      name: pod.metadata.name,
      uid: pod.metadata.uid ?? "",
    },
    ...(pod.spec.nodeName === undefined ? {} : { nodeName: pod.spec.nodeName }),
  };
}

function labelsOf(service: Service): Record<string, string> {
  const headless: Record<string, string> =
    service.spec.clusterIP === "None" ? { "service.kubernetes.io/headless": "" } : {};
  return {
    ...service.metadata.labels,
    [SERVICE_NAME]: service.metadata.name,
    [MANAGED_BY]: MANAGER,
    ...headless,
  };
}

function sliceOf(
  service: Service,
  ports: NonNullable<EndpointSlice["ports"]>,
  endpoints: readonly Endpoint[],
): EndpointSlice {
  const { name, namespace, uid } = service.metadata;
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: "",
      generateName: `${name}-`,
      ...(namespace === undefined ? {} : { namespace }),
      labels: labelsOf(service),
      ownerReferences: [
        {
          apiVersion: "v1",
          kind: "Service",
          name,
          uid: uid ?? "",
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    addressType: "IPv4",
    endpoints,
    ports,
  };
}

function update(
  slice: EndpointSlice,
  service: Service,
  ports: NonNullable<EndpointSlice["ports"]>,
  endpoints: readonly Endpoint[],
): readonly Command[] {
  const labels = labelsOf(service);
  const same =
    isDeepStrictEqual(slice.endpoints ?? [], endpoints) &&
    isDeepStrictEqual(slice.metadata.labels, labels) &&
    portsSignature(slice.ports) === portsSignature(ports);
  if (same) return [];
  return [
    {
      do: "update",
      object: { ...slice, metadata: { ...slice.metadata, labels }, endpoints, ports } as EndpointSlice,
    },
  ];
}

function remove(slice: EndpointSlice): Command {
  return {
    do: "delete",
    kind: "EndpointSlice",
    namespace: slice.metadata.namespace ?? "",
    name: slice.metadata.name,
  };
}
