/** The predicates behind node selectors, taints and pod affinity: does this node, or this pod, match? */
import {
  matchesLabels,
  type Node,
  type NodeSelectorRequirement,
  type NodeSelectorTerm,
  type Pod,
  type PodAffinityTerm,
  type Taint,
  type Toleration,
} from "@slipway/kube";
import { hasEnded, type NodeView } from "./resources.ts";

export function tolerates(tolerations: readonly Toleration[] | undefined, taint: Taint): boolean {
  return (tolerations ?? []).some((toleration) => {
    if (toleration.effect !== undefined && toleration.effect !== taint.effect) return false;
    if (toleration.key !== undefined && toleration.key !== "" && toleration.key !== taint.key) return false;
    if (toleration.operator === "Exists") return true;
    // An empty key is only legal with Exists.
    return toleration.key !== undefined && (toleration.value ?? "") === (taint.value ?? "");
  });
}

/** The first taint with a hard effect that the pod does not tolerate. */
export function untoleratedTaint(pod: Pod, node: Node): Taint | undefined {
  return node.spec?.taints?.find(
    (taint) => taint.effect !== "PreferNoSchedule" && !tolerates(pod.spec.tolerations, taint),
  );
}

export function matchesNodeSelector(pod: Pod, node: Node): boolean {
  const labels = node.metadata.labels ?? {};
  for (const [key, value] of Object.entries(pod.spec.nodeSelector ?? {})) {
    if (labels[key] !== value) return false;
  }
  const required = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return required === undefined || required.nodeSelectorTerms.some((term) => matchesTerm(term, node));
}

/** Requirements of a term are ANDed; a term without any matches nothing. */
export function matchesTerm(term: NodeSelectorTerm, node: Node): boolean {
  const expressions = term.matchExpressions ?? [];
  const fields = term.matchFields ?? [];
  if (expressions.length === 0 && fields.length === 0) return false;
  return (
    expressions.every((requirement) =>
      matchesRequirement(requirement, node.metadata.labels?.[requirement.key]),
    ) &&
    fields.every((requirement) =>
      matchesRequirement(requirement, requirement.key === "metadata.name" ? node.metadata.name : undefined),
    )
  );
}

function matchesRequirement(requirement: NodeSelectorRequirement, value: string | undefined): boolean {
  const values = requirement.values ?? [];
  switch (requirement.operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
      return value !== undefined && Number.parseInt(value, 10) > Number(values[0]);
    case "Lt":
      return value !== undefined && Number.parseInt(value, 10) < Number(values[0]);
  }
}

/** Whether `other` is what the term of `pod` speaks about. Without `namespaces` it means the pod's own. */
export function termSelects(term: PodAffinityTerm, pod: Pod, other: Pod): boolean {
  const namespaces = term.namespaces ?? [];
  const inNamespace =
    namespaces.length === 0
      ? other.metadata.namespace === pod.metadata.namespace
      : namespaces.includes(other.metadata.namespace ?? "");
  return (
    inNamespace &&
    term.labelSelector !== undefined &&
    matchesLabels(term.labelSelector, other.metadata.labels)
  );
}

/** The pods that run in the topology domain (`topologyKey`) of `node`. */
function* podsInDomain(views: readonly NodeView[], node: Node, topologyKey: string): Generator<Pod> {
  const domain = node.metadata.labels?.[topologyKey];
  if (domain === undefined) return;
  for (const view of views) {
    if (view.node.metadata.labels?.[topologyKey] !== domain) continue;
    for (const pod of view.pods) if (!hasEnded(pod)) yield pod;
  }
}

export type AffinityRefusal =
  | "node(s) didn't match pod affinity rules"
  | "node(s) didn't match pod anti-affinity rules"
  | "node(s) didn't satisfy existing pods anti-affinity rules";

/** Why required pod affinity keeps `pod` off `node`, in Kubernetes' words; undefined when it does not. */
export function affinityRefusal(
  pod: Pod,
  node: Node,
  views: readonly NodeView[],
): AffinityRefusal | undefined {
  for (const view of views) {
    for (const existing of view.pods) {
      const terms =
        existing.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
      for (const term of terms) {
        const domain = view.node.metadata.labels?.[term.topologyKey];
        const sameDomain = domain !== undefined && node.metadata.labels?.[term.topologyKey] === domain;
        if (sameDomain && termSelects(term, existing, pod)) {
          return "node(s) didn't satisfy existing pods anti-affinity rules";
        }
      }
    }
  }
  const affinity = pod.spec.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  for (const term of affinity) {
    if (node.metadata.labels?.[term.topologyKey] === undefined)
      return "node(s) didn't match pod affinity rules";
    if (podsInDomain(views, node, term.topologyKey).some((other) => termSelects(term, pod, other))) continue;
    // The first pod of a group that wants to be near itself may go anywhere, else none ever could.
    const anywhere = views.some((view) => view.pods.some((other) => termSelects(term, pod, other)));
    if (anywhere || !termSelects(term, pod, pod)) return "node(s) didn't match pod affinity rules";
  }
  const anti = pod.spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
  for (const term of anti) {
    if (podsInDomain(views, node, term.topologyKey).some((other) => termSelects(term, pod, other))) {
      return "node(s) didn't match pod anti-affinity rules";
    }
  }
  return undefined;
}
