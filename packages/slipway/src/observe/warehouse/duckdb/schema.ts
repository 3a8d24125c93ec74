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
 */
export function viewsOf(sealed: SealedFiles, prefer: "auto" | "edge" | "pods"): readonly string[] {
  const classOf = `CASE WHEN a.status = 499 THEN '499'
    WHEN a.status BETWEEN 100 AND 599 THEN concat(a.status // 100, 'xx') ELSE 'other' END`;
  return [
    ...SEALED_KINDS.map((kind) => `CREATE OR REPLACE VIEW all_${kind} AS ${unionOf(kind, sealed[kind])}`),
    `CREATE OR REPLACE VIEW access AS
      SELECT a.ts, s.cluster, s.namespace, s.node, s.service, s.release, s.commit, s.pod, s.container, s.origin, a.ip,
        a.method::VARCHAR AS method, a.path, ${nameOf("route")} AS route, a.proto::VARCHAR AS proto, a.status,
        ${classOf} AS class, a.bytes, ${nameOf("referer")} AS referer, ${nameOf("ua")} AS ua, a.rt_ms, a.urt_ms,
        a.attempts, coalesce(ua.probe, false) AS probe
      FROM all_access a JOIN sources s ON s.id = a.source ${joinsOf(["route", "referer", "ua"])}`,
    `CREATE OR REPLACE VIEW requests AS
      SELECT a.* EXCLUDE (probe) FROM access a LEFT JOIN edge_since e ON e.service = a.service
      WHERE NOT a.probe AND ${isPreferred("a.origin", "a.ts", prefer)}`,
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
        NOT r.probe AND ${isPreferred("s.origin", "r.minute", prefer)} AS counts
      FROM (FROM rollup_minutes UNION ALL FROM rollup_new) r
      JOIN series s ON s.id = r.series LEFT JOIN edge_since e ON e.service = s.service`,
  ];
}

function unionOf(kind: SealedKind, files: readonly string[]): string {
  const hot = `SELECT * FROM hot_${kind}`;
  if (files.length === 0) return hot;
  const list = files.map((file) => `'${file.replaceAll("'", "''")}'`).join(", ");
  return `${hot} UNION ALL SELECT * FROM read_parquet([${list}])`;
}

function joinsOf(kinds: readonly string[]): string {
  return kinds
    .map(
      (kind) =>
        `LEFT JOIN (SELECT id, v, probe FROM dict WHERE kind = '${kind}') ${kind} ON ${kind}.id = a.${kind}`,
    )
    .join(" ");
}

const nameOf = (kind: string): string => `coalesce(${kind}.v, 'other')`;

function isPreferred(origin: string, ts: string, prefer: "auto" | "edge" | "pods"): string {
  if (prefer !== "auto") return `${origin} <> '${prefer === "edge" ? "pod" : "edge"}'`;
  return `CASE ${origin} WHEN 'edge' THEN true WHEN 'pod' THEN e.ts IS NULL OR ${ts} < e.ts ELSE true END`;
}
