/**
 * Tables and views. Rows hold ids and whole milliseconds; people see the views, where ids are names again.
 *
 *   sources    what is the same for all lines of one container, see access/source.ts
 *   series     sources without what changes with each pod: the rows of the rollup count by these
 *   dict       referers, user agents and routes by id
 *   hot_*      rows of days that are not sealed yet; the views add the sealed days (seal.ts)
 *   rollup_*   requests by minute, series, class and bucket of time; rows of one key are to be added up (rollup.ts)
 *   off        how far each stream is stored, and since when
 *   edge_since from which minute on the edge's lines of a service count as its requests
 *   sealed     the Parquet files that belong to the warehouse
 *   meta       schema version, number of the last commit
 */
import { METHODS, PROTOCOLS } from "../../access/batch.ts";
import { CLASSES } from "./rollup.ts";

/** Raise it with a step in upgrade.ts. */
export const SCHEMA_VERSION = 2;

const enumOf = (values: readonly string[]): string =>
  `ENUM (${values.map((value) => `'${value}'`).join(", ")})`;

export const TABLES: readonly string[] = [
  `CREATE TYPE method AS ${enumOf(METHODS)}`,
  `CREATE TYPE protocol AS ${enumOf(PROTOCOLS)}`,
  `CREATE TYPE stream AS ENUM ('stdout', 'stderr')`,
  `CREATE TABLE meta (key VARCHAR PRIMARY KEY, value BIGINT NOT NULL)`,
  `CREATE TABLE sources (
    id UINTEGER PRIMARY KEY, series UINTEGER NOT NULL, origin VARCHAR NOT NULL, cluster VARCHAR NOT NULL,
    namespace VARCHAR NOT NULL, node VARCHAR NOT NULL, pod VARCHAR NOT NULL, container VARCHAR NOT NULL,
    service VARCHAR NOT NULL, release UINTEGER NOT NULL, commit VARCHAR NOT NULL)`,
  `CREATE TABLE series (
    id UINTEGER PRIMARY KEY, origin VARCHAR NOT NULL, cluster VARCHAR NOT NULL, service VARCHAR NOT NULL,
    release UINTEGER NOT NULL, commit VARCHAR NOT NULL)`,
  `CREATE TABLE dict (kind VARCHAR NOT NULL, id UINTEGER NOT NULL, v VARCHAR NOT NULL, probe BOOLEAN NOT NULL)`,
  `CREATE TABLE hot_access (
    ts TIMESTAMP NOT NULL, source UINTEGER NOT NULL, ip VARCHAR NOT NULL, method method NOT NULL,
    path VARCHAR NOT NULL, proto protocol NOT NULL, status USMALLINT NOT NULL, bytes UBIGINT NOT NULL,
    referer UINTEGER NOT NULL, ua UINTEGER NOT NULL, route UINTEGER NOT NULL, rt_ms UINTEGER, urt_ms UINTEGER,
    attempts UTINYINT NOT NULL)`,
  `CREATE TABLE hot_logs (
    ts TIMESTAMP NOT NULL, source UINTEGER NOT NULL, stream stream NOT NULL, severity VARCHAR NOT NULL,
    text VARCHAR NOT NULL)`,
  `CREATE TABLE hot_quarantine (
    ts TIMESTAMP NOT NULL, source UINTEGER NOT NULL, position UBIGINT NOT NULL, raw BLOB NOT NULL,
    reason VARCHAR NOT NULL)`,
  `CREATE TABLE hot_gaps (ts TIMESTAMP NOT NULL, source UINTEGER NOT NULL, "from" UBIGINT NOT NULL, "to" UBIGINT NOT NULL)`,
  ...["rollup_new", "rollup_minutes"].map(
    (name) => `CREATE TABLE ${name} (
      minute TIMESTAMP NOT NULL, series UINTEGER NOT NULL, class UTINYINT NOT NULL, probe BOOLEAN NOT NULL,
      bucket UTINYINT NOT NULL, n BIGINT NOT NULL, bytes BIGINT NOT NULL)`,
  ),
  `CREATE TABLE off (stream VARCHAR PRIMARY KEY, position UBIGINT NOT NULL, heard TIMESTAMP)`,
  `CREATE TABLE edge_since (service VARCHAR PRIMARY KEY, ts TIMESTAMP NOT NULL)`,
  `CREATE TABLE released (
    number UINTEGER PRIMARY KEY, commit VARCHAR NOT NULL, kind VARCHAR NOT NULL, outcome VARCHAR NOT NULL,
    started TIMESTAMP NOT NULL, finished TIMESTAMP)`,
  `CREATE TABLE sealed (
    file VARCHAR PRIMARY KEY, kind VARCHAR NOT NULL, day DATE NOT NULL, rows UBIGINT NOT NULL, bytes UBIGINT NOT NULL,
    oldest TIMESTAMP NOT NULL, newest TIMESTAMP NOT NULL, sealed_at TIMESTAMP NOT NULL)`,
  `INSERT INTO meta VALUES ('version', ${SCHEMA_VERSION}), ('committed', 0)`,
];

/** What people may read. */
export const VIEWS = [
  "access",
  "requests",
  "logs",
  "quarantine",
  "gaps",
  "releases",
  "rollup",
  "sources",
] as const;

/** The kinds of rows that are sealed by day; each has its table hot_KIND. */
export const SEALED_KINDS = ["access", "logs", "quarantine"] as const;
export type SealedKind = (typeof SEALED_KINDS)[number];

/** Files by kind, as absolute paths. */
export type SealedFiles = Readonly<Record<SealedKind, readonly string[]>>;

export const NOTHING_SEALED: SealedFiles = { access: [], logs: [], quarantine: [] };

/**
 * Made anew at each start and whenever the set of sealed files changes.
 *
 * `requests` counts each request once: the edge's line from the first one on that the edge had of its service, before
 * that its pods'. `prefer` fixes it to one of them. Imported lines always count.
 *
 * A column costs nothing where nobody asks for it, and a join a tenth of a scan, as long as each row finds exactly one
 * partner and joins are inner ones (DuckDB looks those up in an array, and never leaves out an outer one). So every id
 * has its row in `named_*`, and whose lines count is decided for each source, not for each line. Numbers are signed:
 * DuckDB sorts unsigned ones as texts where it looks for a quantile, in three times the time. The plans: schema.test.ts.
 */
export function viewsOf(sealed: SealedFiles, prefer: "auto" | "edge" | "pods"): readonly string[] {
  const classOf = `CASE WHEN a.status = 499 THEN '499' ELSE
    CASE a.status // 100 WHEN 1 THEN '1xx' WHEN 2 THEN '2xx' WHEN 3 THEN '3xx' WHEN 4 THEN '4xx' WHEN 5 THEN '5xx'
    ELSE 'other' END END`;
  return [
    ...SEALED_KINDS.map((kind) => `CREATE OR REPLACE VIEW all_${kind} AS ${unionOf(kind, sealed[kind])}`),
    ...["route", "referer", "ua"].map(
      (kind) => `CREATE OR REPLACE VIEW named_${kind} AS
        SELECT id, v, probe FROM dict WHERE kind = '${kind}' UNION ALL SELECT 0::UINTEGER, 'other', false`,
    ),
    ...["sources", "series"].map(
      (table) => `CREATE OR REPLACE VIEW counted_${table} AS
        SELECT s.*, ${countedUntil(prefer)} AS until FROM ${table} s LEFT JOIN edge_since e ON e.service = s.service`,
    ),
    `CREATE OR REPLACE VIEW all_requests AS
      SELECT a.ts, s.cluster, s.namespace, s.node, s.service, s.release, s.commit, s.pod, s.container, s.origin, a.ip,
        a.method::VARCHAR AS method, a.path, route.v AS route, a.proto::VARCHAR AS proto, a.status, ${classOf} AS class,
        a.bytes::BIGINT AS bytes, referer.v AS referer, ua.v AS ua, try_cast(a.rt_ms AS INTEGER) AS rt_ms,
        try_cast(a.urt_ms AS INTEGER) AS urt_ms, a.attempts, ua.probe, ${isCounted("a.ts")} AS counts
      FROM all_access a JOIN counted_sources s ON s.id = a.source JOIN named_route route ON route.id = a.route
        JOIN named_referer referer ON referer.id = a.referer JOIN named_ua ua ON ua.id = a.ua`,
    `CREATE OR REPLACE VIEW access AS SELECT * EXCLUDE (counts) FROM all_requests`,
    `CREATE OR REPLACE VIEW requests AS SELECT * EXCLUDE (probe, counts) FROM all_requests WHERE NOT probe AND counts`,
    `CREATE OR REPLACE VIEW logs AS
      SELECT l.ts, s.cluster, s.namespace, s.node, s.service, s.release, s.commit, s.pod, s.container,
        l.stream::VARCHAR AS stream, l.severity, l.text
      FROM all_logs l JOIN sources s ON s.id = l.source`,
    `CREATE OR REPLACE VIEW quarantine AS
      SELECT q.ts, s.cluster, s.service, s.pod, s.container, s.origin, q.position, q.raw, q.reason
      FROM all_quarantine q JOIN sources s ON s.id = q.source`,
    `CREATE OR REPLACE VIEW gaps AS
      SELECT g.ts, s.cluster, s.service, s.pod, s.container, g."from", g."to"
      FROM hot_gaps g JOIN sources s ON s.id = g.source`,
    `CREATE OR REPLACE VIEW releases AS SELECT number, commit, kind, outcome, started, finished FROM released`,
    `CREATE OR REPLACE VIEW rollup AS
      SELECT r.minute, s.service, s.release, s.commit, s.cluster, s.origin,
        [${CLASSES.map((name) => `'${name}'`).join(", ")}][r.class + 1] AS class, r.probe, r.bucket, r.n, r.bytes,
        NOT r.probe AND ${isCounted("r.minute")} AS counts
      FROM (FROM rollup_minutes UNION ALL FROM rollup_new) r JOIN counted_series s ON s.id = r.series`,
  ];
}

function unionOf(kind: SealedKind, files: readonly string[]): string {
  const hot = `SELECT * FROM hot_${kind}`;
  if (files.length === 0) return hot;
  const list = files.map((file) => `'${file.replaceAll("'", "''")}'`).join(", ");
  return `${hot} UNION ALL SELECT * FROM read_parquet([${list}])`;
}

/** Lines of a source count before then; NULL: always. */
function countedUntil(prefer: "auto" | "edge" | "pods"): string {
  if (prefer === "auto") return "CASE s.origin WHEN 'pod' THEN e.ts END";
  return `CASE s.origin WHEN '${prefer === "edge" ? "pod" : "edge"}' THEN '-infinity'::TIMESTAMP END`;
}

/** Of a bare `<` between two tables DuckDB expects that it leaves hardly a row, and then joins the wrong way round. */
const isCounted = (ts: string): string => `(s.until IS NULL OR ${ts} < s.until)`;
