/**
 * What alerts look at: requests by the minute, for each cluster, service, release and origin, counted while batches come
 * in and without a query. Exactly once, because a batch is counted after its commit, and because counts of before a
 * start come from the warehouse (`restore.ts`): there is no second store that could disagree with it.
 */
import { type AccessBatch, type Dictionaries, METHODS, NO_TIME } from "../access/batch.ts";
import { ProbeAgents } from "../access/probe.ts";
import type { SourceLabels } from "../access/source.ts";
import { BUCKETS, bucketOf, upperMs } from "./histogram.ts";
import {
  CLOSED,
  ERRORS,
  type Hour,
  KEPT_MINUTES,
  PROBES,
  REQUESTS,
  type Sample,
  Series,
  type SeriesKey,
  SLOW,
  type Sums,
} from "./series.ts";

export interface CountsOptions {
  readonly dictionaries: Pick<Dictionaries, "route" | "userAgent">;
  /** Whose lines are a service's requests; see `observe.accessLog`. */
  readonly accessLog: "auto" | "edge" | "pods";
  /** When a request of this service is slow, ms; Infinity where nothing is promised. */
  readonly targetMs: (service: string) => number;
  /** So many series at most; what comes beyond is counted together. Default 400. */
  readonly maxSeries?: number;
}

/** One minute of one series by class and time, as the warehouse keeps it. */
export interface CountedMinute extends SeriesKey {
  readonly minuteMs: number;
  /** `2xx`, `3xx`, `4xx`, `499`, `5xx`. */
  readonly class: string;
  /** Undefined where no time was logged. */
  readonly bucket: number | undefined;
  readonly count: number;
}

/** Which requests: all of the service, or those of one cluster, of one release. */
export interface Of {
  readonly service: string;
  readonly cluster?: string | undefined;
  readonly release?: number | undefined;
}

const MINUTE_MS = 60_000;
/** A line from further ahead than this has a wrong clock, and is counted where it came in. */
const AHEAD_MS = 5 * MINUTE_MS;
/** Releases of pods become known within moments of their start; after this long they are taken as unknown. */
const UNKNOWN_FOR_MS = 30 * MINUTE_MS;

export class Counts {
  readonly #options: CountsOptions;
  readonly #series = new Map<string, Series>();
  /** By service; undefined when the set of series has changed since it was made. */
  #byService: ReadonlyMap<string, readonly Series[]> | undefined;
  readonly #bySource: (Series | undefined)[] = [];
  readonly #labels: (SourceLabels | undefined)[] = [];
  /** Series of single pods whose release is not known yet: when it is, all they counted moves there. */
  readonly #unknown = new Map<Series, { readonly source: number; readonly since: number }>();
  readonly #probes: ProbeAgents;
  /** Lines that were older than every window. */
  tooLate = 0;
  /** Lines from the future. */
  ahead = 0;
  /** Lines of series that found no room. */
  overflow = 0;

  constructor(options: CountsOptions) {
    this.#options = options;
    this.#probes = new ProbeAgents(options.dictionaries.userAgent);
  }

  /** Says whose lines these are; before the first batch that has them. Imported files are history, not news. */
  label(source: number, labels: SourceLabels, now: number): void {
    const { origin, cluster, service, release, pod } = labels;
    this.#labels[source] = labels;
    if (origin === "import" || this.#bySource[source] !== undefined) return;
    if (release > 0) {
      this.#bySource[source] = this.#seriesOf({ cluster, service, release, origin });
      return;
    }
    const series = this.#seriesOf({ cluster, service, release: 0, origin }, `${pod}/${source}`);
    this.#bySource[source] = series;
    this.#unknown.set(series, { source, since: now });
  }

  /** The release of a source has become known, or was another. Earlier requests follow when it had been unknown. */
  relabel(source: number, release: number, commit: string): void {
    const labels = this.#labels[source];
    const old = this.#bySource[source];
    if (labels === undefined || labels.origin === "import" || labels.release === release) return;
    this.#labels[source] = { ...labels, release, commit };
    const { origin, cluster, service } = labels;
    const series = this.#seriesOf({ cluster, service, release, origin });
    this.#bySource[source] = series;
    if (old !== undefined && this.#unknown.has(old)) this.#move(old, series);
  }

  /** Counts a batch that has been committed. */
  add(batch: AccessBatch, now: number): void {
    const { length, ts, source, status, time, userAgent } = batch;
    const present = Math.floor(now / MINUTE_MS);
    const latest = Math.floor((now + AHEAD_MS) / MINUTE_MS);
    const oldest = present - KEPT_MINUTES;
    let lastSource = -1;
    let lastMinute = -1;
    let series: Series | undefined;
    let hour: Hour | undefined;
    let minute = 0;
    let at = 0;
    for (let line = 0; line < length; line += 1) {
      const written = Math.floor((ts[line] as number) / MINUTE_MS);
      if (source[line] !== lastSource || written !== lastMinute) {
        lastSource = source[line] as number;
        lastMinute = written;
        minute = written > latest ? present : written;
        at = minute % 60;
        series = this.#bySource[lastSource];
        hour = minute < oldest ? undefined : series?.hourOf(minute);
        if (hour !== undefined && series !== undefined && minute > series.newest) series.newest = minute;
      }
      if (series === undefined) continue;
      if (hour === undefined) {
        this.tooLate += 1;
        continue;
      }
      if (written > latest) this.ahead += 1;
      if (this.#probes.has(userAgent[line] as number)) {
        hour.add(at, PROBES, 1);
        continue;
      }
      hour.add(at, REQUESTS, 1);
      const took = time[line] as number;
      if (took !== NO_TIME) {
        hour.addTime(at, bucketOf(took), 1);
        if (took > series.targetMs) hour.add(at, SLOW, 1);
      }
      const code = status[line] as number;
      if (code < 499) continue;
      if (code === 499) hour.add(at, CLOSED, 1);
      else if (code >= 500) {
        hour.add(at, ERRORS, 1);
        this.#failed(series, batch, line, minute);
      }
    }
  }

  /** What was counted before this process started. Times of the bucket that holds the target count as fast enough. */
  restore(minutes: Iterable<CountedMinute>): void {
    for (const { minuteMs, class: kind, bucket, count, ...key } of minutes) {
      const { cluster, service, release, origin } = key;
      const series = this.#seriesOf({ cluster, service, release, origin });
      const minute = Math.floor(minuteMs / MINUTE_MS);
      const hour = series.hourOf(minute);
      const at = minute % 60;
      series.newest = Math.max(series.newest, minute);
      hour.add(at, REQUESTS, count);
      if (kind === "5xx") hour.add(at, ERRORS, count);
      if (kind === "499") hour.add(at, CLOSED, count);
      if (bucket === undefined) continue;
      hour.addTime(at, Math.min(BUCKETS - 1, bucket), count);
      if (bucket > 0 && upperMs(bucket - 1) >= series.targetMs) hour.add(at, SLOW, count);
    }
  }

  /** Forgets what no window reaches; call it now and then. */
  tidy(now: number): void {
    for (const [series, { source, since }] of this.#unknown) {
      if (now - since < UNKNOWN_FOR_MS) continue;
      const shared = this.#seriesOf({ ...series.key, release: 0 });
      this.#bySource[source] = shared;
      this.#move(series, shared);
    }
    const minute = Math.floor(now / MINUTE_MS);
    const used = new Set(this.#bySource);
    this.#byService = undefined;
    for (const [name, series] of this.#series) {
      // One that a source still points at stays: its pod may speak again.
      if (series.tidy(minute) && !used.has(series)) this.#series.delete(name);
    }
  }

  /** Services with requests in the last three days. */
  services(): readonly string[] {
    return [...new Set([...this.#series.values()].map(({ key }) => key.service))].sort();
  }

  clusters(service: string): readonly string[] {
    return [...new Set(this.#of({ service }).map(({ key }) => key.cluster))].sort();
  }

  releases(service: string): readonly number[] {
    return [...new Set(this.#of({ service }).map(({ key }) => key.release))].sort((a, b) => a - b);
  }

  /** The `minutes` up to and with the one of `now`: a window of 5 minutes holds the last 4 to 5. */
  sum(of: Of, now: number, minutes: number): Sums {
    const last = Math.floor(now / MINUTE_MS);
    const total = { requests: 0, errors: 0, closed: 0, slow: 0, probes: 0 };
    for (const series of this.#of(of)) {
      const { requests, errors, closed, slow, probes } = series.sum(last, Math.min(minutes, KEPT_MINUTES));
      total.requests += requests;
      total.errors += errors;
      total.closed += closed;
      total.slow += slow;
      total.probes += probes;
    }
    return total;
  }

  /** Times of requests, by bucket; at most the last six hours. */
  times(of: Of, now: number, minutes: number): Float64Array {
    const into = new Float64Array(BUCKETS);
    for (const series of this.#of(of)) series.addTimesTo(into, Math.floor(now / MINUTE_MS), minutes);
    return into;
  }

  /** Begin of the newest minute with a request, ms; undefined without any. */
  newestMs(of: Of): number | undefined {
    const newest = Math.max(0, ...this.#of(of).map((series) => series.newest));
    return newest === 0 ? undefined : newest * MINUTE_MS;
  }

  /** Routes that failed most within the last quarter of an hour, most first. */
  failedRoutes(of: Of): readonly { readonly route: string; readonly count: number }[] {
    const all = new Map<number, number>();
    for (const series of this.#of(of)) {
      for (const [route, count] of series.failedRoutes()) all.set(route, (all.get(route) ?? 0) + count);
    }
    return [...all]
      .map(([route, count]) => ({ route: this.#options.dictionaries.route.valueOf(route), count }))
      .sort((a, b) => b.count - a.count || a.route.localeCompare(b.route));
  }

  /** The newest failed requests since then, newest first, as redacted lines. */
  samples(of: Of, sinceMs: number, most = 3): readonly Sample[] {
    return this.#of(of)
      .flatMap(({ samples }) => samples)
      .filter(({ at }) => at >= sinceMs)
      .sort((a, b) => b.at - a.at)
      .slice(0, most);
  }

  /** Series of the service's preferred origin: a request through the edge is in the edge's log and in the pod's. */
  #of({ service, cluster, release }: Of): readonly Series[] {
    const { accessLog } = this.#options;
    this.#byService ??= Map.groupBy(this.#series.values(), ({ key }) => key.service);
    const ofService = this.#byService.get(service) ?? [];
    const hasEdge = ofService.some(({ key, newest }) => key.origin === "edge" && newest > 0);
    const origin = accessLog === "edge" || (accessLog === "auto" && hasEdge) ? "edge" : "pod";
    return ofService.filter(
      ({ key }) =>
        key.origin === origin &&
        (cluster === undefined || key.cluster === cluster) &&
        (release === undefined || key.release === release),
    );
  }

  #seriesOf(key: SeriesKey, of = ""): Series {
    const name = JSON.stringify([key.cluster, key.service, key.release, key.origin, of]);
    const known = this.#series.get(name);
    if (known !== undefined) return known;
    if (this.#series.size >= (this.#options.maxSeries ?? 400)) {
      this.overflow += 1;
      return this.#crowd(key.origin);
    }
    return this.#put(name, key);
  }

  /** Where whatever found no room is counted. */
  #crowd(origin: SeriesKey["origin"]): Series {
    const name = `crowd ${origin}`;
    return this.#series.get(name) ?? this.#put(name, { cluster: "", service: "other", release: 0, origin });
  }

  #put(name: string, key: SeriesKey): Series {
    const series = new Series(key, this.#options.targetMs(key.service));
    this.#series.set(name, series);
    this.#byService = undefined;
    return series;
  }

  #move(from: Series, into: Series): void {
    this.#unknown.delete(from);
    if (from === into) return;
    into.absorb(from);
    for (const [name, series] of this.#series) if (series === from) this.#series.delete(name);
    this.#byService = undefined;
  }

  #failed(series: Series, batch: AccessBatch, line: number, minute: number): void {
    series.addFailedRoute(batch.route[line] as number, minute);
    const at = batch.ts[line] as number;
    if (!series.wantsSample(at)) return;
    const labels = this.#labels[batch.source[line] as number];
    const took = batch.time[line] as number;
    const where = [labels?.cluster, labels?.pod].filter((one) => one !== undefined && one !== "");
    // A copy: a slice would keep the whole chunk that it was read from.
    const path = batch.path.at(line).slice(0, 200);
    const method = METHODS[batch.method[line] as number] ?? "-";
    const text = `${method} ${path} → ${batch.status[line]}${took === NO_TIME ? "" : ` in ${took} ms`}`;
    series.addSample({ at, text: where.length === 0 ? text : `${text} (${where.join(", ")})` });
  }
}
