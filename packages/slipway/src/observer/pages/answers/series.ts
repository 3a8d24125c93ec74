/** Requests over time, with a marker for each release. */
import type { DeployMarker, ReleaseSummary, SeriesAnswer } from "../../../server/api.ts";
import { badRequest } from "../http/route.ts";
import type { TimeCount } from "./figures.ts";
import { CLASSES, classesOf, groupBy, histogramOf, quantileOf } from "./traffic.ts";

const MOST_STEPS = 2000;
const DEFAULT_MS = 60 * 60_000;
const SHORT_MS = 30 * 60_000;
const STEPS_MS = [1, 5, 10, 30, 60, 300, 900, 1800, 3600, 10_800, 21_600, 86_400].map((s) => s * 1000);

export interface SeriesWish {
  readonly service: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly stepMs: number;
}

/** From the query string; without a step some 200 of them. Throws REQUEST_INVALID. */
export function seriesWish(query: URLSearchParams, now: number): SeriesWish {
  const toMs = timeIn(query, "to") ?? now;
  const fromMs = timeIn(query, "from") ?? toMs - DEFAULT_MS;
  if (fromMs >= toMs) throw badRequest("from", "should be before to");
  const step = query.get("step");
  const stepMs = step === null || step === "" ? stepFor(toMs - fromMs) : Number(step) * 1000;
  if (!Number.isInteger(stepMs) || stepMs < 1000)
    throw badRequest("step", "should be whole seconds, at least 1");
  if ((toMs - fromMs) / stepMs > MOST_STEPS)
    throw badRequest("step", `these would be more than ${MOST_STEPS} steps`, "Ask for a longer step.");
  const begin = Math.floor(fromMs / stepMs) * stepMs;
  return { service: (query.get("service") ?? "").slice(0, 253), fromMs: begin, toMs, stepMs };
}

/** Whole minutes are counted already, so whatever is longer than a short look is drawn from them. */
export function stepFor(spanMs: number): number {
  const least = spanMs > SHORT_MS ? 60_000 : 0;
  const step = STEPS_MS.find((stepMs) => stepMs >= least && spanMs / stepMs <= 240);
  return step ?? (STEPS_MS.at(-1) as number);
}

/** Undefined when it is not asked for. */
export function timeIn(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === "") return undefined;
  const ms = Number(text);
  if (!Number.isSafeInteger(ms) || ms < 0 || ms > 8.64e15)
    throw badRequest(name, "should be milliseconds since 1970");
  return ms;
}

export function seriesAnswer(
  wish: SeriesWish,
  counts: readonly TimeCount[],
  releases: readonly ReleaseSummary[],
): SeriesAnswer {
  const { service, fromMs, toMs, stepMs } = wish;
  const byTime = groupBy(counts, ({ at }) => at);
  const times: number[] = [];
  for (let at = fromMs; at < toMs; at += stepMs) times.push(at);
  const steps = times.map((at) => {
    const own = byTime.get(at) ?? [];
    return { classes: classesOf(own), histogram: histogramOf(own) };
  });
  const quantiles = (q: number): (number | null)[] =>
    steps.map(({ histogram }) => quantileOf(histogram, q) ?? null);
  const present = CLASSES.filter(
    (name) => name !== "other" || steps.some(({ classes }) => classes[name] !== undefined),
  );
  return {
    service,
    stepMs,
    times,
    requests: steps.map(({ classes }) => Object.values(classes).reduce((sum, one) => sum + one, 0)),
    errors: steps.map(({ classes }) => classes["5xx"] ?? 0),
    p50: quantiles(0.5),
    p95: quantiles(0.95),
    p99: quantiles(0.99),
    classes: Object.fromEntries(
      present.map((name) => [name, steps.map(({ classes }) => classes[name] ?? 0)]),
    ),
    markers: markersOf(releases, fromMs, toMs),
  };
}

function markersOf(
  releases: readonly ReleaseSummary[],
  fromMs: number,
  toMs: number,
): readonly DeployMarker[] {
  return releases
    .filter(({ startedAt }) => startedAt >= fromMs && startedAt < toMs)
    .map(({ startedAt, number, kind, outcome }) => ({ at: startedAt, release: number, kind, outcome }))
    .sort((a, b) => a.at - b.at);
}
