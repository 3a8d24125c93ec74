/** Which node takes a pod: the scheduler's predicates, its scores, and whom it evicts for a pod of higher priority. */
import { type NodeView, nodeViews, refusals, scoreNodes } from "@slipway/cluster/scheduling";
import type { Pod } from "@slipway/kube";
import type { Lots } from "./lots.ts";

/** The index of its node; undefined when none takes it. `leanViews` have only the pods that matter to affinity and spread. */
export function place(
  pod: Pod,
  views: readonly NodeView[],
  leanViews: readonly NodeView[],
  lots: Lots,
): number | undefined {
  const fitting = fittingNodes(pod, views, leanViews);
  if (fitting.length <= 1) return fitting[0];
  return choose(pod, fitting, views, leanViews, lots);
}

/**
 * Whether spread allows a node is the same for all nodes of its domains, and costs a count over the whole cluster: it is
 * asked once for each, and everything else for each node.
 */
function fittingNodes(
  pod: Pod,
  views: readonly NodeView[],
  leanViews: readonly NodeView[],
): readonly number[] {
  const hard = (pod.spec.topologySpreadConstraints ?? []).filter(
    ({ whenUnsatisfiable }) => whenUnsatisfiable === "DoNotSchedule",
  );
  const bare = hard.length === 0 ? pod : { ...pod, spec: { ...pod.spec, topologySpreadConstraints: [] } };
  const allowed = new Map<string, boolean>();
  const fitting: number[] = [];
  views.forEach((view, index) => {
    if (refusals(bare, view, leanViews).length > 0) return;
    const domains = hard.map(({ topologyKey }) => view.node.metadata.labels?.[topologyKey] ?? "").join("/");
    let isAllowed = allowed.get(domains);
    if (isAllowed === undefined) {
      isAllowed = hard.length === 0 || refusals(pod, view, leanViews).length === 0;
      allowed.set(domains, isAllowed);
    }
    if (isAllowed) fitting.push(index);
  });
  return fitting;
}

/** Scores that far below the best may still win: ours are not bit for bit those of every version. */
const NEARLY = 60;

function choose(
  pod: Pod,
  fitting: readonly number[],
  views: readonly NodeView[],
  leanViews: readonly NodeView[],
  lots: Lots,
): number {
  if (lots.draw === "any") return lots.random.pick(fitting);
  const owner = pod.metadata.ownerReferences?.[0]?.uid;
  const scored = fitting.map((index) => ({
    ...(views[index] as NodeView),
    pods: (leanViews[index] as NodeView).pods,
  }));
  const scores = scoreNodes(
    pod,
    scored,
    leanViews,
    (other) => owner !== undefined && other.metadata.ownerReferences?.[0]?.uid === owner,
  );
  const best = Math.max(...scores);
  switch (lots.draw) {
    case "best":
      return fitting[scores.indexOf(best)] as number;
    case "near":
      return lots.random.pick(fitting.filter((_, index) => (scores[index] as number) >= best - NEARLY));
    case "fullest":
      return fitting[scores.indexOf(Math.min(...scores))] as number;
  }
}

/**
 * Preemption: the first node that would take the pod without the pods of lower priority there. Those are evicted from the
 * lowest priority up, until it fits.
 */
export function makeRoom(
  pod: Pod,
  ground: readonly NodeView[],
  leanViews: readonly NodeView[],
  evict: (pod: Pod, node: number) => void,
): number | undefined {
  const own = pod.spec.priority ?? 0;
  if (pod.spec.preemptionPolicy === "Never") return undefined;
  for (let index = 0; index < ground.length; index += 1) {
    const view = ground[index] as NodeView;
    const lower = view.pods
      .filter((other) => (other.spec.priority ?? 0) < own)
      .sort((a, b) => (a.spec.priority ?? 0) - (b.spec.priority ?? 0));
    if (lower.length === 0) continue;
    const without = (many: number): NodeView =>
      nodeViews(
        [view.node],
        view.pods.filter((other) => !lower.slice(0, many).includes(other)),
      )[0] as NodeView;
    const leanWithout = (many: number): readonly NodeView[] =>
      leanViews.map((one, at) =>
        at === index
          ? { ...one, pods: one.pods.filter((other) => !lower.slice(0, many).includes(other)) }
          : one,
      );
    if (refusals(pod, without(lower.length), leanWithout(lower.length)).length > 0) continue;
    let many = 1;
    while (refusals(pod, without(many), leanWithout(many)).length > 0) many += 1;
    for (const other of lower.slice(0, many)) evict(other, index);
    return index;
  }
  return undefined;
}
