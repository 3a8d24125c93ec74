/**
 * The minutes of one series: requests by their outcome, and how long they took. Kept in hours, so that a release that
 * lived for a day costs a day, and so that windows of days are sums of hours. Times are kept in detail for the last
 * hours only; what a window of days needs of them is the number of those over the target.
 */
import { BUCKETS } from "./histogram.ts";

/** The longest window of a burn rate, 3 d. */
export const KEPT_MINUTES = 3 * 24 * 60;
/** Histograms are kept for this long. */
export const TIMED_MINUTES = 6 * 60;

export interface SeriesKey {
  readonly cluster: string;
  readonly service: string;
  /** 0 while unknown. */
  readonly release: number;
  readonly origin: "pod" | "edge";
}

export interface Sums {
  /** All but health checks. */
  readonly requests: number;
  /** 5xx. */
  readonly errors: number;
  /** 499: the client went away. */
  readonly closed: number;
  /** Slower than the target. */
  readonly slow: number;
  readonly probes: number;
}

/** Positions of a minute's numbers within an hour. */
export const REQUESTS = 0;
export const ERRORS = 1;
export const CLOSED = 2;
export const SLOW = 3;
export const PROBES = 4;
const FIELDS = 5;

export class Hour {
  /** Field by field for each of the 60 minutes; after them the sums of the whole hour. */
  readonly numbers = new Float64Array(61 * FIELDS);
  /** Bucket by bucket for each minute; made with the first request that has a time. */
  times: Uint32Array | undefined;

  add(minute: number, field: number, count: number): void {
    const { numbers } = this;
    (numbers[minute * FIELDS + field] as number) += count;
    (numbers[60 * FIELDS + field] as number) += count;
  }

  addTime(minute: number, bucket: number, count: number): void {
    this.times ??= new Uint32Array(60 * BUCKETS);
    (this.times[minute * BUCKETS + bucket] as number) += count;
  }
}

/** Failed requests, to show to people. */
export interface Sample {
  readonly at: number;
  readonly text: string;
}

const MOST_SAMPLES = 3;
const MOST_ROUTES = 100;
/** Top routes are of the last two of these. */
const ROUTES_MINUTES = 15;

export class Series {
  readonly key: SeriesKey;
  /** Requests slower than this are slow, ms. */
  readonly targetMs: number;
  readonly hours = new Map<number, Hour>();
  /** The newest minute with a request, minutes since the epoch; 0 before the first. */
  newest = 0;
  samples: readonly Sample[] = [];
  #routes = new Map<number, number>();
  #earlierRoutes = new Map<number, number>();
  #routesSince = 0;

  constructor(key: SeriesKey, targetMs: number) {
    this.key = key;
    this.targetMs = targetMs;
  }

  hourOf(minute: number): Hour {
    const number = Math.floor(minute / 60);
    let hour = this.hours.get(number);
    if (hour === undefined) {
      hour = new Hour();
      this.hours.set(number, hour);
    }
    return hour;
  }

  /** The `minutes` up to and with this one. */
  sum(last: number, minutes: number): Sums {
    const total = new Float64Array(FIELDS);
    const first = last - minutes + 1;
    for (let number = Math.floor(first / 60); number <= Math.floor(last / 60); number += 1) {
      const hour = this.hours.get(number);
      if (hour === undefined) continue;
      const from = Math.max(0, first - number * 60);
      const to = Math.min(59, last - number * 60);
      const isWhole = from === 0 && to === 59;
      for (let minute = isWhole ? 60 : from; minute <= (isWhole ? 60 : to); minute += 1) {
        for (let field = 0; field < FIELDS; field += 1) {
          (total[field] as number) += hour.numbers[minute * FIELDS + field] as number;
        }
      }
    }
    const [requests = 0, errors = 0, closed = 0, slow = 0, probes = 0] = total;
    return { requests, errors, closed, slow, probes };
  }

  /** Adds the times of these minutes to `into`. */
  addTimesTo(into: Float64Array, last: number, minutes: number): void {
    for (let minute = last - minutes + 1; minute <= last; minute += 1) {
      const times = this.hours.get(Math.floor(minute / 60))?.times;
      if (times === undefined) continue;
      const from = (minute % 60) * BUCKETS;
      for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
        (into[bucket] as number) += times[from + bucket] as number;
      }
    }
  }

  /** The last few failures are kept; when one minute has thousands, the first of it. */
  wantsSample(at: number): boolean {
    const oldest = this.samples[0];
    return this.samples.length < MOST_SAMPLES || oldest === undefined || at - oldest.at > 60_000;
  }

  addSample(sample: Sample): void {
    this.samples = [...this.samples, sample].sort((a, b) => a.at - b.at).slice(-MOST_SAMPLES);
  }

  addFailedRoute(route: number, minute: number, count = 1): void {
    const period = Math.floor(minute / ROUTES_MINUTES);
    if (period > this.#routesSince) {
      this.#earlierRoutes = period === this.#routesSince + 1 ? this.#routes : new Map();
      this.#routes = new Map();
      this.#routesSince = period;
    }
    const known = this.#routes.get(route);
    if (known !== undefined || this.#routes.size < MOST_ROUTES) this.#routes.set(route, (known ?? 0) + count);
  }

  /** Routes of failed requests, id → how many, of the last 15 to 30 minutes. */
  failedRoutes(): ReadonlyMap<number, number> {
    const all = new Map(this.#earlierRoutes);
    for (const [route, count] of this.#routes) all.set(route, (all.get(route) ?? 0) + count);
    return all;
  }

  /** Takes over what another has counted: the pods of that turned out to belong here. */
  absorb(other: Series): void {
    for (const [number, from] of other.hours) {
      const into = this.hourOf(number * 60);
      for (let at = 0; at < from.numbers.length; at += 1) {
        (into.numbers[at] as number) += from.numbers[at] as number;
      }
      if (from.times === undefined) continue;
      into.times ??= new Uint32Array(from.times.length);
      for (let at = 0; at < from.times.length; at += 1) {
        (into.times[at] as number) += from.times[at] as number;
      }
    }
    this.newest = Math.max(this.newest, other.newest);
    for (const sample of other.samples) this.addSample(sample);
    for (const [route, count] of other.failedRoutes()) this.addFailedRoute(route, other.newest, count);
  }

  /** Forgets what no window reaches any more; true when nothing is left. */
  tidy(minute: number): boolean {
    for (const [number, hour] of this.hours) {
      if (number * 60 + 59 < minute - KEPT_MINUTES) this.hours.delete(number);
      else if (number * 60 + 59 < minute - TIMED_MINUTES) hour.times = undefined;
    }
    return this.hours.size === 0;
  }
}
