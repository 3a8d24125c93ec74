/** The nodes and what stands on them, changed in place: a walk places thousands of pods. */
import { amountOf, type NodeView, nodeViews, requestsOf, termSelects } from "@slipway/cluster/scheduling";
import { matchesLabels, type Node, type Pod } from "@slipway/kube";

type View = NodeView & {
  pods: Pod[];
  requested: Map<string, number>;
  scoredCpu: number;
  scoredMemory: number;
};

export interface Ground {
  readonly views: readonly NodeView[];
  /** For each template: views with only the pods that matter to its affinity and spread. */
  readonly lean: readonly (readonly NodeView[])[];
  /** Pods that all nodes together take; a node that does not say how many takes as many as there are. */
  readonly slots: number;
  put(pod: Pod, node: number): void;
  take(pod: Pod, node: number): void;
}

/** `templates`: one pod of each rollout. */
export function groundOf(
  nodes: readonly Node[],
  standing: readonly Pod[],
  templates: readonly Pod[],
): Ground {
  const views = nodeViews(nodes, standing) as readonly View[];
  const lean = templates.map((template) =>
    views.map((view) => ({ ...view, pods: view.pods.filter((pod) => matters(pod, template)) })),
  );
  return {
    views,
    lean,
    slots: slotsOf(views),
    put(pod, node) {
      const view = views[node] as View;
      view.pods.push(pod);
      count(view, pod, 1);
      templates.forEach((template, index) => {
        if (matters(pod, template)) lean[index]?.[node]?.pods.push(pod);
      });
    },
    take(pod, node) {
      const view = views[node] as View;
      view.pods.splice(view.pods.indexOf(pod), 1);
      count(view, pod, -1);
      for (const own of lean) {
        const pods = own[node]?.pods;
        const at = pods?.indexOf(pod) ?? -1;
        if (at >= 0) pods?.splice(at, 1);
      }
    },
  };
}

function slotsOf(views: readonly NodeView[]): number {
  return views.reduce((sum, { node }) => {
    const pods = node.status?.allocatable?.["pods"];
    return sum + (pods === undefined ? Number.POSITIVE_INFINITY : amountOf("pods", pods));
  }, 0);
}

function count(view: View, pod: Pod, sign: 1 | -1): void {
  const requests = requestsOf(pod);
  for (const [name, amount] of requests)
    view.requested.set(name, (view.requested.get(name) ?? 0) + sign * amount);
  // As `nodeViews` counts for scores: a pod without requests is assumed to take 100m and 200 Mi.
  view.scoredCpu += sign * (requests.get("cpu") ?? 100);
  view.scoredMemory += sign * (requests.get("memory") ?? 200 * 2 ** 20);
}

/** Whether `other` can decide where the pods of this template may or should stand. */
function matters(other: Pod, pod: Pod): boolean {
  if (other.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution !== undefined)
    return true;
  const owner = pod.metadata.ownerReferences?.[0]?.uid;
  if (owner !== undefined && other.metadata.ownerReferences?.[0]?.uid === owner) return true;
  const sameNamespace = other.metadata.namespace === pod.metadata.namespace;
  for (const constraint of pod.spec.topologySpreadConstraints ?? []) {
    if (sameNamespace && matchesLabels(constraint.labelSelector ?? {}, other.metadata.labels)) return true;
  }
  const { podAffinity, podAntiAffinity } = pod.spec.affinity ?? {};
  return [podAffinity, podAntiAffinity].some(
    (affinity) =>
      affinity?.requiredDuringSchedulingIgnoredDuringExecution?.some((term) =>
        termSelects(term, pod, other),
      ) ||
      affinity?.preferredDuringSchedulingIgnoredDuringExecution?.some(({ podAffinityTerm }) =>
        termSelects(podAffinityTerm, pod, other),
      ),
  );
}
