/**
 * The kinds Slipway knows, as data: what discovery answers, where each lives in the URL space, and which
 * TypeScript type belongs to it. Everything else (store, API, server, clients) is generic over this table.
 */
import type { ConfigMap, Event, Lease, Namespace, Node, Secret, ServiceAccount } from "./cluster.ts";
import type { KubeObject } from "./meta.ts";
import type { Pod } from "./pod.ts";
import type { EndpointSlice, Endpoints, Service } from "./service.ts";
import type { Deployment, Job, PodDisruptionBudget, ReplicaSet } from "./workload.ts";

export interface KindMap {
  Namespace: Namespace;
  Node: Node;
  Pod: Pod;
  ReplicaSet: ReplicaSet;
  Deployment: Deployment;
  Service: Service;
  Endpoints: Endpoints;
  EndpointSlice: EndpointSlice;
  ConfigMap: ConfigMap;
  Secret: Secret;
  ServiceAccount: ServiceAccount;
  Event: Event;
  Lease: Lease;
  PodDisruptionBudget: PodDisruptionBudget;
  Job: Job;
}

export type Kind = keyof KindMap;

/** The type of a kind by its name; a kind that the table does not hold is a plain object. */
export type ObjectOf<K extends string> = K extends Kind ? KindMap[K] : KubeObject;

export interface ResourceType {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly namespaced: boolean;
  readonly categories: readonly string[];
  readonly subresources: readonly (
    | "status"
    | "scale"
    | "log"
    | "exec"
    | "attach"
    | "portforward"
    | "binding"
    | "eviction"
    | "finalize"
    | "proxy"
  )[];
}

const type = (
  groupVersion: string,
  kind: string,
  plural: string,
  rest: Partial<Pick<ResourceType, "shortNames" | "namespaced" | "categories" | "subresources">> = {},
): ResourceType => {
  const [group, version] = groupVersion.includes("/")
    ? (groupVersion.split("/") as [string, string])
    : ["", groupVersion];
  return {
    group,
    version,
    kind,
    plural,
    singular: kind.toLowerCase(),
    shortNames: rest.shortNames ?? [],
    namespaced: rest.namespaced ?? true,
    categories: rest.categories ?? [],
    subresources: rest.subresources ?? [],
  };
};

export const resourceTypes: readonly ResourceType[] = [
  type("v1", "Namespace", "namespaces", {
    namespaced: false,
    shortNames: ["ns"],
    subresources: ["status", "finalize"],
  }),
  type("v1", "Node", "nodes", { namespaced: false, shortNames: ["no"], subresources: ["status"] }),
  type("v1", "Pod", "pods", {
    shortNames: ["po"],
    categories: ["all"],
    subresources: ["status", "log", "exec", "attach", "portforward", "binding", "eviction"],
  }),
  type("v1", "Service", "services", { shortNames: ["svc"], categories: ["all"], subresources: ["status"] }),
  type("v1", "Endpoints", "endpoints", { shortNames: ["ep"] }),
  type("v1", "ConfigMap", "configmaps", { shortNames: ["cm"] }),
  type("v1", "Secret", "secrets"),
  type("v1", "ServiceAccount", "serviceaccounts", { shortNames: ["sa"] }),
  type("v1", "Event", "events", { shortNames: ["ev"] }),
  type("apps/v1", "Deployment", "deployments", {
    shortNames: ["deploy"],
    categories: ["all"],
    subresources: ["status", "scale"],
  }),
  type("apps/v1", "ReplicaSet", "replicasets", {
    shortNames: ["rs"],
    categories: ["all"],
    subresources: ["status", "scale"],
  }),
  type("discovery.k8s.io/v1", "EndpointSlice", "endpointslices"),
  type("coordination.k8s.io/v1", "Lease", "leases"),
  type("batch/v1", "Job", "jobs", { categories: ["all"], subresources: ["status"] }),
  type("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", {
    shortNames: ["pdb"],
    subresources: ["status"],
  }),
];

const byKind = new Map(resourceTypes.map((resource) => [resource.kind, resource]));

/** The row of a kind in the table, or undefined. */
export function resourceTypeOf(kind: string): ResourceType | undefined {
  return byKind.get(kind);
}

export function apiVersionOf(resource: Pick<ResourceType, "group" | "version">): string {
  return resource.group === "" ? resource.version : `${resource.group}/${resource.version}`;
}

export function isKind<K extends Kind>(object: KubeObject, kind: K): object is KindMap[K] {
  return object.kind === kind;
}
