/** Topology spread: how far apart the pods of one selector are over the domains of a label (host, zone). */
import { matchesLabels, type Pod, type TopologySpreadConstraint } from "@slipway/kube";
import { matchesNodeSelector } from "./affinity.ts";
import type { NodeView } from "./resources.ts";

/** Matching, not terminating pods of the pod's namespace per domain, over the nodes the pod could use at all. */
function countsByDomain(
  pod: Pod,
  constraint: TopologySpreadConstraint,
  views: readonly NodeView[],
): Map<string, number> {
  const counts = new Map<string, number>();
  for (const view of views) {
    const domain = view.node.metadata.labels?.[constraint.topologyKey];
    if (domain === undefined || !matchesNodeSelector(pod, view.node)) continue;
    const here = view.pods.filter(
      (other) =>
        other.metadata.namespace === pod.metadata.namespace &&
        other.metadata.deletionTimestamp === undefined &&
        matchesLabels(constraint.labelSelector ?? {}, other.metadata.labels),
    ).length;
    counts.set(domain, (counts.get(domain) ?? 0) + here);
  }
  return counts;
}

/**
 * Why DoNotSchedule constraints keep the pod off this node. Skew after placing = count here + 1 - smallest count.
 * Worked: counts a 2, b 1, maxSkew 1: a would give 3 - 1 = 2 (refused), b gives 2 - 1 = 1 (fine).
 */
export function spreadRefusal(pod: Pod, view: NodeView, views: readonly NodeView[]): string | undefined {
  for (const constraint of pod.spec.topologySpreadConstraints ?? []) {
    if (constraint.whenUnsatisfiable !== "DoNotSchedule") continue;
    const domain = view.node.metadata.labels?.[constraint.topologyKey];
    if (domain === undefined) {
      return "node(s) didn't match pod topology spread constraints (missing required label)";
    }
    const counts = countsByDomain(pod, constraint, views);
    const self = matchesLabels(constraint.labelSelector ?? {}, pod.metadata.labels) ? 1 : 0;
    const skew = (counts.get(domain) ?? 0) + self - Math.min(...counts.values());
    if (skew > constraint.maxSkew) return "node(s) didn't match pod topology spread constraints";
  }
  return undefined;
}

/** Raw counts for scoring by ScheduleAnyway constraints, one number per node: fewer is better. */
export function softSpreadCounts(pod: Pod, views: readonly NodeView[]): readonly number[] | undefined {
  const soft = (pod.spec.topologySpreadConstraints ?? []).filter(
    (constraint) => constraint.whenUnsatisfiable === "ScheduleAnyway",
  );
  if (soft.length === 0) return undefined;
  const perConstraint = soft.map((constraint) => ({
    constraint,
    counts: countsByDomain(pod, constraint, views),
  }));
  return views.map((view) =>
    perConstraint.reduce((sum, { constraint, counts }) => {
      const domain = view.node.metadata.labels?.[constraint.topologyKey];
      // A node without the label is the worst place for a constraint that speaks of it.
      return sum + (domain === undefined ? Math.max(0, ...counts.values()) + 1 : (counts.get(domain) ?? 0));
    }, 0),
  );
}
