/** Page "Compare": is one release slower than another, or does it fail more? Pure. */
import type { CompareAnswer, CompareSide } from "../../../server/api.ts";
import type { ReleaseCount, RouteCount } from "./figures.ts";
import { bucketAt, type Count, classesOf, groupBy, histogramOf, round, trafficOf } from "./traffic.ts";

/** Fewer requests of a route on either side say nothing about its p95: that would be one of its five slowest. */
const LEAST_OF_ROUTE = 100;
export const LEAST_REQUESTS = 200;
/** Two-sided, 95 %. */
const Z = 1.96;

export function compareAnswer(
  wish: { readonly a: number; readonly b: number },
  counts: readonly ReleaseCount[],
  routes: readonly RouteCount[],
): CompareAnswer {
  const a = sideOf(wish.a, counts);
  const b = sideOf(wish.b, counts);
  return { a, b, routes: routesOf(wish, routes), verdict: verdictOf(a, b) };
}

function sideOf(release: number, all: readonly ReleaseCount[]): CompareSide {
  const counts = all.filter((count) => count.release === release);
  const first = Math.min(...counts.map(({ firstMs }) => firstMs));
  const last = Math.max(...counts.map(({ lastMs }) => lastMs));
  return {
    release,
    commit: counts.find(({ commit }) => commit !== "")?.commit ?? "",
    // Over the time in which it had requests.
    traffic: trafficOf(counts, counts.length === 0 ? 0 : last - first),
    histogram: histogramOf(counts),
    classes: classesOf(counts),
  };
}

/** The slowest-grown first, by the ratio of p95. */
function routesOf(
  { a, b }: { readonly a: number; readonly b: number },
  counts: readonly RouteCount[],
): CompareAnswer["routes"] {
  const growthOf = ([before, after]: readonly [number, number]): number => after / before;
  return [...groupBy(counts, ({ route }) => route)]
    .flatMap(([route, own]) => {
      const [before, after] = [a, b].map((release) =>
        figuresOf(own.filter((one) => one.release === release)),
      );
      if (before === undefined || after === undefined) return [];
      return [
        {
          route,
          requests: [before.requests, after.requests] as const,
          p95: [before.p95, after.p95] as const,
          errorRatio: [before.errorRatio, after.errorRatio] as const,
        },
      ];
    })
    .sort((one, other) => growthOf(other.p95) - growthOf(one.p95) || (one.route < other.route ? -1 : 1));
}

/** Undefined with too few requests, or without times. */
function figuresOf(
  counts: readonly Count[],
): { readonly requests: number; readonly p95: number; readonly errorRatio: number } | undefined {
  const { requests, errorRatio, p95 } = trafficOf(counts, 0);
  return requests < LEAST_OF_ROUTE || p95 === undefined ? undefined : { requests, errorRatio, p95 };
}

/** What can be said, in one sentence. */
function verdictOf(a: CompareSide, b: CompareSide): string {
  const short = [a, b].filter(({ traffic }) => traffic.requests < LEAST_REQUESTS);
  if (short.length > 0) {
    const had = short.map(
      ({ release, traffic }) => `release ${release} had ${requestsText(traffic.requests)}`,
    );
    return `Too little traffic to tell: ${had.join(", ")}, and below ${LEAST_REQUESTS} a difference may be chance.`;
  }
  const said = [errorsVerdict(a, b), latencyVerdict(a, b)].filter((text) => text !== undefined);
  const names = `release ${b.release}`;
  if (said.length === 0) {
    return `No difference between release ${a.release} and ${names} that could not be chance: ${percent(a.traffic.errorRatio)} and ${percent(b.traffic.errorRatio)} errors${p95Text(a, b)}.`;
  }
  return `${names[0]?.toUpperCase()}${names.slice(1)} ${said.join(" and ")} than release ${a.release}.`;
}

function p95Text(a: CompareSide, b: CompareSide): string {
  const [before, after] = [a.traffic.p95, b.traffic.p95];
  return before === undefined || after === undefined ? "" : `, p95 ${ms(before)} and ${ms(after)}`;
}

/** Undefined when the two ratios may be the same: test of two proportions, pooled. */
function errorsVerdict(a: CompareSide, b: CompareSide): string | undefined {
  const z = differenceOfShares(
    [a.traffic.errors, a.traffic.requests],
    [b.traffic.errors, b.traffic.requests],
  );
  if (z === undefined || Math.abs(z) < Z) return undefined;
  return `fails ${z > 0 ? "more" : "less"} (${percent(b.traffic.errorRatio)} instead of ${percent(a.traffic.errorRatio)})`;
}

/**
 * How many standard errors the second share is above the first; undefined where the normal distribution does not hold.
 * 10 of 1,000 against 30 of 1,000: pooled 2 %, standard error 0.63 %, so 2 % / 0.63 % = 3.19.
 */
export function differenceOfShares(
  [hitsA, allA]: readonly [number, number],
  [hitsB, allB]: readonly [number, number],
): number | undefined {
  const hits = hitsA + hitsB;
  // Of fewer than five events nothing is told, whatever the formula says.
  if (hits < 5 || hits > allA + allB - 5) return undefined;
  const pooled = hits / (allA + allB);
  const error = Math.sqrt(pooled * (1 - pooled) * (1 / allA + 1 / allB));
  return (hitsB / allB - hitsA / allA) / error;
}

/** Undefined when the intervals that hold the true p95 with 95 % overlap, or the change is below 10 %. */
function latencyVerdict(a: CompareSide, b: CompareSide): string | undefined {
  const [before, after] = [a.traffic.p95, b.traffic.p95];
  if (before === undefined || after === undefined) return undefined;
  const [one, other] = [intervalOf(a.histogram, 0.95), intervalOf(b.histogram, 0.95)];
  const isSlower = other[0] > one[1] && after >= before * 1.1;
  const isFaster = other[1] < one[0] && after <= before / 1.1;
  if (!isSlower && !isFaster) return undefined;
  return `is ${isSlower ? "slower" : "faster"} (p95 ${ms(after)} instead of ${ms(before)})`;
}

/** The buckets of the ranks n·q ± 1.96·√(n·q·(1−q)): the quantile lies between them with 95 %, whatever the distribution. */
export function intervalOf(histogram: readonly number[], q: number): readonly [number, number] {
  const n = histogram.reduce((sum, one) => sum + one, 0);
  const spread = Z * Math.sqrt(n * q * (1 - q));
  const at = (rank: number): number => bucketAt(histogram, Math.min(n, Math.max(1, rank)));
  return [at(Math.floor(n * q - spread)), at(Math.ceil(n * q + spread))];
}

function requestsText(count: number): string {
  return count === 1 ? "1 request" : `${count} requests`;
}

function percent(ratio: number): string {
  return `${round(ratio * 100)} %`;
}

function ms(value: number): string {
  return value < 1000 ? `${Math.round(value)} ms` : `${round(value / 1000)} s`;
}
