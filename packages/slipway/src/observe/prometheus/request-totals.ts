/**
 * Requests since the start of this process, as Prometheus wants them: numbers that only grow, for each service, release
 * and cluster. A batch is counted by its sources, which costs a few additions for each line; labels are looked up when
 * somebody reads.
 *
 * Lines of a pod whose release is not known yet wait up to a minute for it, because what was once said under a label
 * cannot be taken back. Health checks are left out, as everywhere; and of a service that is in the edge's log and in
 * its pods', only the edge's lines count (`observe.accessLog`).
 */
import { type AccessBatch, type Dictionaries, NO_TIME } from "../access/batch.ts";
import { ProbeAgents } from "../access/probe.ts";
import type { SourceLabels } from "../access/source.ts";

export const CLASSES = ["1xx", "2xx", "3xx", "4xx", "499", "5xx", "other"] as const;

export interface RequestTotal {
  readonly service: string;
  /** Its number; `unknown` for pods of no release. */
  readonly release: string;
  readonly cluster: string;
  /** By position in CLASSES. */
  readonly classes: Float64Array;
  /** By position in CLASSES. */
  readonly times: readonly Times[];
}

/** How long the requests took whose line says so. */
export interface Times {
  /** By bound, and at the end what took longer. */
  readonly counts: Float64Array;
  /** All of them together, s. */
  readonly seconds: number;
}

export interface RequestTotalsOptions {
  readonly dictionaries: Pick<Dictionaries, "userAgent">;
  readonly labelsOf: (source: number) => SourceLabels | undefined;
  readonly accessLog: "auto" | "edge" | "pods";
  /** Upper bounds, s, ascending. */
  readonly bounds: readonly number[];
  readonly now: () => number;
  /** So many series at most; further ones push out what has been silent for an hour, or are counted as `other`. */
  readonly maxSeries?: number;
}

/** Usual bounds, and exactly what is promised: the share of requests within the target is then no estimate. */
export function boundsWith(targetsMs: readonly number[]): readonly number[] {
  const usual = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
  return [...new Set([...usual, ...targetsMs.map((ms) => ms / 1000)])].sort((a, b) => a - b);
}

const WAIT_MS = 60_000;
const SILENT_MS = 60 * 60_000;
const MAX_SERIES = 200;
const MOST_TALLIES = 2000;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface Counted {
  readonly classes: Float64Array;
  readonly times: readonly Mutable<Times>[];
}

interface Tally extends Counted {
  lines: number;
  /** When the oldest line that waits came in. */
  since: number;
  hasWaited: boolean;
}

type Total = Omit<RequestTotal, keyof Counted> &
  Counted & {
    readonly origin: "pod" | "edge";
    lastAt: number;
  };

export class RequestTotals {
  readonly #options: RequestTotalsOptions;
  readonly #probes: ProbeAgents;
  readonly #boundsMs: readonly number[];
  readonly #tallies = new Map<number, Tally>();
  readonly #totals = new Map<string, Total>();
  /** Lines of series that found no room. */
  overflow = 0;

  constructor(options: RequestTotalsOptions) {
    this.#options = options;
    this.#probes = new ProbeAgents(options.dictionaries.userAgent);
    this.#boundsMs = options.bounds.map((seconds) => seconds * 1000);
  }

  /** Counts a batch that has been stored. */
  add({ length, source, status, time, userAgent }: AccessBatch): void {
    let last = -1;
    let tally: Tally | undefined;
    for (let line = 0; line < length; line += 1) {
      if (this.#probes.has(userAgent[line] as number)) continue;
      if (source[line] !== last || tally === undefined) {
        last = source[line] as number;
        tally = this.#tallyOf(last);
      }
      tally.lines += 1;
      const at = classOf(status[line] as number);
      tally.classes[at] = (tally.classes[at] as number) + 1;
      const took = time[line] as number;
      if (took === NO_TIME) continue;
      const times = tally.times[at] as Mutable<Times>;
      const bucket = this.#bucketOf(took);
      times.counts[bucket] = (times.counts[bucket] as number) + 1;
      times.seconds += took / 1000;
    }
    if (this.#tallies.size > MOST_TALLIES) this.#settle();
  }

  read(): readonly RequestTotal[] {
    this.#settle();
    const { accessLog } = this.#options;
    const all = [...this.#totals.values()];
    const atEdge = new Set(all.filter(({ origin }) => origin === "edge").map(({ service }) => service));
    return all.filter(
      ({ origin, service }) =>
        origin === (accessLog === "edge" || (accessLog === "auto" && atEdge.has(service)) ? "edge" : "pod"),
    );
  }

  #tallyOf(source: number): Tally {
    const known = this.#tallies.get(source);
    if (known !== undefined) {
      if (known.lines === 0) known.since = this.#options.now();
      return known;
    }
    const made: Tally = {
      ...this.#nothing(),
      lines: 0,
      since: this.#options.now(),
      hasWaited: false,
    };
    this.#tallies.set(source, made);
    return made;
  }

  #nothing(): Counted {
    const counts = (): Float64Array => new Float64Array(this.#boundsMs.length + 1);
    return {
      classes: new Float64Array(CLASSES.length),
      times: CLASSES.map(() => ({ counts: counts(), seconds: 0 })),
    };
  }

  #bucketOf(ms: number): number {
    const bounds = this.#boundsMs;
    let at = 0;
    while (at < bounds.length && ms > (bounds[at] as number)) at += 1;
    return at;
  }

  /** Brings what was counted by source under the labels of today. */
  #settle(): void {
    const now = this.#options.now();
    for (const [source, tally] of this.#tallies) {
      if (tally.lines === 0) {
        if (now - tally.since > SILENT_MS) this.#tallies.delete(source);
        continue;
      }
      const labels = this.#options.labelsOf(source);
      const mayBecomeKnown = labels?.release === 0 && labels.pod !== "" && !tally.hasWaited;
      if (mayBecomeKnown && now - tally.since < WAIT_MS) continue;
      // Imported files are history: they did not happen now.
      if (labels !== undefined && labels.origin !== "import")
        move(tally, this.#totalOf(labels, labels.origin, tally.lines, now), now);
      clear(tally);
      tally.hasWaited = true;
    }
  }

  #totalOf(labels: SourceLabels, origin: "pod" | "edge", lines: number, now: number): Total {
    const { service, cluster } = labels;
    const release = labels.release > 0 ? String(labels.release) : "unknown";
    const key = JSON.stringify([service, release, cluster, origin]);
    const known = this.#totals.get(key);
    if (known !== undefined) return known;
    if (this.#totals.size >= (this.#options.maxSeries ?? MAX_SERIES) && !this.#forgetSilent(now)) {
      this.overflow += lines;
      return this.#made(`other ${origin}`, { service: "other", release: "unknown", cluster: "", origin });
    }
    return this.#made(key, { service, release, cluster, origin });
  }

  #made(key: string, of: Pick<Total, "service" | "release" | "cluster" | "origin">): Total {
    const known = this.#totals.get(key);
    if (known !== undefined) return known;
    const made: Total = { ...of, ...this.#nothing(), lastAt: 0 };
    this.#totals.set(key, made);
    return made;
  }

  #forgetSilent(now: number): boolean {
    const oldest = [...this.#totals].sort(([, a], [, b]) => a.lastAt - b.lastAt)[0];
    if (oldest === undefined || now - oldest[1].lastAt < SILENT_MS) return false;
    return this.#totals.delete(oldest[0]);
  }
}

function move(from: Tally, into: Total, now: number): void {
  addTo(into.classes, from.classes);
  for (const [at, times] of into.times.entries()) {
    const { counts, seconds } = from.times[at] as Times;
    addTo(times.counts, counts);
    times.seconds += seconds;
  }
  into.lastAt = now;
}

function addTo(into: Float64Array, from: Float64Array): void {
  for (let at = 0; at < from.length; at += 1) into[at] = (into[at] as number) + (from[at] as number);
}

function clear(tally: Tally): void {
  tally.classes.fill(0);
  for (const times of tally.times) {
    times.counts.fill(0);
    times.seconds = 0;
  }
  tally.lines = 0;
}

/** 499 is a client that left before the answer: nobody's error. */
function classOf(status: number): number {
  if (status === 499) return 4;
  if (status >= 500 && status < 600) return 5;
  return status >= 100 && status < 500 ? Math.floor(status / 100) - 1 : 6;
}
