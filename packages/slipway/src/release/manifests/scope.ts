/** What an object is known by in a cluster, as far as its manifest tells. Pure. */
import type { AnyObject } from "@slipway/kube";

const CLUSTER_SCOPED = new Set([
  "Namespace",
  "Node",
  "PersistentVolume",
  "StorageClass",
  "PriorityClass",
  "RuntimeClass",
  "IngressClass",
  "ClusterRole",
  "ClusterRoleBinding",
  "CustomResourceDefinition",
  "APIService",
  "ValidatingWebhookConfiguration",
  "MutatingWebhookConfiguration",
]);

export function isClusterScoped(kind: string): boolean {
  return CLUSTER_SCOPED.has(kind);
}

/** The same for two texts of one object, whatever version they are written in and whether or not they name the namespace. */
export function identityIn(object: AnyObject, namespace: string | undefined): string {
  const { apiVersion, kind, metadata } = object;
  const place = isClusterScoped(kind) ? "" : (metadata.namespace ?? namespace ?? "");
  const group = apiVersion.includes("/") ? apiVersion.split("/")[0] : "";
  return `${group}/${kind} ${place}/${metadata.name}`;
}
