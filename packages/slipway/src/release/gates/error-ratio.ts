/**
 * The ratio of failed requests and the response times, as the edge or the clusters' collectors count them, of the new
 * release against those of the one before.
 *
 * Only services count of which the release replaces pods: a busy one beside them would hide the failures of a quiet one.
 * Too little traffic concludes nothing: one failure of three requests is not a ratio. Where the release before was
 * not asked often enough itself (a first release), the new one is compared with no failures at all.
 */
import type { GateConfig } from "../../config/types.ts";
import { quantile } from "../../observe/counts/histogram.ts";
import type { Asking, GateFinding, MissingCluster, RequestCounter, ServedCount } from "./gate.ts";

type RatioGate = Extract<GateConfig, { kind: "error-ratio" }>;

export interface Served {
  readonly requests: number;
  readonly errors: number;
  /** Response times by bucket. */
  readonly times: readonly number[];
}

const NONE: Served = { requests: 0, errors: 0, times: [] };

/** The edge has its counters at hand; a collector is a way through the API server, and a query. */
const LOOK_EVERY_MS = { edge: 1_000, collectors: 5_000 } as const;

const WHO = { edge: "the edge", collectors: "the collectors" } as const;

export async function askErrorRatio(
  gate: RatioGate,
  asking: Asking,
  facts: {
    /** As of now: the release may go on in other clusters while it is asked. */
    readonly sides: () => SideOf;
    /** The clusters of the wave: nothing is concluded without what they served. */
    readonly wave: readonly string[];
    readonly startedAt: number;
    /** The edge's counters at the start of the release: what the same pods served before is not this release's. */
    readonly before: readonly ServedCount[];
  },
): Promise<GateFinding> {
  const { clock, ports, signal, waiting } = asking;
  const { served } = ports;
  if (served === undefined) return NOBODY_COUNTS;
  const { by } = served;
  const { wave, startedAt } = facts;
  let last: GateFinding | undefined;
  while (!signal.aborted) {
    const counted = await served.count({ startedAt, signal }).catch((error: unknown) => error as Error);
    if (signal.aborted) break;
    if (counted instanceof Error)
      waiting(`${WHO[by]} tell${by === "edge" ? "s" : ""} no counts: ${counted.message}`);
    else {
      const needed = counted.missing.filter(({ cluster }) => wave.includes(cluster));
      const isNobody = wave.length > 0 && needed.length === wave.length;
      if (isNobody && needed.every(({ isInstalled }) => !isInstalled))
        return { ...NOBODY_COUNTS, said: withoutCounts(needed) };
      const { counts, missing, before = facts.before } = counted;
      const split = splitServed(counts, { before, sideOf: facts.sides(), service: gate.service });
      last = needed.length > 0 ? undefined : countedBy(by, missing, conclude(gate, split));
      if (last !== undefined && last.outcome !== "undecided") return last;
      waiting(last?.said ?? withoutCounts(needed), last?.values);
    }
    await clock.sleep(LOOK_EVERY_MS[by], signal).catch(() => undefined);
  }
  if (last !== undefined && gate.tooFew === "pass") return { ...last, outcome: "passed" };
  return last ?? { outcome: "timed-out", said: "", values: {} };
}

const NOBODY_COUNTS: GateFinding = {
  outcome: "undecided",
  said: "nobody counts requests here: neither an edge of Slipway nor collectors (slipway observe install)",
  values: {},
};

function withoutCounts(missing: readonly MissingCluster[]): string {
  return `nothing is concluded without the requests of ${listed(missing)}`;
}

function listed(missing: readonly MissingCluster[]): string {
  return missing.map(({ cluster, reason }) => `${cluster} (${reason})`).join(", ");
}

/** With whose numbers these are, and of which other clusters there are none. */
function countedBy(
  by: RequestCounter["by"],
  missing: readonly MissingCluster[],
  found: GateFinding,
): GateFinding {
  const without = missing.length === 0 ? "" : `, without ${listed(missing)}`;
  const said = `${found.said}; counted by ${WHO[by]}${without}`;
  return { ...found, said, values: { ...found.values, countedBy: by } };
}

/** Pods of the new release in this wave, pods of the release before, or neither: the new one's of other waves. */
type Side = "new" | "previous" | "neither";

export type SideOf = (count: Pick<ServedCount, "cluster" | "replicaSet">) => Side;

/** The newest ReplicaSets of a cluster's Deployments, now and before the release was applied there. */
export interface ReplicaSetsOf {
  readonly now: readonly string[];
  readonly before: readonly string[];
}

/** `clusters` has those that the release has come to. Where it replaces no pod in `wave`, all that serve there are its own. */
export function sidesOf(clusters: ReadonlyMap<string, ReplicaSetsOf>, wave: readonly string[]): SideOf {
  const made = ({ now, before }: ReplicaSetsOf): readonly string[] =>
    now.filter((one) => !before.includes(one));
  const replacesNothing = wave.every((name) => {
    const sets = clusters.get(name);
    return sets === undefined || made(sets).length === 0;
  });
  return ({ cluster, replicaSet }) => {
    const sets = clusters.get(cluster);
    if (sets === undefined) return "previous";
    const isOurs = (replacesNothing && wave.includes(cluster) ? sets.now : made(sets)).includes(replicaSet);
    if (!isOurs) return "previous";
    return wave.includes(cluster) ? "new" : "neither";
  };
}

/** Sums of the new release and of the one before, of the services that the new one changes. */
export function splitServed(
  counts: readonly ServedCount[],
  facts: {
    readonly sideOf: SideOf;
    readonly before: readonly ServedCount[];
    readonly service: string | undefined;
  },
): { readonly fresh: Served; readonly previous: Served } {
  const asked = counts.filter(({ service }) => facts.service === undefined || service === facts.service);
  const changed = new Set(asked.flatMap((one) => (facts.sideOf(one) === "new" ? [one.service] : [])));
  let fresh = NONE;
  let previous = NONE;
  for (const count of asked.filter(({ service }) => changed.has(service))) {
    const side = facts.sideOf(count);
    if (side === "previous") previous = combine(previous, count, 1);
    if (side !== "new") continue;
    const earlier = facts.before.find(
      (one) =>
        one.cluster === count.cluster && one.service === count.service && one.replicaSet === count.replicaSet,
    );
    fresh = combine(fresh, count, 1);
    if (earlier !== undefined) fresh = combine(fresh, earlier, -1);
  }
  return { fresh, previous };
}

function combine(sums: Served, { requests, errors, times = [] }: Count, sign: 1 | -1): Served {
  return {
    requests: sums.requests + sign * requests,
    errors: sums.errors + sign * errors,
    times: Array.from(
      { length: Math.max(sums.times.length, times.length) },
      (_, bucket) => (sums.times[bucket] ?? 0) + sign * (times[bucket] ?? 0),
    ),
  };
}

type Count = Pick<ServedCount, "requests" | "errors" | "times">;

/** 3 of 200 (1.5 %) against 1 of 1000 (0.1 %) is 1.4 points more: above `maxIncrease` 0.01 it fails. */
export function conclude(
  gate: Pick<RatioGate, "maxIncrease" | "minRequests" | "p95">,
  { fresh, previous }: { readonly fresh: Served; readonly previous: Served },
): GateFinding {
  const values = {
    newRequests: fresh.requests,
    newErrors: fresh.errors,
    previousRequests: previous.requests,
    previousErrors: previous.errors,
    maxIncrease: gate.maxIncrease,
    minRequests: gate.minRequests,
  };
  const told = `new release ${text(fresh)}, the one before ${text(previous)}`;
  if (fresh.requests < gate.minRequests) {
    const said = `${told}: too little traffic to conclude, ${gate.minRequests} requests are needed`;
    return { outcome: "undecided", said, values };
  }
  const isComparable = previous.requests >= gate.minRequests;
  const allowed = (isComparable ? ratio(previous) : 0) + gate.maxIncrease;
  const against = isComparable ? "" : " (too few of the one before to compare with: taken as none failed)";
  const isFine = ratio(fresh) <= allowed;
  const slowness = gate.p95 === undefined ? undefined : compareTimes(gate.p95, fresh, previous, isComparable);
  return {
    outcome: isFine && slowness?.isFine !== false ? "passed" : "failed",
    said: `${told}${against}; allowed up to ${percent(allowed)}${slowness === undefined ? "" : `; ${slowness.said}`}`,
    values: { ...values, ...slowness?.values },
  };
}

/** Both percentiles come from the same kind of histogram, so its coarseness (9 %) is on both sides. */
function compareTimes(
  { maxIncrease, ignoreBelowMs }: NonNullable<RatioGate["p95"]>,
  fresh: Served,
  previous: Served,
  isComparable: boolean,
): { readonly isFine: boolean; readonly said: string; readonly values: GateFinding["values"] } {
  const now = quantile(fresh.times, 0.95);
  const before = quantile(previous.times, 0.95);
  if (now === undefined) return { isFine: false, said: "its response times are not known", values: {} };
  const said = `p95 ${milliseconds(now)}`;
  if (!isComparable || before === undefined)
    return {
      isFine: true,
      said: `${said}, with nothing to compare it with`,
      values: { newP95: Math.round(now) },
    };
  const allowed = Math.max(before * (1 + maxIncrease), before + ignoreBelowMs);
  return {
    isFine: now <= allowed,
    said: `${said} against ${milliseconds(before)}, allowed up to ${milliseconds(allowed)}`,
    values: { newP95: Math.round(now), previousP95: Math.round(before), allowedP95: Math.round(allowed) },
  };
}

function milliseconds(ms: number): string {
  return ms < 10 ? `${Number(ms.toFixed(1))} ms` : `${Math.round(ms)} ms`;
}

function ratio({ requests, errors }: Count): number {
  return requests === 0 ? 0 : errors / requests;
}

function text(served: Count): string {
  return `${served.errors} of ${served.requests} requests failed (${percent(ratio(served))})`;
}

function percent(value: number): string {
  return `${Number((value * 100).toFixed(2))} %`;
}
