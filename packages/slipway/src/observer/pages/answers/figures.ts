/**
 * The questions about requests, as SQL over the warehouse's views, and their rows as typed values. Times go in and out as
 * ms since the epoch. The view `requests` has no health checks, and one line for each request.
 */
import { BUCKETS } from "../../../observe/counts/histogram.ts";
import type { QueryLimits } from "../../../observe/warehouse/warehouse.ts";
import { type Asked, askAll, numberOf, type Row, type Rows, textOf } from "../rows.ts";
import type { Count } from "./traffic.ts";

export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface Counted<T> {
  readonly counts: readonly T[];
  readonly problems: readonly string[];
}

const MINUTE_MS = 60_000;
/** As `bucketOf`. The views know the class. */
export const BUCKET = `CASE WHEN rt_ms IS NULL THEN -1 WHEN rt_ms <= 1 THEN 0
  ELSE CAST(least(${BUCKETS - 1}, ceil(8 * log2(rt_ms) - 1e-9)) AS INTEGER) END`;
/** Of the view `rollup`, which counts the same requests by minute: a hundredth of the rows. */
const ROLLUP_BUCKET = "CASE WHEN bucket > 250 THEN -1 ELSE CAST(bucket AS INTEGER) END";
const FROM = "make_timestamp_ms(CAST($from AS BIGINT))";
const TO = "make_timestamp_ms(CAST($to AS BIGINT))";

export interface ServiceCount extends Count {
  readonly service: string;
  readonly release: number;
  readonly commit: string;
  readonly cluster: string;
}

export async function countsByService(
  sources: readonly Rows[],
  span: Span,
  limits: QueryLimits,
): Promise<Counted<ServiceCount>> {
  const asked = await askAll(
    sources,
    `SELECT service, release, "commit", cluster, class, ${BUCKET} AS bucket, count(*) AS requests
     FROM requests WHERE ts >= ${FROM} AND ts < ${TO} GROUP BY ALL`,
    { from: span.fromMs, to: span.toMs },
    { maxRows: 50_000, ...limits },
  );
  return counted(asked, (row) => ({
    ...countOf(row),
    service: textOf(row["service"]),
    release: numberOf(row["release"]),
    commit: textOf(row["commit"]),
    cluster: textOf(row["cluster"]),
  }));
}

export interface TimeCount extends Count {
  /** Begin of its step, ms. */
  readonly at: number;
}

export async function countsByTime(
  sources: readonly Rows[],
  wanted: Span & { readonly stepMs: number; readonly service: string },
  limits: QueryLimits,
): Promise<Counted<TimeCount>> {
  // Whole minutes are counted already.
  const isByMinute = wanted.stepMs % MINUTE_MS === 0;
  const from = isByMinute
    ? `SELECT minute AS ts, class, ${ROLLUP_BUCKET} AS bucket, n FROM rollup
       WHERE counts AND minute >= ${FROM} AND minute < ${TO} AND ($service = '' OR service = $service)`
    : `SELECT ts, class, ${BUCKET} AS bucket, 1 AS n FROM requests
       WHERE ts >= ${FROM} AND ts < ${TO} AND ($service = '' OR service = $service)`;
  const asked = await askAll(
    sources,
    `SELECT CAST(epoch_ms(ts) // CAST($step AS BIGINT) * CAST($step AS BIGINT) AS DOUBLE) AS at, class, bucket,
       CAST(sum(n) AS DOUBLE) AS requests
     FROM (${from}) GROUP BY ALL HAVING sum(n) > 0`,
    { from: wanted.fromMs, to: wanted.toMs, step: wanted.stepMs, service: wanted.service },
    { maxRows: 200_000, ...limits },
  );
  return counted(asked, (row) => ({ ...countOf(row), at: numberOf(row["at"]) }));
}

export interface ReleaseCount extends Count {
  readonly release: number;
  readonly commit: string;
  /** Begin and end of the minutes in which they came. */
  readonly firstMs: number;
  readonly lastMs: number;
}

export async function countsByRelease(
  sources: readonly Rows[],
  wanted: { readonly service: string; readonly releases: readonly [number, number] },
  limits: QueryLimits,
): Promise<Counted<ReleaseCount>> {
  const asked = await askAll(
    sources,
    `SELECT release, "commit", class, ${ROLLUP_BUCKET} AS bucket, CAST(sum(n) AS DOUBLE) AS requests,
       CAST(epoch_ms(min(minute)) AS DOUBLE) AS first, CAST(epoch_ms(max(minute)) AS DOUBLE) + ${MINUTE_MS} AS last
     FROM rollup WHERE counts AND release IN ($a, $b) AND ($service = '' OR service = $service)
     GROUP BY release, "commit", class, 4 HAVING sum(n) > 0`,
    { service: wanted.service, a: wanted.releases[0], b: wanted.releases[1] },
    { maxRows: 50_000, ...limits },
  );
  return counted(asked, (row) => ({
    ...countOf(row),
    release: numberOf(row["release"]),
    commit: textOf(row["commit"]),
    firstMs: numberOf(row["first"]),
    lastMs: numberOf(row["last"]),
  }));
}

export interface RouteCount extends Count {
  readonly release: number;
  readonly route: string;
}

/** Of the routes that are asked most. */
export async function countsByRoute(
  sources: readonly Rows[],
  wanted: { readonly service: string; readonly releases: readonly [number, number] },
  limits: QueryLimits,
): Promise<Counted<RouteCount>> {
  const asked = await askAll(
    sources,
    // Counted once; which routes are the most asked is told from the counts.
    `WITH counted AS (SELECT release, route, class, ${BUCKET} AS bucket, count(*) AS n FROM requests
       WHERE release IN ($a, $b) AND ($service = '' OR service = $service) GROUP BY ALL),
     most AS (SELECT route FROM counted GROUP BY route ORDER BY sum(n) DESC, route LIMIT 200)
     SELECT release, route, class, bucket, n AS requests FROM counted WHERE route IN (SELECT route FROM most)`,
    { service: wanted.service, a: wanted.releases[0], b: wanted.releases[1] },
    { maxRows: 100_000, ...limits },
  );
  return counted(asked, (row) => ({
    ...countOf(row),
    release: numberOf(row["release"]),
    route: textOf(row["route"]),
  }));
}

function counted<T>({ rows, problems }: Asked, read: (row: Row) => T): Counted<T> {
  return { counts: rows.map(read), problems };
}

function countOf(row: Row): Count {
  return {
    class: textOf(row["class"]),
    bucket: numberOf(row["bucket"]),
    requests: numberOf(row["requests"]),
  };
}
