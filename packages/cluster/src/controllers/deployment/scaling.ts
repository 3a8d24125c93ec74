/**
 * Proportional scaling: when someone changes `replicas` in the middle of a rolling update, every active ReplicaSet
 * keeps its share, so that a bad new version does not get all of the new capacity.
 *
 *   replicas 10 -> 15, surge 3 (ceiling 13 -> 18), old 8 and new 5:
 *     old 8 * 18 / 13 = 11.1 -> 11 (+3)   new 5 * 18 / 13 = 6.9 -> 7 (+2)   together 18
 *
 * The ceiling before the change is remembered in the annotation max-replicas of each ReplicaSet.
 */
import type { Limits } from "./strategy.ts";

export interface Share {
  readonly name: string;
  readonly replicas: number;
  /** Annotation max-replicas, undefined when it is missing or not a number. */
  readonly maxReplicasBefore: number | undefined;
  /** RFC 3339; breaks ties of size. */
  readonly createdAt: string;
}

/**
 * New sizes by name. Growing favours the newer of two equally large, shrinking takes from the older first; what
 * rounding leaves over goes to the largest.
 *
 * @param statusReplicas the Deployment's `status.replicas`, in place of a missing annotation
 */
export function scaleProportionally(
  limits: Limits,
  shares: readonly Share[],
  statusReplicas: number,
): ReadonlyMap<string, number> {
  const ceiling = limits.replicas > 0 ? limits.maxTotal : 0;
  const toAdd = ceiling - shares.reduce((total, { replicas }) => total + replicas, 0);
  const ordered = [...shares].sort(toAdd > 0 ? bySizeNewer : bySizeOlder);
  const sizes = new Map<string, number>();
  let added = 0;
  for (const share of ordered) {
    const part = toAdd === 0 ? 0 : proportion(limits, share, statusReplicas, toAdd, added);
    sizes.set(share.name, share.replicas + part);
    added += part;
  }
  const largest = ordered[0];
  if (largest !== undefined && toAdd !== 0) {
    sizes.set(largest.name, Math.max(0, (sizes.get(largest.name) ?? 0) + toAdd - added));
  }
  return sizes;
}

function proportion(
  limits: Limits,
  share: Share,
  statusReplicas: number,
  toAdd: number,
  added: number,
): number {
  if (share.replicas === 0 || toAdd === added) return 0;
  const fraction = fractionOf(limits, share, statusReplicas);
  const allowed = toAdd - added;
  return toAdd > 0 ? Math.min(fraction, allowed) : Math.max(fraction, allowed);
}

function fractionOf(limits: Limits, share: Share, statusReplicas: number): number {
  if (limits.replicas === 0) return -share.replicas;
  const before = share.maxReplicasBefore || statusReplicas;
  // No annotation and no pods: nothing to be proportional to.
  if (before === 0) return 0;
  return roundHalfAway((share.replicas * limits.maxTotal) / before) - share.replicas;
}

/** 2.5 -> 3 and -2.5 -> -3, as Go's rounding of the time. */
function roundHalfAway(value: number): number {
  return value < 0 ? Math.trunc(value - 0.5) : Math.trunc(value + 0.5);
}

function bySizeNewer(a: Share, b: Share): number {
  return b.replicas - a.replicas || compare(b.createdAt, a.createdAt) || compare(b.name, a.name);
}

function bySizeOlder(a: Share, b: Share): number {
  return b.replicas - a.replicas || compare(a.createdAt, b.createdAt) || compare(a.name, b.name);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
