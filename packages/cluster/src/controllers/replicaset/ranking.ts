/**
 * Which pod dies first when a ReplicaSet shrinks: the one that is missed least. The order is that of Kubernetes'
 * ActivePodsWithRanks (since 1.22, with pod deletion cost and logarithmic ages) and one step more (3b below). Ages are compared by the power of
 * two they fall into, so that among pods of about one age the victim is arbitrary (by uid) and not always the
 * newest: else the nodes that were filled last would always lose their pods.
 */
import type { Pod } from "@slipway/kube";
import { isAvailable } from "./pods.ts";

/** What the order looks at, read from a pod once per decision. */
interface Ranked {
  readonly pod: Pod;
  readonly isAssigned: boolean;
  /** Pending 0, Unknown 1, Running 2. */
  readonly phase: number;
  readonly isReady: boolean;
  /** Ready for at least minReadySeconds. */
  readonly isAvailable: boolean;
  readonly deletionCost: number;
  /** Active pods of the same owner's ReplicaSets on the same node: more is doubled up more. */
  readonly onSameNode: number;
  /** Milliseconds, undefined when unknown. */
  readonly readySince: number | undefined;
  readonly restarts: number;
  readonly createdAt: number | undefined;
}

/**
 * The `count` pods to delete, first victim first.
 *
 * @param related active pods of all ReplicaSets with the same owner, these included
 */
export function podsToDelete(
  active: readonly Pod[],
  related: readonly Pod[],
  count: number,
  { minReadySeconds, now }: { readonly minReadySeconds: number; readonly now: number },
): readonly Pod[] {
  if (count >= active.length) return active;
  const perNode = new Map<string, number>();
  for (const pod of related) {
    const node = pod.spec.nodeName ?? "";
    perNode.set(node, (perNode.get(node) ?? 0) + 1);
  }
  return active
    .map((pod) => rankOf(pod, perNode, isAvailable(pod, minReadySeconds, now)))
    .sort((a, b) => compareRanked(a, b, now))
    .slice(0, count)
    .map(({ pod }) => pod);
}

function rankOf(pod: Pod, perNode: ReadonlyMap<string, number>, available: boolean): Ranked {
  const ready = pod.status?.conditions?.find(({ type }) => type === "Ready");
  const isReady = ready?.status === "True";
  return {
    pod,
    isAssigned: (pod.spec.nodeName ?? "") !== "",
    phase: PHASE_ORDER[pod.status?.phase ?? "Pending"] ?? 0,
    isReady,
    isAvailable: available,
    deletionCost: deletionCostOf(pod),
    onSameNode: perNode.get(pod.spec.nodeName ?? "") ?? 0,
    readySince: isReady ? parseTime(ready?.lastTransitionTime) : undefined,
    restarts: Math.max(0, ...(pod.status?.containerStatuses ?? []).map(({ restartCount }) => restartCount)),
    createdAt: parseTime(pod.metadata.creationTimestamp),
  };
}

const PHASE_ORDER: Readonly<Record<string, number>> = { Pending: 0, Unknown: 1, Running: 2 };

/** Negative when `a` dies before `b`. Every step decides alone; the next is asked only on a tie. */
function compareRanked(a: Ranked, b: Ranked, now: number): number {
  // 1. Not assigned to a node before assigned.
  if (a.isAssigned !== b.isAssigned) return a.isAssigned ? 1 : -1;
  // 2. Pending before unknown before running.
  if (a.phase !== b.phase) return a.phase - b.phase;
  // 3. Not ready before ready.
  if (a.isReady !== b.isReady) return a.isReady ? 1 : -1;
  // 3b. Not yet available before available. Upstream has no such step: with minReadySeconds it may delete an available
  // pod and keep one that only just became ready, and so fall below the floor of a rolling update by its own choice.
  // Without minReadySeconds ready pods are available, and the order is upstream's.
  if (a.isAvailable !== b.isAvailable) return a.isAvailable ? 1 : -1;
  // 4. Lower deletion cost before higher.
  if (a.deletionCost !== b.deletionCost) return a.deletionCost - b.deletionCost;
  // 5. Doubled up on its node before alone on it.
  if (a.onSameNode !== b.onSameNode) return b.onSameNode - a.onSameNode;
  // 6. Ready for a shorter time before ready for longer.
  if (a.isReady && b.isReady && a.readySince !== b.readySince) {
    return compareAges(a.readySince, b.readySince, now) || compareUids(a, b);
  }
  // 7. More restarts before fewer.
  if (a.restarts !== b.restarts) return b.restarts - a.restarts;
  // 8. Newer before older.
  if (a.createdAt !== b.createdAt) {
    return compareAges(a.createdAt, b.createdAt, now) || compareUids(a, b);
  }
  // Upstream's sort leaves full ties to chance; ours must be the same in every run.
  return compareUids(a, b);
}

/**
 * The younger first, by powers of two of the age in nanoseconds: 60 s and 40 s are one rank (2^35 ns = 34 s to
 * 2^36 ns = 69 s), 60 s and 30 s are not. A time that is unknown counts as youngest.
 */
function compareAges(a: number | undefined, b: number | undefined, now: number): number {
  if (a === undefined || b === undefined) return a === b ? 0 : a === undefined ? -1 : 1;
  return ageRank(now - a) - ageRank(now - b);
}

function ageRank(ageMs: number): number {
  return ageMs > 0 ? Math.floor(Math.log2(ageMs * 1e6)) : -1;
}

function compareUids(a: Ranked, b: Ranked): number {
  const [x, y] = [a.pod.metadata.uid ?? "", b.pod.metadata.uid ?? ""];
  return x < y ? -1 : x > y ? 1 : 0;
}

/** Annotation `controller.kubernetes.io/pod-deletion-cost`, an int32; anything else counts as 0, as upstream. */
function deletionCostOf(pod: Pod): number {
  const text = pod.metadata.annotations?.["controller.kubernetes.io/pod-deletion-cost"];
  if (text === undefined || !/^(0|-?[1-9]\d*)$/.test(text)) return 0;
  const cost = Number(text);
  return cost >= -2_147_483_648 && cost <= 2_147_483_647 ? cost : 0;
}

function parseTime(text: string | null | undefined): number | undefined {
  return text === undefined || text === null ? undefined : Date.parse(text);
}
