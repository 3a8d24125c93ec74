/**
 * What Kubernetes 1.21 to 1.34 added to the types in the 1.20 document, written from the public API reference.
 * Only facts that a table can hold: field names, types, list types and keys.
 */
import type { Definition, Property } from "../../packages/kube/src/schema/types.ts";

type Definitions = Record<string, Definition>;
type Properties = Record<string, Property>;

const CORE = "io.k8s.api.core.v1.";
const META = "io.k8s.apimachinery.pkg.apis.meta.v1.";

const str: Property = { type: "string" };
const bool: Property = { type: "boolean" };
const int32: Property = { type: "integer", format: "int32" };
const int64: Property = { type: "integer", format: "int64" };
const core = (name: string): Property => ({ ref: CORE + name });
const atomic = (items: Property): Property => ({ type: "array", items, listType: "atomic" });
const setOf = (items: Property): Property => ({ type: "array", items, listType: "set" });
const mapOf = (map: Property): Property => ({ type: "object", map });
const keyed = (items: Property, key: string, strategy = ["merge"]): Property => ({
  type: "array",
  items,
  listType: "map",
  listKeys: [key],
  mergeKey: key,
  strategy,
});
const quantities = mapOf({ ref: "io.k8s.apimachinery.pkg.api.resource.Quantity" });

/** New properties of types that exist in 1.20. */
const PROPERTIES: Record<string, Properties> = {
  [`${META}ManagedFieldsEntry`]: { subresource: str },
  [`${META}DeleteOptions`]: { ignoreStoreReadErrorWithClusterBreakingPotential: bool },
  [`${META}APIResource`]: { responseKind: { ref: `${META}GroupVersionKind` } },
  "io.k8s.api.apps.v1.DeploymentStatus": { terminatingReplicas: int32 },
  "io.k8s.api.apps.v1.ReplicaSetStatus": { terminatingReplicas: int32 },
  "io.k8s.api.coordination.v1.LeaseSpec": { preferredHolder: str, strategy: str },
  "io.k8s.api.discovery.v1.Endpoint": {
    deprecatedTopology: mapOf(str),
    hints: { ref: "io.k8s.api.discovery.v1.EndpointHints" },
    zone: str,
  },
  "io.k8s.api.policy.v1.PodDisruptionBudgetSpec": { unhealthyPodEvictionPolicy: str },
  "io.k8s.api.policy.v1.PodDisruptionBudgetStatus": {
    conditions: keyed({ ref: `${META}Condition` }, "type"),
  },
  [`${CORE}Container`]: {
    resizePolicy: atomic(core("ContainerResizePolicy")),
    restartPolicy: str,
    restartPolicyRules: atomic(core("ContainerRestartRule")),
  },
  [`${CORE}EphemeralContainer`]: {
    resizePolicy: atomic(core("ContainerResizePolicy")),
    restartPolicy: str,
    restartPolicyRules: atomic(core("ContainerRestartRule")),
  },
  [`${CORE}ContainerStatus`]: {
    allocatedResources: quantities,
    allocatedResourcesStatus: keyed(core("ResourceStatus"), "name"),
    resources: core("ResourceRequirements"),
    stopSignal: str,
    user: core("ContainerUser"),
    volumeMounts: keyed(core("VolumeMountStatus"), "mountPath"),
  },
  [`${CORE}EnvVarSource`]: { fileKeyRef: core("FileKeySelector") },
  [`${CORE}Lifecycle`]: { stopSignal: str },
  [`${CORE}LifecycleHandler`]: { sleep: core("SleepAction") },
  [`${CORE}LoadBalancerIngress`]: { ipMode: str },
  [`${CORE}NodeStatus`]: {
    features: core("NodeFeatures"),
    runtimeHandlers: atomic(core("NodeRuntimeHandler")),
  },
  [`${CORE}NodeSystemInfo`]: { swap: core("NodeSwapStatus") },
  [`${CORE}PersistentVolumeClaimSpec`]: {
    dataSourceRef: core("TypedObjectReference"),
    volumeAttributesClassName: str,
  },
  [`${CORE}PodAffinityTerm`]: {
    matchLabelKeys: atomic(str),
    mismatchLabelKeys: atomic(str),
    namespaceSelector: { ref: `${META}LabelSelector` },
  },
  [`${CORE}PodCondition`]: { observedGeneration: int64 },
  [`${CORE}PodSecurityContext`]: {
    appArmorProfile: core("AppArmorProfile"),
    seLinuxChangePolicy: str,
    supplementalGroupsPolicy: str,
  },
  [`${CORE}PodSpec`]: {
    hostUsers: bool,
    hostnameOverride: str,
    os: core("PodOS"),
    resourceClaims: keyed(core("PodResourceClaim"), "name", ["merge", "retainKeys"]),
    resources: core("ResourceRequirements"),
    schedulingGates: keyed(core("PodSchedulingGate"), "name"),
  },
  [`${CORE}PodStatus`]: {
    extendedResourceClaimStatus: core("PodExtendedResourceClaimStatus"),
    hostIPs: { ...atomic(core("HostIP")), strategy: ["merge"], mergeKey: "ip" },
    observedGeneration: int64,
    resize: str,
    resourceClaimStatuses: keyed(core("PodResourceClaimStatus"), "name", ["merge", "retainKeys"]),
  },
  [`${CORE}Probe`]: { grpc: core("GRPCAction"), terminationGracePeriodSeconds: int64 },
  [`${CORE}ResourceRequirements`]: {
    claims: { type: "array", items: core("ResourceClaim"), listType: "map", listKeys: ["name"] },
  },
  [`${CORE}SecurityContext`]: { appArmorProfile: core("AppArmorProfile") },
  [`${CORE}ServiceSpec`]: { internalTrafficPolicy: str, loadBalancerClass: str, trafficDistribution: str },
  [`${CORE}TopologySpreadConstraint`]: {
    matchLabelKeys: atomic(str),
    minDomains: int32,
    nodeAffinityPolicy: str,
    nodeTaintsPolicy: str,
  },
  [`${CORE}Volume`]: { image: core("ImageVolumeSource") },
  [`${CORE}VolumeMount`]: { recursiveReadOnly: str },
  [`${CORE}VolumeProjection`]: {
    clusterTrustBundle: core("ClusterTrustBundleProjection"),
    podCertificate: core("PodCertificateProjection"),
  },
  [`${CORE}WindowsSecurityContextOptions`]: { hostProcess: bool },
};

const object = (properties: Properties, required: string[] = []): Definition => ({
  type: "object",
  properties,
  ...(required.length === 0 ? {} : { required }),
});

/** Types that 1.20 does not have. */
const NEW_DEFINITIONS: Definitions = {
  [`${META}GroupVersionKind`]: object({ group: str, kind: str, version: str }, ["group", "version", "kind"]),
  "io.k8s.api.discovery.v1.EndpointHints": object({
    forNodes: atomic({ ref: "io.k8s.api.discovery.v1.ForNode" }),
    forZones: atomic({ ref: "io.k8s.api.discovery.v1.ForZone" }),
  }),
  "io.k8s.api.discovery.v1.ForNode": object({ name: str }, ["name"]),
  "io.k8s.api.discovery.v1.ForZone": object({ name: str }, ["name"]),
  [`${CORE}AppArmorProfile`]: object({ localhostProfile: str, type: str }, ["type"]),
  [`${CORE}ClusterTrustBundleProjection`]: object(
    {
      labelSelector: { ref: `${META}LabelSelector` },
      name: str,
      optional: bool,
      path: str,
      signerName: str,
    },
    ["path"],
  ),
  [`${CORE}ContainerExtendedResourceRequest`]: object(
    { containerName: str, requestName: str, resourceName: str },
    ["containerName", "resourceName", "requestName"],
  ),
  [`${CORE}ContainerResizePolicy`]: object({ resourceName: str, restartPolicy: str }, [
    "resourceName",
    "restartPolicy",
  ]),
  [`${CORE}ContainerRestartRule`]: object(
    { action: str, exitCodes: core("ContainerRestartRuleOnExitCodes") },
    ["action"],
  ),
  [`${CORE}ContainerRestartRuleOnExitCodes`]: object({ operator: str, values: setOf(int32) }, ["operator"]),
  [`${CORE}ContainerUser`]: object({ linux: core("LinuxContainerUser") }),
  [`${CORE}FileKeySelector`]: {
    ...object({ key: str, optional: bool, path: str, volumeName: str }, ["volumeName", "path", "key"]),
    mapType: "atomic",
  },
  [`${CORE}GRPCAction`]: object({ port: int32, service: { ...str, default: "" } }, ["port"]),
  [`${CORE}HostIP`]: object({ ip: str }, ["ip"]),
  [`${CORE}ImageVolumeSource`]: object({ pullPolicy: str, reference: str }),
  [`${CORE}LinuxContainerUser`]: object({ gid: int64, supplementalGroups: atomic(int64), uid: int64 }, [
    "uid",
    "gid",
  ]),
  [`${CORE}NodeFeatures`]: object({ supplementalGroupsPolicy: bool }),
  [`${CORE}NodeRuntimeHandler`]: object({ features: core("NodeRuntimeHandlerFeatures"), name: str }),
  [`${CORE}NodeRuntimeHandlerFeatures`]: object({ recursiveReadOnlyMounts: bool, userNamespaces: bool }),
  [`${CORE}NodeSwapStatus`]: object({ capacity: int64 }),
  [`${CORE}PodCertificateProjection`]: object(
    {
      certificateChainPath: str,
      credentialBundlePath: str,
      keyPath: str,
      keyType: str,
      maxExpirationSeconds: int32,
      signerName: str,
    },
    ["signerName", "keyType"],
  ),
  [`${CORE}PodExtendedResourceClaimStatus`]: object(
    {
      requestMappings: atomic(core("ContainerExtendedResourceRequest")),
      resourceClaimName: str,
    },
    ["requestMappings", "resourceClaimName"],
  ),
  [`${CORE}PodOS`]: object({ name: str }, ["name"]),
  [`${CORE}PodResourceClaim`]: object({ name: str, resourceClaimName: str, resourceClaimTemplateName: str }, [
    "name",
  ]),
  [`${CORE}PodResourceClaimStatus`]: object({ name: str, resourceClaimName: str }, ["name"]),
  [`${CORE}PodSchedulingGate`]: object({ name: str }, ["name"]),
  [`${CORE}ResourceClaim`]: object({ name: str, request: str }, ["name"]),
  [`${CORE}ResourceHealth`]: object({ health: str, resourceID: str }, ["resourceID"]),
  [`${CORE}ResourceStatus`]: object(
    {
      name: str,
      resources: {
        type: "array",
        items: core("ResourceHealth"),
        listType: "map",
        listKeys: ["resourceID"],
      },
    },
    ["name"],
  ),
  [`${CORE}SleepAction`]: object({ seconds: int64 }, ["seconds"]),
  [`${CORE}TypedObjectReference`]: object({ apiGroup: str, kind: str, name: str, namespace: str }, [
    "kind",
    "name",
  ]),
  [`${CORE}VolumeMountStatus`]: object(
    { mountPath: str, name: str, readOnly: bool, recursiveReadOnly: str },
    ["name", "mountPath"],
  ),
};

/** Properties that are gone from the version of the type that Slipway serves. */
const REMOVED: readonly (readonly [definition: string, property: string])[] = [
  [`${CORE}ServiceSpec`, "topologyKeys"],
  [`${CORE}EphemeralVolumeSource`, "readOnly"],
  [`${META}ObjectMeta`, "clusterName"],
  ["io.k8s.api.discovery.v1.Endpoint", "topology"],
];

/** Types that server-side apply owns as a whole, marked so after 1.20. */
const ATOMIC_MAPS: readonly string[] = [
  `${CORE}ConfigMapKeySelector`,
  `${CORE}EndpointAddress`,
  `${CORE}EndpointPort`,
  `${CORE}LocalObjectReference`,
  `${CORE}NodeSelector`,
  `${CORE}NodeSelectorTerm`,
  `${CORE}ObjectFieldSelector`,
  `${CORE}ObjectReference`,
  `${CORE}ResourceFieldSelector`,
  `${CORE}SecretKeySelector`,
  `${CORE}TypedLocalObjectReference`,
  `${META}OwnerReference`,
  "io.k8s.api.discovery.v1.EndpointPort",
];

/** Changes of one property: facts that 1.20 lacks about fields it has. */
const CHANGED: readonly (readonly [definition: string, property: string, facts: Partial<Property>])[] = [
  [`${CORE}ContainerPort`, "protocol", { default: "TCP" }],
  [`${CORE}ServicePort`, "protocol", { default: "TCP" }],
  [`${CORE}PodSpec`, "nodeSelector", { mapType: "atomic" }],
  [`${CORE}ServiceSpec`, "selector", { mapType: "atomic" }],
  [`${META}ObjectMeta`, "finalizers", { listType: "set" }],
  [`${META}ObjectMeta`, "ownerReferences", { listType: "map", listKeys: ["uid"] }],
  [`${CORE}Endpoints`, "subsets", { listType: "atomic" }],
  [`${CORE}NodeStatus`, "conditions", { listType: "map", listKeys: ["type"] }],
  [`${CORE}PodStatus`, "podIPs", { listType: "map", listKeys: ["ip"] }],
  ["io.k8s.api.policy.v1.PodDisruptionBudgetSpec", "selector", { strategy: ["replace"] }],
];

/** The table of 1.20 with everything newer worked in. */
export function applyAdditions(definitions: Definitions): Definitions {
  const result: Definitions = { ...definitions, ...NEW_DEFINITIONS };
  const edit = (name: string, change: (properties: Properties) => Properties): void => {
    const definition = result[name];
    if (definition === undefined) throw new Error(`additions name ${name}, which the table does not have`);
    const properties = change(definition.properties ?? {});
    const sorted = Object.fromEntries(Object.entries(properties).sort(([a], [b]) => (a < b ? -1 : 1)));
    result[name] = { ...definition, properties: sorted };
  };
  for (const [name, added] of Object.entries(PROPERTIES)) edit(name, (old) => ({ ...old, ...added }));
  for (const [name, property] of REMOVED) {
    edit(name, ({ [property]: _gone, ...rest }) => rest);
  }
  for (const [name, property, facts] of CHANGED) {
    edit(name, (old) => ({ ...old, [property]: { ...(old[property] as Property), ...facts } }));
  }
  for (const name of ATOMIC_MAPS) {
    const definition = result[name];
    if (definition === undefined) throw new Error(`additions name ${name}, which the table does not have`);
    result[name] = { ...definition, mapType: "atomic" };
  }
  return result;
}
