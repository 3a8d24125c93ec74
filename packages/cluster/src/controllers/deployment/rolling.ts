/**
 * The arithmetic of a rolling update: how far the new ReplicaSet may grow and how far the old ones may shrink. Numbers
 * in, numbers out; nothing here knows of objects or writes.
 *
 * One step, with replicas 10, maxSurge 3, maxUnavailable 2 (ceiling 13, floor 8):
 *
 *   old 10 (10 available)  new 0            new may grow to 3:  13 - 10 pods
 *   old 10 (10 available)  new 3 (0 av.)    old may shrink by 2: 10 available - floor 8
 *   old  8 ( 8 available)  new 3 (0 av.)    nothing: 8 + 3 pods, new may grow to 5
 *   old  8 ( 8 available)  new 5 (2 av.)    old may shrink by 2: 10 available - floor 8
 */
import type { Limits } from "./strategy.ts";

/** What the arithmetic knows of one ReplicaSet. */
export interface Size {
  readonly replicas: number;
  /** From the status, which may lag behind `replicas`. */
  readonly available: number;
}

/**
 * The size that the new ReplicaSet should have now. It fills the room under the ceiling and never exceeds the wanted
 * replicas; above the wanted replicas it is cut down at once.
 *
 * @param total replicas of all ReplicaSets together, the new one included
 */
export function newReplicas(limits: Limits, total: number, current: number): number {
  if (current >= limits.replicas) return limits.replicas;
  const room = limits.maxTotal - total;
  if (room <= 0) return current;
  return current + Math.min(room, limits.replicas - current);
}

/** What the old ReplicaSets, oldest first, should be scaled to: first by what is unhealthy, then by what is spare. */
export interface OldSizes {
  readonly afterCleanup: readonly number[];
  readonly afterScaleDown: readonly number[];
}

/**
 * How old ReplicaSets give way, oldest first.
 *
 * Two steps. *Cleanup* takes away old pods that are not available: they serve nobody, and would otherwise block the
 * update when the old version itself was broken. Its budget is what lies above the floor after the new pods that are
 * not available yet are set aside; those may all fail. *Scale down* takes available pods above the floor.
 *
 *   replicas 10, ceiling 13, floor 8; old 10 (8 available), new 3 (0 available):
 *     budget 13 - 8 - 3 = 2, cleanup takes the 2 unavailable: old 8; available 8 is the floor: no scale down.
 *
 * An old ReplicaSet that still shows more available pods than it should have has not caught up with its last
 * scaling: those pods are about to go, and nothing may be decided on them. Upstream reaches the same through an error
 * in its cleanup; here it is a rule, and it holds for every old ReplicaSet.
 */
export function shrinkOld(limits: Limits, newSize: Size, old: readonly Size[]): OldSizes {
  const unchanged = old.map(({ replicas }) => replicas);
  const same: OldSizes = { afterCleanup: unchanged, afterScaleDown: unchanged };
  const total = sum(unchanged) + newSize.replicas;
  const newUnavailable = newSize.replicas - newSize.available;
  const budget = total - limits.minAvailable - newUnavailable;
  if (budget <= 0) return same;
  if (old.some(({ replicas, available }) => available > replicas)) return same;

  const afterCleanup = takeInOrder(
    old.map(({ replicas, available }) => ({ size: replicas, most: replicas - available })),
    budget,
  );
  const available = sum(old.map((size) => size.available)) + newSize.available;
  const spare = Math.max(0, available - limits.minAvailable);
  const afterScaleDown = takeInOrder(
    afterCleanup.map((size) => ({ size, most: size })),
    spare,
  );
  return { afterCleanup, afterScaleDown };
}

/** Takes `budget` away, from each at most what it can give, the first ones first. */
function takeInOrder(
  givers: readonly { readonly size: number; readonly most: number }[],
  budget: number,
): readonly number[] {
  let left = budget;
  return givers.map(({ size, most }) => {
    const taken = Math.min(left, most);
    left -= taken;
    return size - taken;
  });
}

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
