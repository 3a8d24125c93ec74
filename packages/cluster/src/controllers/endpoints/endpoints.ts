/** endpoints-controller: the old form of a Service's addresses, which `kubectl get endpoints` and old clients read. */
import { isDeepStrictEqual } from "node:util";
import type { EndpointAddress, Endpoints, Service } from "@slipway/kube";
import { type Controller, type Decision, type Key, keyOf, type Snapshot, splitKey } from "../controller.ts";
import { groupByPorts, type Member, membersOf, servicesOfPod } from "./members.ts";

export const endpointsController: Controller = {
  name: "endpoint-controller",
  watches: [
    { kind: "Service", keys: (service) => [keyOf(service)] },
    { kind: "Pod", keys: servicesOfPod },
    // Only to repair what somebody changed by hand; one's own write decides to do nothing.
    { kind: "Endpoints", keys: (endpoints) => [keyOf(endpoints)] },
  ],
  decide,
};

function decide(snapshot: Snapshot, key: Key): Decision {
  const { namespace, name } = splitKey(key);
  const service = snapshot.get("Service", namespace, name);
  const current = snapshot.get("Endpoints", namespace, name);
  if (service === undefined || service.metadata.deletionTimestamp !== undefined) {
    // Endpoints of the same name that never belonged to a Service (leader election, hand-made) stay.
    if (current === undefined || current.metadata.annotations?.[TRIGGER] === undefined)
      return { commands: [] };
    return { commands: [{ do: "delete", kind: "Endpoints", namespace, name }] };
  }
  const members = membersOf(service, snapshot);
  if (members === undefined) return { commands: [] };

  const subsets = subsetsOf(service, members);
  const labels = labelsOf(service);
  if (current === undefined) {
    const object: Endpoints = {
      apiVersion: "v1",
      kind: "Endpoints",
      metadata: {
        name,
        namespace,
        labels,
        annotations: { [TRIGGER]: service.metadata.creationTimestamp ?? "" },
      },
      ...(subsets.length === 0 ? {} : { subsets }),
    };
    return { commands: [{ do: "create", object }] };
  }
  if (
    isDeepStrictEqual(current.subsets ?? [], subsets) &&
    isDeepStrictEqual(current.metadata.labels ?? {}, labels)
  ) {
    return { commands: [] };
  }
  const { subsets: _, ...rest } = current;
  const object: Endpoints = {
    ...rest,
    metadata: {
      ...current.metadata,
      labels,
      annotations: { [TRIGGER]: service.metadata.creationTimestamp ?? "", ...current.metadata.annotations },
    },
    ...(subsets.length === 0 ? {} : { subsets }),
  };
  return { commands: [{ do: "update", object }] };
}

const TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time";

function labelsOf(service: Service): Record<string, string> {
  const headless: Record<string, string> =
    service.spec.clusterIP === "None" ? { "service.kubernetes.io/headless": "" } : {};
  return { ...service.metadata.labels, ...headless };
}

function subsetsOf(service: Service, members: readonly Member[]): NonNullable<Endpoints["subsets"]> {
  const publishAll = service.spec.publishNotReadyAddresses === true;
  const isHeadlessWithoutPorts = service.spec.clusterIP === "None" && (service.spec.ports ?? []).length === 0;
  const shown = members.filter((member) => publishAll || !member.isTerminating);
  const subsets = [];
  for (const group of groupByPorts(shown).values()) {
    if (group.ports.length === 0 && !isHeadlessWithoutPorts) continue;
    const ready = group.members.filter((member) => publishAll || member.isReady).map(addressOf);
    const notReady = group.members.filter((member) => !publishAll && !member.isReady).map(addressOf);
    const ports = group.ports.map(({ name, port, protocol }) => ({
      ...(name === "" ? {} : { name }),
      port,
      protocol,
    }));
    subsets.push({
      ...(ready.length === 0 ? {} : { addresses: ready }),
      ...(notReady.length === 0 ? {} : { notReadyAddresses: notReady }),
      ...(ports.length === 0 ? {} : { ports }),
    });
  }
  return subsets;
}

function addressOf({ pod, ip, hostname }: Member): EndpointAddress {
  return {
    ip,
    ...(hostname === undefined ? {} : { hostname }),
    ...(pod.spec.nodeName === undefined ? {} : { nodeName: pod.spec.nodeName }),
    targetRef: {
      kind: "Pod",
      namespace: pod.metadata.namespace ?? "",
      name: pod.metadata.name,
      uid: pod.metadata.uid ?? "",
    },
  };
}
