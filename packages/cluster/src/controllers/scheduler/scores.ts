/**
 * Which of the nodes that fit is best: kube-scheduler's default plugins and weights, each 0..100 before its
 * weight. Image locality is left out, since all nodes of a local cluster share one image store. Where Kubernetes
 * draws among the best at random, the first by name wins here: the same snapshot always gives the same node.
 */
import { matchesLabels, type Pod } from "@slipway/kube";
import { matchesTerm, termSelects, tolerates } from "./affinity.ts";
import {
  allocatableOf,
  DEFAULT_CPU_MILLI,
  DEFAULT_MEMORY_BYTES,
  type NodeView,
  requestsOf,
} from "./resources.ts";
import { softSpreadCounts } from "./spread.ts";

/** Pods that belong together (same owner, same Service) and should not share a node. */
export type Siblings = (other: Pod) => boolean;

/** One total per view, in their order. `all` are the views of the whole cluster, for affinity domains. */
export function scoreNodes(
  pod: Pod,
  fitting: readonly NodeView[],
  all: readonly NodeView[],
  siblings: Siblings,
): readonly number[] {
  const spread = softSpreadCounts(pod, fitting) ?? fitting.map((view) => view.pods.filter(siblings).length);
  const parts: readonly (readonly [number, readonly number[]])[] = [
    [1, fitting.map((view) => leastAllocated(pod, view))],
    [1, fitting.map((view) => balancedAllocation(pod, view))],
    [2, fewerIsBetter(spread)],
    [3, fewerIsBetter(fitting.map((view) => untoleratedPreferences(pod, view)))],
    [2, moreIsBetter(fitting.map((view) => preferredNode(pod, view)))],
    [2, moreIsBetter(fitting.map((view) => preferredNeighbours(pod, view, all)))],
  ];
  return fitting.map((_, index) =>
    parts.reduce((sum, [weight, scores]) => sum + weight * (scores[index] ?? 0), 0),
  );
}

/** Worked: 1000m of 4000m and 2 of 8 GiB in use after placing: both 75 % free, so 75. */
export function leastAllocated(pod: Pod, view: NodeView): number {
  const { cpu, memory } = fractionsAfter(pod, view);
  return Math.floor((freePercent(cpu) + freePercent(memory)) / 2);
}

/** Worked: CPU 50 % and memory 30 % in use after placing: |0.5 - 0.3| / 2 = 0.1 standard deviation, so 90. */
export function balancedAllocation(pod: Pod, view: NodeView): number {
  const { cpu, memory } = fractionsAfter(pod, view);
  return Math.floor((1 - Math.abs(Math.min(1, cpu) - Math.min(1, memory)) / 2) * 100);
}

function fractionsAfter(pod: Pod, view: NodeView): { cpu: number; memory: number } {
  const requests = requestsOf(pod);
  const allocatable = allocatableOf(view.node);
  const cpu = view.scoredCpu + (requests.get("cpu") ?? DEFAULT_CPU_MILLI);
  const memory = view.scoredMemory + (requests.get("memory") ?? DEFAULT_MEMORY_BYTES);
  return {
    cpu: cpu / (allocatable.get("cpu") || Number.POSITIVE_INFINITY),
    memory: memory / (allocatable.get("memory") || Number.POSITIVE_INFINITY),
  };
}

const freePercent = (used: number): number => (used > 1 ? 0 : Math.floor((1 - used) * 100));

function fewerIsBetter(counts: readonly number[]): readonly number[] {
  const most = Math.max(0, ...counts);
  return counts.map((count) => (most === 0 ? 100 : Math.floor(((most - count) * 100) / most)));
}

/** Scales between the smallest and the largest; all equal means that nothing speaks for any node. */
function moreIsBetter(values: readonly number[]): readonly number[] {
  const least = Math.min(...values);
  const range = Math.max(...values) - least;
  return values.map((value) => (range === 0 ? 0 : Math.floor(((value - least) * 100) / range)));
}

function untoleratedPreferences(pod: Pod, view: NodeView): number {
  return (view.node.spec?.taints ?? []).filter(
    (taint) => taint.effect === "PreferNoSchedule" && !tolerates(pod.spec.tolerations, taint),
  ).length;
}

function preferredNode(pod: Pod, view: NodeView): number {
  const preferred = pod.spec.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  return preferred.reduce(
    (sum, { weight, preference }) => sum + (matchesTerm(preference, view.node) ? weight : 0),
    0,
  );
}

function preferredNeighbours(pod: Pod, view: NodeView, all: readonly NodeView[]): number {
  const affinity = pod.spec.affinity;
  const wanted = affinity?.podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  const unwanted = affinity?.podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  const signed = [
    ...wanted.map((term) => ({ ...term, sign: 1 })),
    ...unwanted.map((term) => ({ ...term, sign: -1 })),
  ];
  let sum = 0;
  for (const { weight, podAffinityTerm: term, sign } of signed) {
    const domain = view.node.metadata.labels?.[term.topologyKey];
    if (domain === undefined) continue;
    for (const other of all) {
      if (other.node.metadata.labels?.[term.topologyKey] !== domain) continue;
      sum += sign * weight * other.pods.filter((candidate) => termSelects(term, pod, candidate)).length;
    }
  }
  return sum;
}

/**
 * Pods of the same controller, or selected by a Service that also selects this pod: the default spreading of
 * kube-scheduler, so that the replicas of one Deployment do not end on one node. Terminating ones do not count.
 */
export function siblingsOf(
  pod: Pod,
  services: readonly { readonly selector: Readonly<Record<string, string>> }[],
): Siblings {
  const owner = pod.metadata.ownerReferences?.find((reference) => reference.controller === true)?.uid;
  const own = services.filter(({ selector }) =>
    matchesLabels({ matchLabels: selector }, pod.metadata.labels),
  );
  return (other) =>
    other.metadata.namespace === pod.metadata.namespace &&
    other.metadata.deletionTimestamp === undefined &&
    ((owner !== undefined && other.metadata.ownerReferences?.some(({ uid }) => uid === owner) === true) ||
      own.some(({ selector }) => matchesLabels({ matchLabels: selector }, other.metadata.labels)));
}
