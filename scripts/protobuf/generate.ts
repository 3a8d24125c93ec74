/**
 * Makes packages/cluster/src/server/protobuf/fields.json: the numbers and names of the protobuf fields of the
 * messages that clients send. They are facts of the wire format, read from the struct tags in Kubernetes' own
 * `types.go` files, which (unlike the .proto files) also say what is a pointer, what is inlined in JSON and what
 * is left out when empty.
 *
 *     node scripts/protobuf/generate.ts KUBERNETES/staging/src/k8s.io
 *
 * where KUBERNETES is an unpacked source package of Kubernetes (1.20). Newer fields are in `newer` below.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [root] = process.argv.slice(2);
if (root === undefined)
  throw new Error("usage: node scripts/protobuf/generate.ts KUBERNETES/staging/src/k8s.io");

/** Prefix of the message name → where its types are. Messages of meta/v1 and core/v1 have distinct names. */
const sources: readonly (readonly [string, string])[] = [
  ["meta", "apimachinery/pkg/apis/meta/v1/types.go"],
  ["core", "api/core/v1/types.go"],
  ["apps", "api/apps/v1/types.go"],
  ["authorization", "api/authorization/v1/types.go"],
  ["autoscaling", "api/autoscaling/v1/types.go"],
  ["coordination", "api/coordination/v1/types.go"],
  ["discovery", "api/discovery/v1beta1/types.go"],
  ["events", "api/events/v1/types.go"],
  ["policy", "api/policy/v1beta1/types.go"],
];

/** What a client may send as a whole, by `apiVersion kind`. The rest follows from it. */
const roots: Readonly<Record<string, string>> = {
  "v1 Namespace": "core.Namespace",
  "v1 Node": "core.Node",
  "v1 Pod": "core.Pod",
  "v1 Service": "core.Service",
  "v1 Endpoints": "core.Endpoints",
  "v1 ConfigMap": "core.ConfigMap",
  "v1 Secret": "core.Secret",
  "v1 ServiceAccount": "core.ServiceAccount",
  "v1 Event": "core.Event",
  "v1 Binding": "core.Binding",
  "v1 DeleteOptions": "meta.DeleteOptions",
  "meta.k8s.io/v1 DeleteOptions": "meta.DeleteOptions",
  "apps/v1 Deployment": "apps.Deployment",
  "apps/v1 ReplicaSet": "apps.ReplicaSet",
  "autoscaling/v1 Scale": "autoscaling.Scale",
  "authorization.k8s.io/v1 SelfSubjectAccessReview": "authorization.SelfSubjectAccessReview",
  "coordination.k8s.io/v1 Lease": "coordination.Lease",
  "discovery.k8s.io/v1 EndpointSlice": "discovery.EndpointSlice",
  "events.k8s.io/v1 Event": "events.Event",
  "policy/v1 PodDisruptionBudget": "policy.PodDisruptionBudget",
  "policy/v1 Eviction": "policy.Eviction",
  "policy/v1beta1 Eviction": "policy.Eviction",
};

/** Fields that came after 1.20, in the notation of the output: `number name type`. */
const newer: Readonly<Record<string, readonly string[]>> = {
  "core.PodSpec": [
    "36 os core.PodOS",
    "37 hostUsers bool!",
    "38 schedulingGates core.PodSchedulingGate[]",
    "40 resources core.ResourceRequirements",
  ],
  "core.PodOS": ["1 name string!"],
  "core.PodSchedulingGate": ["1 name string!"],
  "core.Container": ["23 resizePolicy core.ContainerResizePolicy[]", "24 restartPolicy string!"],
  "core.ContainerResizePolicy": ["1 resourceName string!", "2 restartPolicy string!"],
  "core.Probe": ["7 terminationGracePeriodSeconds int!"],
  "core.Handler": ["4 grpc core.GRPCAction"],
  "core.GRPCAction": ["1 port int!", "2 service string!"],
  // One struct in 1.20 became two, which use number 4 differently.
  "core.Lifecycle": [
    "1 postStart core.LifecycleHandler",
    "2 preStop core.LifecycleHandler",
    "3 stopSignal string!",
  ],
  "core.LifecycleHandler": [
    "1 exec core.ExecAction",
    "2 httpGet core.HTTPGetAction",
    "3 tcpSocket core.TCPSocketAction",
    "4 sleep core.SleepAction",
  ],
  "core.SleepAction": ["1 seconds int!"],
  "core.SecurityContext": ["12 appArmorProfile core.AppArmorProfile"],
  "core.PodSecurityContext": [
    "11 appArmorProfile core.AppArmorProfile",
    "12 supplementalGroupsPolicy string!",
    "13 seLinuxChangePolicy string!",
  ],
  "core.AppArmorProfile": ["1 type string!", "2 localhostProfile string!"],
  "core.ServiceSpec": [
    "21 loadBalancerClass string!",
    "22 internalTrafficPolicy string!",
    "23 trafficDistribution string!",
  ],
  "core.TopologySpreadConstraint": [
    "5 minDomains int!",
    "6 nodeAffinityPolicy string!",
    "7 nodeTaintsPolicy string!",
    "8 matchLabelKeys string[]",
  ],
  "core.PodAffinityTerm": [
    "4 namespaceSelector meta.LabelSelector",
    "5 matchLabelKeys string[]",
    "6 mismatchLabelKeys string[]",
  ],
  "core.VolumeMount": ["7 recursiveReadOnly string!"],
  "core.PodStatus": ["14 resize string", "16 hostIPs core.PodIP[]", "17 observedGeneration int"],
  "core.PodCondition": ["7 observedGeneration int"],
  "apps.DeploymentStatus": ["9 terminatingReplicas int!"],
  "apps.ReplicaSetStatus": ["7 terminatingReplicas int!"],
  "discovery.Endpoint": ["7 zone string!", "8 hints discovery.EndpointHints"],
  "discovery.EndpointHints": ["1 forZones discovery.ForZone[]"],
  "discovery.ForZone": ["1 name string!"],
  "discovery.EndpointConditions": ["2 serving bool!", "3 terminating bool!"],
  "policy.PodDisruptionBudgetSpec": ["4 unhealthyPodEvictionPolicy string!"],
  "policy.PodDisruptionBudgetStatus": ["7 conditions meta.Condition[]"],
  "coordination.LeaseSpec": ["6 strategy string!", "7 preferredHolder string!"],
};

const scalars: Readonly<Record<string, string>> = {
  string: "string",
  bool: "bool",
  int32: "int",
  int64: "int",
  int: "int",
  byte: "byte",
  float64: "double",
  "metav1.Time": "time",
  Time: "time",
  "metav1.MicroTime": "micro-time",
  MicroTime: "micro-time",
  "resource.Quantity": "quantity",
  "intstr.IntOrString": "int-or-string",
  FieldsV1: "json",
  "metav1.FieldsV1": "json",
  "runtime.RawExtension": "json",
  "types.UID": "string",
};

interface GoField {
  readonly number: number;
  readonly json: string;
  readonly type: string;
  readonly isInline: boolean;
  readonly omitsEmpty: boolean;
}

/** Go structs and named types by qualified name. */
const structs = new Map<string, GoField[]>();
const aliases = new Map<string, string>();

for (const [prefix, file] of sources) {
  const text = readFileSync(join(root, file), "utf8");
  for (const match of text.matchAll(/^type (\w+) struct \{\n([\s\S]*?)^\}/gm)) {
    const fields: GoField[] = [];
    for (const line of (match[2] as string).split("\n")) {
      const tagged =
        /^\s*(?:(\w+)\s+)?(\S+)\s+`json:"([^"]*)"(?: \w+:"[^"]*")*? protobuf:"\w+,(\d+)[^"]*"/.exec(line);
      if (tagged === null) continue;
      const [name, ...flags] = (tagged[3] as string).split(",");
      fields.push({
        number: Number(tagged[4]),
        json: name as string,
        type: tagged[2] as string,
        isInline: flags.includes("inline"),
        omitsEmpty: flags.includes("omitempty"),
      });
    }
    structs.set(`${prefix}.${match[1]}`, fields);
  }
  for (const match of text.matchAll(/^type (\w+) ((?:\[\]|map\[)?[\w.\]]+)$/gm)) {
    aliases.set(`${prefix}.${match[1]}`, match[2] as string);
  }
}

const goPackages: Readonly<Record<string, string>> = { v1: "core", metav1: "meta", corev1: "core" };

/** `core` + `[]*metav1.LabelSelector` → `meta.LabelSelector[]`. A trailing `!` keeps an empty scalar in JSON. */
function typeOf(prefix: string, goType: string): string {
  if (goType.startsWith("*")) {
    const inner = typeOf(prefix, goType.slice(1));
    return isMessage(inner) ? inner : `${inner}!`;
  }
  if (goType === "[]byte") return "bytes";
  if (goType.startsWith("[]")) return `${typeOf(prefix, goType.slice(2))}[]`;
  const map = /^map\[[\w.]+\](.*)$/.exec(goType);
  if (map !== null) return `${typeOf(prefix, map[1] as string)}{}`;
  const scalar = scalars[goType];
  if (scalar !== undefined) return scalar;
  const [first, second] = goType.split(".");
  const qualified =
    second === undefined ? `${prefix}.${first}` : `${goPackages[first as string] ?? first}.${second}`;
  const alias = aliases.get(qualified);
  if (alias !== undefined) return typeOf(qualified.split(".")[0] as string, alias);
  if (structs.has(qualified) || qualified in newer) return qualified;
  throw new Error(`no type ${goType} in ${prefix}`);
}

const isMessage = (type: string): boolean => /^[a-z]+\.[A-Z]/.test(type);

const table: Record<string, string[]> = {};
const open = Object.values(roots);
for (let name = open.shift(); name !== undefined; name = open.shift()) {
  if (name in table) continue;
  const prefix = name.split(".")[0] as string;
  const lines = new Map<number, string>();
  for (const field of structs.get(name) ?? []) {
    const type = typeOf(prefix, field.type);
    const keeps = !field.omitsEmpty && ["string", "int", "bool"].includes(type) ? "!" : "";
    lines.set(field.number, `${field.number} ${field.isInline ? "" : field.json} ${type}${keeps}`);
  }
  for (const line of newer[name] ?? []) lines.set(Number.parseInt(line, 10), line);
  table[name] = [...lines].sort(([a], [b]) => a - b).map(([, line]) => line);
  for (const line of table[name] ?? []) {
    const type = (line.split(" ")[2] as string).replace(/(?:\[\]|\{\}|!)+$/, "");
    if (isMessage(type)) open.push(type);
  }
}

const lines = Object.entries(table)
  .sort(([a], [b]) => (a < b ? -1 : 1))
  .map(([name, fields]) => `${JSON.stringify(name)}: ${JSON.stringify(fields)}`);
const target = join(import.meta.dirname, "../../packages/cluster/src/server/protobuf/fields.json");
writeFileSync(target, `{"roots": ${JSON.stringify(roots)},\n"messages": {\n${lines.join(",\n")}\n}}\n`);
process.stdout.write(`${lines.length} messages\n`);
