/**
 * What an observer says to Prometheus, beside a local world and as the collector of a cluster alike: how well it reads,
 * the requests by service, release and cluster, what is promised and how it is kept, and the releases.
 */
import type { ObserveConfig, Slo } from "../config/observe.ts";
import type { LineBatch } from "../observe/access/batch.ts";
import type { Standing } from "../observe/alerts/alerts.ts";
import type { CountsView } from "../observe/alerts/facts.ts";
import { PAGE_WINDOWS, TICKET_WINDOWS } from "../observe/alerts/rules.ts";
import type { Distribution, Family, Sample } from "../observe/prometheus/metrics.ts";
import { boundsWith, CLASSES, RequestTotals, type Times } from "../observe/prometheus/request-totals.ts";
import type { ReleaseRecord } from "../release/model.ts";
import type { Observer } from "./observer.ts";

export interface ObserverMetricsOptions {
  readonly observer: Pick<Observer, "warehouse" | "sources" | "figures" | "releases" | "onLines">;
  readonly observe: Pick<ObserveConfig, "accessLog" | "slo" | "sloOf">;
  /** Undefined where alerts are not evaluated. */
  readonly alerts: { readonly counts: CountsView; readonly standing: () => Standing } | undefined;
  readonly now: () => number;
}

/** Older ones are in the history; a label that only grows would fill any Prometheus. */
const NEWEST_RELEASES = 20;

/** Counts from the call on. */
export function observerFamilies(options: ObserverMetricsOptions): readonly Family[] {
  const { observer, observe, alerts, now } = options;
  return [
    ...ingestFamilies(observer, now),
    ...requestFamilies(options),
    ...sloFamilies(observe, alerts?.counts, now),
    ...(alerts === undefined ? [] : [incidentFamily(alerts.standing)]),
    ...releaseFamilies(() => observer.releases()),
  ];
}

function ingestFamilies(observer: ObserverMetricsOptions["observer"], now: () => number): readonly Family[] {
  const lines = { access: 0, logs: 0, quarantine: 0 };
  let newest = 0;
  observer.onLines((batch: LineBatch) => {
    lines.access += batch.access.length;
    lines.logs += batch.logs.length;
    lines.quarantine += batch.quarantine.length;
    newest = Math.max(newest, newestOf(batch));
  });
  const stored = (): ReturnType<Observer["warehouse"]["figures"]> => observer.warehouse.figures();
  const lag = (): number => {
    const { lagMs, unread } = observer.figures();
    const waitingMs = unread === 0 || newest === 0 ? 0 : now() - newest;
    return Math.max(lagMs, waitingMs) / 1000;
  };
  return [
    {
      name: "slipway_ingest_lines_total",
      type: "counter",
      help: "Lines that were stored, by what they are; quarantine are those that could not be read.",
      labels: ["kind"],
      read: () => Object.entries(lines).map(([kind, value]) => ({ labels: { kind }, value })),
    },
    single(
      "counter",
      "slipway_ingest_read_lines_total",
      "Lines that were read, counted before it was decided what they are: as many as were stored of all kinds.",
      () => observer.figures().read,
    ),
    single(
      "counter",
      "slipway_ingest_gaps_total",
      "Pieces of logs that were rotated away before they were read.",
      () => observer.figures().gaps,
    ),
    single(
      "gauge",
      "slipway_ingest_unread_bytes",
      "Bytes of logs that are written and not stored.",
      () => observer.figures().unread,
    ),
    single(
      "gauge",
      "slipway_ingest_lag_seconds",
      "How late the lines of the last half minute were stored; while something waits, at least the age of the newest stored line.",
      lag,
    ),
    single("gauge", "slipway_ingest_followed_logs", "Logs that are followed.", () => observer.figures().logs),
    single(
      "counter",
      "slipway_warehouse_commits_total",
      "Commits since the warehouse was made.",
      () => stored().committed,
    ),
    single("gauge", "slipway_warehouse_size_bytes", "Size of the warehouse on disk.", () => stored().bytes),
    single("gauge", "slipway_warehouse_writable", "0 while nothing can be written, as on a full disk.", () =>
      stored().problem === undefined ? 1 : 0,
    ),
    {
      name: "slipway_warehouse_rows",
      type: "gauge",
      help: "Rows of the warehouse, by table.",
      labels: ["table"],
      read() {
        const { access, logs, quarantine, gaps } = stored();
        return Object.entries({ access, logs, quarantine, gaps }).map(([table, value]) => ({
          labels: { table },
          value,
        }));
      },
    },
  ];
}

function newestOf({ access, logs }: LineBatch): number {
  let newest = 0;
  for (let line = 0; line < access.length; line += 1) newest = Math.max(newest, access.ts[line] as number);
  for (const { ts } of logs) newest = Math.max(newest, ts);
  return newest;
}

function requestFamilies({ observer, observe, now }: ObserverMetricsOptions): readonly Family[] {
  const targets = [observe.slo, ...Object.values(observe.sloOf)].flatMap(
    ({ latency }) => latency?.targetMs ?? [],
  );
  const bounds = boundsWith(targets);
  const totals = new RequestTotals({
    dictionaries: observer.warehouse.dictionaries,
    labelsOf: (source) => observer.sources.labelsOf(source),
    accessLog: observe.accessLog,
    bounds,
    now,
  });
  observer.onLines(({ access }) => totals.add(access));
  return [
    {
      name: "slipway_http_requests_total",
      type: "counter",
      help: "Requests without health checks, by class of status; 499 are clients that went away.",
      labels: ["service", "release", "cluster", "class"],
      read: () =>
        totals.read().flatMap(({ service, release, cluster, classes }): readonly Sample[] =>
          shownClasses(classes).map(({ name, at }) => ({
            labels: { service, release, cluster, class: name },
            value: classes[at] as number,
          })),
        ),
    },
    {
      name: "slipway_http_request_duration_seconds",
      type: "histogram",
      help: "Response times of the requests whose line has one, by class of status.",
      bounds,
      read: () =>
        totals.read().flatMap(({ service, release, cluster, classes, times }): readonly Distribution[] =>
          shownClasses(classes).map(({ name, at }) => {
            const { counts, seconds } = times[at] as Times;
            return { labels: { service, release, cluster, class: name }, counts, sum: seconds };
          }),
        ),
    },
    single(
      "counter",
      "slipway_http_series_overflow_total",
      "Requests whose series found no room here.",
      () => totals.overflow,
    ),
  ];
}

/** The two that every ratio is made of are there from the first request on, so that it has both its sides. */
const shownClasses = (classes: ArrayLike<number>) =>
  CLASSES.map((name, at) => ({ name, at })).filter(
    ({ name, at }) => (classes[at] as number) > 0 || name === "2xx" || name === "5xx",
  );

function sloFamilies(
  observe: ObserverMetricsOptions["observe"],
  counts: CountsView | undefined,
  now: () => number,
): readonly Family[] {
  const promises = function* (service: string): Generator<{
    readonly slo: "availability" | "latency";
    readonly objective: number;
  }> {
    const { availability, latency }: Slo = observe.sloOf[service] ?? observe.slo;
    if (availability !== undefined) yield { slo: "availability", objective: availability };
    if (latency !== undefined) yield { slo: "latency", objective: latency.ratio };
  };
  if (counts === undefined) return [];
  const windows = [...PAGE_WINDOWS, ...TICKET_WINDOWS]
    .flatMap(({ longMinutes, shortMinutes }) => [longMinutes, shortMinutes])
    .sort((a, b) => a - b);
  return [
    {
      name: "slipway_slo_objective_ratio",
      type: "gauge",
      help: "Share of requests that must be good, as the configuration promises.",
      labels: ["service", "slo"],
      read: () =>
        counts.services().flatMap((service) =>
          [...promises(service)].map(({ slo, objective }) => ({
            labels: { service, slo },
            value: objective,
          })),
        ),
    },
    {
      name: "slipway_slo_burn_rate",
      type: "gauge",
      help: "How many times faster than allowed the error budget was used up within the window.",
      labels: ["service", "slo", "window"],
      read: () =>
        counts.services().flatMap((service) =>
          windows.flatMap((minutes) => {
            const { requests, errors, slow } = counts.sum({ service }, now(), minutes);
            if (requests === 0) return [];
            return [...promises(service)].map(({ slo, objective }) => ({
              labels: { service, slo, window: windowName(minutes) },
              value: (slo === "availability" ? errors : slow) / requests / (1 - objective),
            }));
          }),
        ),
    },
  ];
}

function windowName(minutes: number): string {
  if (minutes % 1440 === 0) return `${minutes / 1440}d`;
  return minutes % 60 === 0 ? `${minutes / 60}h` : `${minutes}m`;
}

function incidentFamily(standing: () => Standing): Family {
  const severities = ["page", "ticket", "info"] as const;
  return {
    name: "slipway_incidents_open",
    type: "gauge",
    help: "Incidents that are open, by severity.",
    labels: ["severity"],
    read() {
      const open = standing().alerts.filter(({ state }) => state !== "resolved");
      return severities.map((severity) => ({
        labels: { severity },
        value: open.filter((one) => one.severity === severity).length,
      }));
    },
  };
}

function releaseFamilies(records: () => readonly ReleaseRecord[]): readonly Family[] {
  const newest = (): readonly ReleaseRecord[] =>
    [...records()].sort((a, b) => b.number - a.number).slice(0, NEWEST_RELEASES);
  const each = (value: (record: ReleaseRecord) => number | undefined): readonly Sample[] =>
    newest().flatMap((record) => {
      const found = value(record);
      return found === undefined ? [] : [{ labels: { number: String(record.number) }, value: found }];
    });
  return [
    {
      name: "slipway_release_info",
      type: "gauge",
      help: "The newest releases; always 1.",
      labels: ["number", "commit", "outcome", "kind"],
      read: () =>
        newest().map(({ number, version, outcome, kind }) => ({
          labels: { number: String(number), commit: version.commit, outcome, kind },
          value: 1,
        })),
    },
    {
      name: "slipway_release_start_timestamp_seconds",
      type: "gauge",
      help: "When a release began.",
      labels: ["number"],
      read: () => each(({ startedAt }) => startedAt / 1000),
    },
    {
      name: "slipway_release_finish_timestamp_seconds",
      type: "gauge",
      help: "When a release ended.",
      labels: ["number"],
      read: () => each(({ finishedAt }) => (finishedAt === undefined ? undefined : finishedAt / 1000)),
    },
    {
      name: "slipway_release_clusters",
      type: "gauge",
      help: "Clusters of the newest release, by verdict.",
      labels: ["verdict"],
      read() {
        const clusters = Object.values(newest()[0]?.clusters ?? {});
        return (["healthy", "failed", "unknown", "not-started"] as const).map((verdict) => ({
          labels: { verdict },
          value: clusters.filter((one) => one.verdict === verdict).length,
        }));
      },
    },
    single(
      "gauge",
      "slipway_rollouts_running",
      "Clusters that a release is being brought to at the moment.",
      () =>
        records()
          .filter(({ finishedAt }) => finishedAt === undefined)
          .flatMap(({ clusters }) => Object.values(clusters))
          .filter(({ step }) => step !== "pending" && step !== "done").length,
    ),
  ];
}

function single(type: "counter" | "gauge", name: string, help: string, value: () => number): Family {
  return { type, name, help, read: () => [{ value: value() }] };
}
