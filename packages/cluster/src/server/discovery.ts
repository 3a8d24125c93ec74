/**
 * What is served, as clients ask for it before anything else: the aggregated documents (one request instead of one
 * per group version; kubectl from 1.26 on) and the legacy ones. Both come from the table of kinds.
 */
import { apiVersionOf, type ResourceType, resourceTypes } from "@slipway/kube";

/** The aggregated form exists in two versions, and a client must get the one it asked for: 1.27 knows only beta. */
export type DiscoveryVersion = "v2" | "v2beta1";

type Subresource = ResourceType["subresources"][number];

interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

const RESOURCE_VERBS = [
  "create",
  "delete",
  "deletecollection",
  "get",
  "list",
  "patch",
  "update",
  "watch",
] as const;

const SUBRESOURCES: Readonly<
  Record<Subresource, { readonly verbs: readonly string[]; readonly answers?: GroupVersionKind }>
> = {
  status: { verbs: ["get", "patch", "update"] },
  scale: {
    verbs: ["get", "patch", "update"],
    answers: { group: "autoscaling", version: "v1", kind: "Scale" },
  },
  log: { verbs: ["get"] },
  exec: { verbs: ["create", "get"], answers: { group: "", version: "v1", kind: "PodExecOptions" } },
  attach: { verbs: ["create", "get"], answers: { group: "", version: "v1", kind: "PodAttachOptions" } },
  portforward: {
    verbs: ["create", "get"],
    answers: { group: "", version: "v1", kind: "PodPortForwardOptions" },
  },
  binding: { verbs: ["create"], answers: { group: "", version: "v1", kind: "Binding" } },
  eviction: { verbs: ["create"], answers: { group: "policy", version: "v1", kind: "Eviction" } },
  finalize: { verbs: ["update"] },
  proxy: {
    verbs: ["create", "delete", "get", "patch", "update"],
    answers: { group: "", version: "v1", kind: "PodProxyOptions" },
  },
};

/** Served but never stored: a question that is posted and answered at once. */
export const ACCESS_REVIEW: GroupVersionKind = {
  group: "authorization.k8s.io",
  version: "v1",
  kind: "SelfSubjectAccessReview",
};

/** Measured and never stored (`metrics.ts`). */
export const METRICS_API = { group: "metrics.k8s.io", version: "v1beta1" } as const;

interface ServedResource {
  readonly gvk: GroupVersionKind;
  readonly plural: string;
  readonly singular: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly subresources: readonly Subresource[];
}

const served: readonly ServedResource[] = [
  ...resourceTypes.map((type) => ({
    gvk: { group: type.group, version: type.version, kind: type.kind },
    plural: type.plural,
    singular: type.singular,
    namespaced: type.namespaced,
    verbs: RESOURCE_VERBS,
    shortNames: type.shortNames,
    categories: type.categories,
    subresources: type.subresources,
  })),
  {
    gvk: ACCESS_REVIEW,
    plural: "selfsubjectaccessreviews",
    singular: "selfsubjectaccessreview",
    namespaced: false,
    verbs: ["create"],
    shortNames: [],
    categories: [],
    subresources: [],
  },
  // After everything stored: for kubectl `pods` are those that run, and not what they use.
  ...(["node", "pod"] as const).map((singular) => ({
    gvk: { ...METRICS_API, kind: singular === "pod" ? "PodMetrics" : "NodeMetrics" },
    plural: `${singular}s`,
    singular,
    namespaced: singular === "pod",
    verbs: ["get", "list"],
    shortNames: [],
    categories: [],
    subresources: [],
  })),
];

/** `v1`, `apps/v1`, …: each once, in the order of the table. */
export const groupVersions: readonly string[] = [...new Set(served.map(({ gvk }) => apiVersionOf(gvk)))];
const groups = [...new Set(served.map(({ gvk }) => gvk.group))].filter((group) => group !== "");

/** `/api` (the core group) or `/apis` (all others) in the aggregated form. */
export function aggregatedDiscovery(version: DiscoveryVersion, part: "core" | "groups"): unknown {
  const wanted = part === "core" ? [""] : groups;
  return {
    kind: "APIGroupDiscoveryList",
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: wanted.map((group) => ({
      metadata: { ...(group === "" ? {} : { name: group }), creationTimestamp: null },
      versions: versionsOf(group).map((each) => ({
        version: each,
        resources: inGroup(group, each).map(aggregatedResource),
        freshness: "Current",
      })),
    })),
  };
}

function aggregatedResource(resource: ServedResource): unknown {
  return {
    resource: resource.plural,
    responseKind: resource.gvk,
    scope: resource.namespaced ? "Namespaced" : "Cluster",
    singularResource: resource.singular,
    verbs: resource.verbs,
    ...(resource.shortNames.length === 0 ? {} : { shortNames: resource.shortNames }),
    ...(resource.categories.length === 0 ? {} : { categories: resource.categories }),
    ...(resource.subresources.length === 0
      ? {}
      : {
          subresources: resource.subresources.map((name) => ({
            subresource: name,
            responseKind: SUBRESOURCES[name].answers ?? resource.gvk,
            verbs: SUBRESOURCES[name].verbs,
          })),
        }),
  };
}

/** The legacy document of a path, or undefined when there is no such path. `serverAddress` is `127.0.0.1:PORT`. */
export function legacyDiscovery(path: string, serverAddress: string): unknown {
  const [root, group, version, ...more] = path.split("/").slice(1);
  if (more.length > 0) return undefined;
  if (root === "api" && group === undefined) {
    return {
      kind: "APIVersions",
      versions: ["v1"],
      serverAddressByClientCIDRs: [{ clientCIDR: "0.0.0.0/0", serverAddress }],
    };
  }
  if (root === "api" && group === "v1" && version === undefined) return resourceList("", "v1");
  if (root !== "apis") return undefined;
  if (group === undefined) {
    return { kind: "APIGroupList", apiVersion: "v1", groups: groups.map((name) => groupDocument(name)) };
  }
  if (!groups.includes(group)) return undefined;
  if (version === undefined) return { kind: "APIGroup", apiVersion: "v1", ...groupDocument(group) };
  return versionsOf(group).includes(version) ? resourceList(group, version) : undefined;
}

function groupDocument(group: string) {
  const versions = versionsOf(group).map((version) => ({ groupVersion: `${group}/${version}`, version }));
  return { name: group, versions, preferredVersion: versions[0] };
}

function resourceList(group: string, version: string): unknown {
  const resources = inGroup(group, version).flatMap((resource) => [
    {
      name: resource.plural,
      singularName: resource.singular,
      namespaced: resource.namespaced,
      kind: resource.gvk.kind,
      verbs: resource.verbs,
      ...(resource.shortNames.length === 0 ? {} : { shortNames: resource.shortNames }),
      ...(resource.categories.length === 0 ? {} : { categories: resource.categories }),
    },
    ...resource.subresources.map((name) => {
      const { verbs, answers } = SUBRESOURCES[name];
      return {
        name: `${resource.plural}/${name}`,
        singularName: "",
        namespaced: resource.namespaced,
        ...(answers ?? { kind: resource.gvk.kind }),
        verbs,
      };
    }),
  ]);
  return {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: apiVersionOf({ group, version }),
    resources,
  };
}

function versionsOf(group: string): string[] {
  return [...new Set(served.filter(({ gvk }) => gvk.group === group).map(({ gvk }) => gvk.version))];
}

function inGroup(group: string, version: string): ServedResource[] {
  return served.filter(({ gvk }) => gvk.group === group && gvk.version === version);
}
