/**
 * May this pod run on this node? Filters run in the order of kube-scheduler's default profile and stop at the
 * first that refuses, since the counts in "0/3 nodes are available: …" come from exactly that.
 */
import type { Pod } from "@slipway/kube";
import { affinityRefusal, matchesNodeSelector, tolerates, untoleratedTaint } from "./affinity.ts";
import { allocatableOf, hasEnded, type NodeView, requestsOf } from "./resources.ts";
import { spreadRefusal } from "./spread.ts";

type Filter = (pod: Pod, view: NodeView, views: readonly NodeView[]) => readonly string[];

const refuse = (reason: string | undefined): readonly string[] => (reason === undefined ? [] : [reason]);

const filters: readonly Filter[] = [
  (pod, { node }) => {
    const taint = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" as const };
    const refused = node.spec?.unschedulable === true && !tolerates(pod.spec.tolerations, taint);
    return refused ? ["node(s) were unschedulable"] : [];
  },
  (pod, { node }) => {
    const taint = untoleratedTaint(pod, node);
    if (taint === undefined) return [];
    return [`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ""}}`];
  },
  (pod, { node }) =>
    matchesNodeSelector(pod, node) ? [] : ["node(s) didn't match Pod's node affinity/selector"],
  (pod, view) =>
    hostPortsAreFree(pod, view) ? [] : ["node(s) didn't have free ports for the requested pod ports"],
  (pod, view) => missingResources(pod, view),
  (pod, view, views) => refuse(spreadRefusal(pod, view, views)),
  (pod, view, views) => refuse(affinityRefusal(pod, view.node, views)),
];

/** Empty when the pod fits. */
export function refusals(pod: Pod, view: NodeView, views: readonly NodeView[]): readonly string[] {
  for (const filter of filters) {
    const reasons = filter(pod, view, views);
    if (reasons.length > 0) return reasons;
  }
  return [];
}

/** `Too many pods`, `Insufficient cpu`, …: all that are short, since Kubernetes lists them all. */
function missingResources(pod: Pod, view: NodeView): readonly string[] {
  const allocatable = allocatableOf(view.node);
  const missing: string[] = [];
  if (view.pods.length + 1 > (allocatable.get("pods") ?? Number.POSITIVE_INFINITY))
    missing.push("Too many pods");
  for (const [resource, amount] of requestsOf(pod)) {
    if (amount === 0) continue;
    const free = (allocatable.get(resource) ?? 0) - (view.requested.get(resource) ?? 0);
    if (amount > free) missing.push(`Insufficient ${resource}`);
  }
  return missing;
}

function hostPortsAreFree(pod: Pod, view: NodeView): boolean {
  const wanted = hostPorts(pod);
  if (wanted.size === 0) return true;
  return view.pods.every(
    (other) => hasEnded(other) || ![...hostPorts(other)].some((port) => wanted.has(port)),
  );
}

function hostPorts(pod: Pod): Set<string> {
  const ports = new Set<string>();
  for (const container of pod.spec.containers) {
    for (const port of container.ports ?? []) {
      const onHost = port.hostPort ?? (pod.spec.hostNetwork === true ? port.containerPort : 0);
      if (onHost > 0) ports.add(`${port.protocol ?? "TCP"}/${onHost}`);
    }
  }
  return ports;
}

/**
 * `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {k: v}.`
 * The reasons are sorted as text with their counts, as kube-scheduler's FitError does.
 */
export function unschedulableMessage(nodes: number, refusedBy: readonly (readonly string[])[]): string {
  if (nodes === 0) return "no nodes available to schedule pods";
  const counts = new Map<string, number>();
  for (const reasons of refusedBy) {
    for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  const parts = [...counts].map(([reason, count]) => `${count} ${reason}`).sort();
  return `0/${nodes} nodes are available: ${parts.join(", ")}.`;
}
