/**
 * Which pods stand behind a Service, on which ports, and in what condition: the common half of Endpoints and
 * EndpointSlices.
 */
import { type KubeObject, matchesLabels, type Pod, type Service } from "@slipway/kube";
import { type Key, keyOf, type Snapshot } from "../controller.ts";

export interface MemberPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
  readonly appProtocol?: string;
}

export interface Member {
  readonly pod: Pod;
  readonly ip: string;
  readonly hostname: string | undefined;
  /** The pod's own readiness; `publishNotReadyAddresses` is not yet taken into account. */
  readonly isReady: boolean;
  readonly isTerminating: boolean;
  /** May differ between pods of one Service, because a targetPort may be a name. */
  readonly ports: readonly MemberPort[];
}

export function isPodReady(pod: Pod): boolean {
  return pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
}

/** In order of pod name. Undefined for Services whose endpoints are somebody else's business. */
export function membersOf(service: Service, snapshot: Snapshot): readonly Member[] | undefined {
  const { selector, type } = service.spec;
  if (selector === undefined || Object.keys(selector).length === 0 || type === "ExternalName")
    return undefined;
  const members: Member[] = [];
  for (const pod of snapshot.list("Pod", service.metadata.namespace)) {
    const ip = pod.status?.podIP;
    const hasEnded = pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
    if (ip === undefined || ip === "" || hasEnded) continue;
    if (!matchesLabels({ matchLabels: selector }, pod.metadata.labels)) continue;
    members.push({
      pod,
      ip,
      hostname: pod.spec.subdomain === service.metadata.name ? pod.spec.hostname : undefined,
      isReady: isPodReady(pod),
      isTerminating: pod.metadata.deletionTimestamp !== undefined,
      ports: portsOf(service, pod),
    });
  }
  return members;
}

/** A named targetPort that the pod does not have is left out for that pod, as Kubernetes does. */
function portsOf(service: Service, pod: Pod): readonly MemberPort[] {
  const ports: MemberPort[] = [];
  for (const { name, protocol = "TCP", port, targetPort = port, appProtocol } of service.spec.ports ?? []) {
    const number = typeof targetPort === "number" ? targetPort : namedPort(pod, targetPort, protocol);
    if (number === undefined) continue;
    const base = { name: name ?? "", port: number, protocol };
    ports.push(appProtocol === undefined ? base : { ...base, appProtocol });
  }
  return ports;
}

function namedPort(pod: Pod, name: string, protocol: string): number | undefined {
  const sidecars = (pod.spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always");
  for (const container of [...pod.spec.containers, ...sidecars]) {
    for (const port of container.ports ?? []) {
      if (port.name === name && (port.protocol ?? "TCP") === protocol) return port.containerPort;
    }
  }
  return undefined;
}

/** Groups members by the set of ports they serve: one subset, or one family of slices, per group. */
export function groupByPorts(
  members: readonly Member[],
): ReadonlyMap<string, { readonly ports: readonly MemberPort[]; readonly members: readonly Member[] }> {
  const groups = new Map<string, { ports: readonly MemberPort[]; members: Member[] }>();
  for (const member of members) {
    const signature = portsSignature(member.ports);
    const group = groups.get(signature) ?? { ports: member.ports, members: [] };
    group.members.push(member);
    groups.set(signature, group);
  }
  return groups;
}

export function portsSignature(
  ports:
    | readonly { readonly name?: string; readonly port?: number; readonly protocol?: string }[]
    | undefined,
): string {
  return (ports ?? [])
    .map(({ name, port, protocol }) => `${name ?? ""}:${port ?? ""}/${protocol ?? "TCP"}`)
    .sort()
    .join(",");
}

/** The Services a pod change concerns: those that select it now or selected it before. */
export function servicesOfPod(
  object: KubeObject,
  previous: KubeObject | undefined,
  snapshot: Snapshot,
): readonly Key[] {
  const keys: Key[] = [];
  for (const service of snapshot.list("Service", object.metadata.namespace)) {
    const selector = service.spec.selector;
    if (selector === undefined || Object.keys(selector).length === 0) continue;
    const matches = (pod: KubeObject | undefined): boolean =>
      pod !== undefined && matchesLabels({ matchLabels: selector }, pod.metadata.labels);
    if (matches(object) || matches(previous)) keys.push(keyOf(service));
  }
  return keys;
}
