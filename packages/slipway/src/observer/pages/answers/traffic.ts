/** Numbers about requests from counts by class and bucket. Counts of several clusters are added, never their percentiles. */
import { quantile } from "../../../observe/counts/histogram.ts";
import type { Traffic } from "../../../server/api.ts";

export const CLASSES = ["1xx", "2xx", "3xx", "4xx", "499", "5xx", "other"] as const;

/** So many requests of this class and duration. */
export interface Count {
  readonly class: string;
  /** As in `observe/counts/histogram.ts`; -1 is a request without a time. */
  readonly bucket: number;
  readonly requests: number;
}

/** Requests by bucket, as long as it needs to be; those without a time are left out. */
export function histogramOf(counts: readonly Count[]): number[] {
  const histogram: number[] = [];
  for (const { bucket, requests } of counts) {
    if (bucket < 0) continue;
    while (histogram.length <= bucket) histogram.push(0);
    histogram[bucket] = (histogram[bucket] ?? 0) + requests;
  }
  return histogram;
}

/** ms; undefined without requests. `share` from 0 to 1. */
export function quantileOf(histogram: readonly number[], share: number): number | undefined {
  const ms = quantile(histogram, share);
  return ms === undefined ? undefined : round(ms);
}

/** The bucket of the request with this rank, 1 being the fastest. */
export function bucketAt(histogram: readonly number[], rank: number): number {
  let sum = 0;
  for (const [bucket, requests] of histogram.entries()) {
    sum += requests;
    if (sum >= rank) return bucket;
  }
  return Math.max(0, histogram.length - 1);
}

/** 5xx alone: 499 is a client that left, and what scanners send as 400 is no failure of ours. */
const isError = (statusClass: string): boolean => statusClass === "5xx";

export function trafficOf(counts: readonly Count[], overMs: number): Traffic {
  const histogram = histogramOf(counts);
  let [requests, errors] = [0, 0];
  for (const count of counts) {
    requests += count.requests;
    if (isError(count.class)) errors += count.requests;
  }
  return {
    requests,
    perSecond: overMs <= 0 ? 0 : round(requests / (overMs / 1000)),
    errors,
    errorRatio: requests === 0 ? 0 : errors / requests,
    p50: quantileOf(histogram, 0.5),
    p95: quantileOf(histogram, 0.95),
    p99: quantileOf(histogram, 0.99),
  };
}

export function classesOf(counts: readonly Count[]): Readonly<Record<string, number>> {
  const classes: Record<string, number> = {};
  for (const count of counts) classes[count.class] = (classes[count.class] ?? 0) + count.requests;
  return classes;
}

/** Items by what they have in common, in the order of their first. */
export function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): ReadonlyMap<K, readonly T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}

/** To four digits: more would only look exact. */
export function round(value: number): number {
  return Number(value.toPrecision(4));
}
