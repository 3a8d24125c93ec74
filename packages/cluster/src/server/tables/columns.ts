/**
 * The columns that `kubectl get` prints, per kind: Kubernetes' own names, order and priorities (above 0 is shown
 * with `-o wide` only), and how each cell is read from an object. Checked against the answers of a real API server.
 */
import { formatAge } from "@slipway/base";
import {
  type Container,
  type EndpointSlice,
  type Endpoints,
  type Event,
  formatLabelSelector,
  isKind,
  type Kind,
  type KindMap,
  type KubeObject,
  type LabelSelector,
  type Node,
  type Pod,
  type Service,
} from "@slipway/kube";
import { podReady, podRestarts, podStatus } from "./pod.ts";

export interface Column<T> {
  readonly name: string;
  readonly type: "string" | "integer";
  readonly format?: "name";
  readonly priority?: 0 | 1;
  readonly description: string;
  /** `now` in milliseconds since the epoch. */
  cell(object: T, now: number): string | number;
}

const NONE = "<none>";
const UNSET = "<unset>";
const UNKNOWN = "<unknown>";

function text<T>(
  name: string,
  description: string,
  cell: (object: T, now: number) => string,
  priority: 0 | 1 = 0,
): Column<T> {
  return { name, type: "string", description, priority, cell };
}

function count<T>(name: string, description: string, cell: (object: T) => number): Column<T> {
  return { name, type: "integer", description, cell };
}

const nameColumn: Column<KubeObject> = {
  name: "Name",
  type: "string",
  format: "name",
  description: "The object's name, unique among those of its kind in a namespace.",
  cell: (object) => object.metadata.name,
};

const age = text<KubeObject>("Age", "Time since the object was created.", (object, now) =>
  since(object.metadata.creationTimestamp, now),
);

export function since(timestamp: string | null | undefined, now: number): string {
  return timestamp === undefined || timestamp === null || timestamp === ""
    ? UNKNOWN
    : formatAge(now - Date.parse(timestamp));
}

const templateColumns = (selectorOf: (object: KubeObject) => LabelSelector | undefined) => {
  const containersOf = (object: KubeObject): readonly Container[] =>
    isKind(object, "Deployment") || isKind(object, "ReplicaSet") ? object.spec.template.spec.containers : [];
  return [
    text<KubeObject>(
      "Containers",
      "Names of the containers in the template.",
      (object) =>
        containersOf(object)
          .map((container) => container.name)
          .join(","),
      1,
    ),
    text<KubeObject>(
      "Images",
      "Images of the containers in the template.",
      (object) =>
        containersOf(object)
          .map((container) => container.image ?? "")
          .join(","),
      1,
    ),
    text<KubeObject>(
      "Selector",
      "Which pods belong to this object.",
      (object) => formatLabelSelector(selectorOf(object) ?? {}) || NONE,
      1,
    ),
  ];
};

type Columns = readonly Column<never>[];

const byKind: Readonly<Record<string, Columns>> = {
  Namespace: columns("Namespace", [
    nameColumn,
    text("Status", "Active, or Terminating while its content is deleted.", (namespace) =>
      String(namespace.status?.phase ?? ""),
    ),
    age,
  ]),
  Node: columns("Node", [
    nameColumn,
    text("Status", "Whether pods can run there.", nodeStatus),
    text("Roles", "From the node's role labels.", nodeRoles),
    age,
    text("Version", "Version of the kubelet.", (node) => node.status?.nodeInfo?.["kubeletVersion"] ?? ""),
    text("Internal-IP", "Address inside the cluster.", (node) => nodeAddress(node, "InternalIP"), 1),
    text("External-IP", "Address outside the cluster.", (node) => nodeAddress(node, "ExternalIP"), 1),
    text("OS-Image", "Operating system.", (node) => node.status?.nodeInfo?.["osImage"] || UNKNOWN, 1),
    text(
      "Kernel-Version",
      "Version of the kernel.",
      (node) => node.status?.nodeInfo?.["kernelVersion"] || UNKNOWN,
      1,
    ),
    text(
      "Container-Runtime",
      "What runs the containers.",
      (node) => node.status?.nodeInfo?.["containerRuntimeVersion"] || UNKNOWN,
      1,
    ),
  ]),
  Pod: columns("Pod", [
    nameColumn,
    text("Ready", "Containers that are ready, of all.", podReady),
    text("Status", "What the pod's containers are doing, as one word.", podStatus),
    text("Restarts", "How often containers were restarted, and when last.", podRestarts),
    age,
    text("IP", "The pod's address.", (pod) => pod.status?.podIP || NONE, 1),
    text("Node", "Where it runs.", (pod) => pod.spec.nodeName || NONE, 1),
    text(
      "Nominated Node",
      "Where it would run after preemption.",
      (pod) => pod.status?.nominatedNodeName || NONE,
      1,
    ),
    text("Readiness Gates", "Extra conditions that are true, of all.", readinessGates, 1),
  ]),
  Service: columns("Service", [
    nameColumn,
    text("Type", "How the service is reached.", (service) => service.spec.type ?? "ClusterIP"),
    text("Cluster-IP", "Its address inside the cluster.", (service) => service.spec.clusterIP || NONE),
    text("External-IP", "Its address outside the cluster.", externalIp),
    text("Port(s)", "Ports, node ports and protocols.", servicePorts),
    age,
    text(
      "Selector",
      "Labels of the pods behind it.",
      (service) => formatLabelSelector({ matchLabels: service.spec.selector ?? {} }) || NONE,
      1,
    ),
  ]),
  Endpoints: columns("Endpoints", [
    nameColumn,
    text("Endpoints", "Ready addresses with their ports.", endpointList),
    age,
  ]),
  EndpointSlice: columns("EndpointSlice", [
    nameColumn,
    text("AddressType", "Type of the addresses.", (slice) => slice.addressType),
    text("Ports", "Ports of every endpoint.", slicePorts),
    text("Endpoints", "Addresses.", sliceEndpoints),
    age,
  ]),
  ConfigMap: columns("ConfigMap", [
    nameColumn,
    count(
      "Data",
      "Number of keys.",
      (map) => Object.keys(map.data ?? {}).length + Object.keys(map.binaryData ?? {}).length,
    ),
    age,
  ]),
  Secret: columns("Secret", [
    nameColumn,
    text("Type", "What the secret is for.", (secret) => secret.type ?? "Opaque"),
    count("Data", "Number of keys.", (secret) => Object.keys(secret.data ?? {}).length),
    age,
  ]),
  ServiceAccount: columns("ServiceAccount", [
    nameColumn,
    count("Secrets", "Number of secrets pods may use.", (account) => account.secrets?.length ?? 0),
    age,
  ]),
  Event: columns("Event", [
    text("Last Seen", "When it was last seen.", (event, now) => since(lastSeen(event), now)),
    text("Type", "Normal or Warning.", (event) => event.type ?? ""),
    text("Reason", "Why, as one word.", (event) => event.reason ?? ""),
    text("Object", "What it is about.", (event) => {
      const { kind = "", name = "" } = event.involvedObject;
      return name === "" ? kind.toLowerCase() : `${kind.toLowerCase()}/${name}`;
    }),
    text("Subobject", "Which part of it.", (event) => event.involvedObject.fieldPath ?? "", 1),
    text("Source", "Who reported it.", eventSource, 1),
    text("Message", "What happened.", (event) => (event.message ?? "").trim()),
    text("First Seen", "When it was first seen.", (event, now) => since(firstSeen(event), now), 1),
    {
      ...count<Event>(
        "Count",
        "How often it was seen.",
        (event) => event.series?.count ?? (event.count || 1),
      ),
      priority: 1,
    },
    { ...nameColumn, priority: 1 },
  ]),
  Deployment: columns("Deployment", [
    nameColumn,
    text(
      "Ready",
      "Pods that are ready, of those wanted.",
      ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas ?? 0}`,
    ),
    count("Up-to-date", "Pods of the newest template.", ({ status }) => status?.updatedReplicas ?? 0),
    count("Available", "Pods ready for minReadySeconds.", ({ status }) => status?.availableReplicas ?? 0),
    age,
    ...templateColumns((object) => (isKind(object, "Deployment") ? object.spec.selector : undefined)),
  ]),
  ReplicaSet: columns("ReplicaSet", [
    nameColumn,
    count("Desired", "Pods wanted.", ({ spec }) => spec.replicas ?? 0),
    count("Current", "Pods that exist.", ({ status }) => status?.replicas ?? 0),
    count("Ready", "Pods that are ready.", ({ status }) => status?.readyReplicas ?? 0),
    age,
    ...templateColumns((object) => (isKind(object, "ReplicaSet") ? object.spec.selector : undefined)),
  ]),
  Job: columns("Job", [
    nameColumn,
    text(
      "Completions",
      "Pods that have succeeded, of those wanted.",
      ({ spec, status }) => `${status?.succeeded ?? 0}/${spec.completions ?? 1}`,
    ),
    text("Duration", "Time from its start to its end, or so far.", ({ status }, now) =>
      status?.startTime === undefined
        ? ""
        : since(
            status.startTime,
            status.completionTime === undefined ? now : Date.parse(status.completionTime),
          ),
    ),
    age,
  ]),
  Lease: columns("Lease", [
    nameColumn,
    text("Holder", "Who holds it.", (lease) => lease.spec?.holderIdentity ?? ""),
    age,
  ]),
  PodDisruptionBudget: columns("PodDisruptionBudget", [
    nameColumn,
    text("Min Available", "Pods that must stay available.", ({ spec }) => String(spec.minAvailable ?? "N/A")),
    text("Max Unavailable", "Pods that may be away.", ({ spec }) => String(spec.maxUnavailable ?? "N/A")),
    count("Allowed Disruptions", "Pods that may go now.", ({ status }) => status?.disruptionsAllowed ?? 0),
    age,
  ]),
};

/** A kind without columns of its own is shown by name and time of creation, as Kubernetes does. */
const fallback: readonly Column<KubeObject>[] = [
  nameColumn,
  text("Created At", "When it was created.", (object) => object.metadata.creationTimestamp ?? UNKNOWN),
];

export function columnsOf(kind: string): readonly Column<KubeObject>[] {
  return (byKind[kind] as readonly Column<KubeObject>[] | undefined) ?? fallback;
}

/** Types the cells of one kind; the table itself is looked up by a string. */
function columns<K extends Kind>(_kind: K, list: readonly Column<KindMap[K]>[]): Columns {
  return list;
}

function nodeStatus(node: Node): string {
  const ready = node.status?.conditions?.find((condition) => condition.type === "Ready");
  const word = ready === undefined ? "Unknown" : ready.status === "True" ? "Ready" : "NotReady";
  return node.spec?.unschedulable === true ? `${word},SchedulingDisabled` : word;
}

const ROLE_PREFIX = "node-role.kubernetes.io/";

function nodeRoles(node: Node): string {
  const labels = node.metadata.labels ?? {};
  const roles = Object.entries(labels).flatMap(([key, value]) => {
    if (key.startsWith(ROLE_PREFIX) && key.length > ROLE_PREFIX.length)
      return [key.slice(ROLE_PREFIX.length)];
    return key === "kubernetes.io/role" && value !== "" ? [value] : [];
  });
  return [...new Set(roles)].sort().join(",") || NONE;
}

function nodeAddress(node: Node, type: string): string {
  return node.status?.addresses?.find((address) => address.type === type)?.address ?? NONE;
}

function readinessGates(pod: Pod): string {
  const gates = pod.spec.readinessGates ?? [];
  if (gates.length === 0) return NONE;
  const isTrue = (gate: { readonly conditionType: string }): boolean =>
    pod.status?.conditions?.some(({ type, status }) => type === gate.conditionType && status === "True") ===
    true;
  return `${gates.filter(isTrue).length}/${gates.length}`;
}

function externalIp(service: Service): string {
  if (service.spec.type === "ExternalName") return service.spec.externalName ?? NONE;
  if (service.spec.type !== "LoadBalancer") return NONE;
  const ingress = service.status?.loadBalancer?.["ingress"];
  const addresses = (Array.isArray(ingress) ? ingress : []).map((each: { ip?: string; hostname?: string }) =>
    String(each.ip ?? each.hostname ?? ""),
  );
  return addresses.join(",") || "<pending>";
}

function servicePorts(service: Service): string {
  const ports = (service.spec.ports ?? []).map(({ port, nodePort, protocol = "TCP" }) =>
    nodePort === undefined || nodePort === 0 ? `${port}/${protocol}` : `${port}:${nodePort}/${protocol}`,
  );
  return ports.join(",") || NONE;
}

const SHOWN = 3;

function shorten(list: readonly string[], more: (hidden: number) => string): string {
  return list.length <= SHOWN
    ? list.join(",")
    : `${list.slice(0, SHOWN).join(",")}${more(list.length - SHOWN)}`;
}

function endpointList(endpoints: Endpoints): string {
  const list = (endpoints.subsets ?? []).flatMap((subset) => {
    const addresses = (subset.addresses ?? []).map((address) => address.ip);
    const ports = subset.ports ?? [];
    return ports.length === 0
      ? addresses
      : ports.flatMap((port) => addresses.map((ip) => `${ip}:${port.port}`));
  });
  return shorten(list, (hidden) => ` + ${hidden} more...`) || NONE;
}

function slicePorts(slice: EndpointSlice): string {
  const ports = (slice.ports ?? []).map((port) => (port.port === undefined ? "*" : String(port.port)));
  return shorten(ports, (hidden) => ` + ${hidden} more...`) || UNSET;
}

function sliceEndpoints(slice: EndpointSlice): string {
  const addresses = (slice.endpoints ?? []).flatMap((endpoint) => endpoint.addresses);
  return shorten(addresses, (hidden) => ` + ${hidden} more...`) || UNSET;
}

function firstSeen(event: Event): string | null | undefined {
  return event.firstTimestamp || event.eventTime;
}

function lastSeen(event: Event): string | null | undefined {
  return event.series?.lastObservedTime || event.lastTimestamp || firstSeen(event);
}

function eventSource(event: Event): string {
  const component = event.source?.component || event.reportingComponent || "";
  const host = event.source?.host || event.reportingInstance || "";
  return host === "" ? component : `${component}, ${host}`;
}
