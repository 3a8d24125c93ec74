/**
 * Can somebody add nodes? The cluster-autoscaler tells its state in a ConfigMap (`kube-system/cluster-autoscaler-status`,
 * plain text up to 1.29 and YAML since 1.30; GKE shows the same); Karpenter and managed node pools are known by the labels
 * of their nodes. Only the first says how far it may go.
 */
import type { Node } from "@slipway/kube";

export type Autoscaler =
  | { readonly kind: "none" }
  /** May add `room` nodes more in all groups together; undefined when it does not say. */
  | { readonly kind: "can"; readonly what: string; readonly room: number | undefined }
  | { readonly kind: "full"; readonly what: string }
  /** The nodes come from pools that often have one. */
  | { readonly kind: "unknown"; readonly why: string };

const POOLS: Readonly<Record<string, string>> = {
  "karpenter.sh/nodepool": "Karpenter",
  "karpenter.sh/provisioner-name": "Karpenter",
  "cloud.google.com/gke-nodepool": "GKE node pools",
  "eks.amazonaws.com/nodegroup": "EKS node groups",
  "kubernetes.azure.com/agentpool": "AKS node pools",
};

export function autoscalerOf(status: string | "unreadable" | undefined, nodes: readonly Node[]): Autoscaler {
  const pool = Object.keys(POOLS).find((label) =>
    nodes.some((node) => node.metadata.labels?.[label] !== undefined),
  );
  if (pool?.startsWith("karpenter.sh/") === true) return { kind: "can", what: "Karpenter", room: undefined };
  if (status !== undefined && status !== "unreadable") return fromStatus(status);
  if (pool !== undefined)
    return { kind: "unknown", why: `the nodes come from ${POOLS[pool]}, which may grow or not` };
  if (status === "unreadable")
    return { kind: "unknown", why: "kube-system/cluster-autoscaler-status may not be read" };
  return { kind: "none" };
}

/** Groups that can grow: the target below the maximum. Both forms name the two sizes alike, but for the punctuation. */
function fromStatus(status: string): Autoscaler {
  const what = "cluster-autoscaler";
  const groups = /NodeGroups:|nodeGroups:/.exec(status);
  const text = groups === null ? "" : status.slice(groups.index);
  const targets = [...text.matchAll(/cloudProviderTarget[=:]\s*(\d+)/g)].map((match) => Number(match[1]));
  const most = [...text.matchAll(/maxSize[=:]\s*(\d+)/g)].map((match) => Number(match[1]));
  if (targets.length === 0 || targets.length !== most.length) return { kind: "can", what, room: undefined };
  const room = targets.reduce((sum, target, index) => sum + Math.max(0, (most[index] as number) - target), 0);
  return room === 0
    ? { kind: "full", what: `${what} (all ${targets.length} node groups are at their maximum)` }
    : { kind: "can", what, room };
}
