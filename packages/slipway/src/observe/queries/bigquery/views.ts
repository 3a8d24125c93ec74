/**
 * `access` and `requests` over the table that a sink of Cloud Logging writes (partitioned on `timestamp`, one table for
 * each log id), as the head of every query: so nothing has to be made in the dataset, and no query is without a bound on
 * the partition. Names of columns are those of the sink: keys of jsonPayload in lower case, `httpRequest.latency` as
 * seconds.
 *
 * What the warehouse here knows and Cloud Logging does not: `node` and `commit` are empty, `release` is what the log
 * line itself says (field `release` of the JSON format in docs/guide/observe.md), else NULL. Routes are normalised more
 * coarsely: numbers, UUIDs and long hexadecimal parts become `:id`.
 */
import { SlipwayError } from "@slipway/base";
import { parameterNames } from "../query-file.ts";

export interface SinkTable {
  readonly project: string;
  readonly dataset: string;
  /** Of the log id; default `stdout`. */
  readonly table?: string;
}

/** Throws QUERY_UNBOUNDED when the query does not say from when to when. `name` is for the message. */
export function overSink(name: string, sql: string, sink: SinkTable): string {
  const used = parameterNames("bigquery", sql);
  const missing = ["from", "to"].filter((one) => !used.includes(one));
  if (missing.length > 0)
    throw new SlipwayError({
      code: "QUERY_UNBOUNDED",
      where: `queries/${name}`,
      message: `does not use @${missing.join(" and @")}, so it would read every day that there is`,
      hint: "Declare the parameters from and to of type time, and write ts >= @from AND ts < @to.",
      exitCode: 2,
    });
  const own = /^WITH\s+(?!RECURSIVE\b)/i.exec(sql);
  const rest = own === null ? `\n${sql}` : `,\n${sql.slice(own[0].length)}`;
  return `${viewsOf(sink)}${rest}`;
}

export function viewsOf({ project, dataset, table = "stdout" }: SinkTable): string {
  return `WITH access AS (
  SELECT timestamp AS ts,
         resource.labels.cluster_name AS cluster,
         resource.labels.namespace_name AS namespace,
         '' AS node,
         REGEXP_REPLACE(resource.labels.pod_name, r'(-[a-z0-9]{5,10})?-[a-z0-9]{5}$', '') AS service,
         SAFE_CAST(JSON_VALUE(TO_JSON_STRING(jsonPayload), '$.release') AS INT64) AS release,
         '' AS commit,
         resource.labels.pod_name AS pod,
         resource.labels.container_name AS container,
         'pod' AS origin,
         httpRequest.remoteIp AS ip,
         httpRequest.requestMethod AS method,
         httpRequest.requestUrl AS path,
         REGEXP_REPLACE(REGEXP_EXTRACT(httpRequest.requestUrl, r'^(?:https?://[^/]+)?([^?#]*)'), r'/(?:[0-9]+|[0-9a-fA-F]{12,}|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27})\\b', '/:id') AS route,
         httpRequest.protocol AS proto,
         CAST(httpRequest.status AS INT64) AS status,
         CAST(httpRequest.responseSize AS INT64) AS bytes,
         httpRequest.referer AS referer,
         httpRequest.userAgent AS ua,
         CAST(ROUND(httpRequest.latency * 1000) AS INT64) AS rt_ms,
         CAST(ROUND(1000 * SAFE_CAST(REGEXP_EXTRACT(JSON_VALUE(TO_JSON_STRING(jsonPayload), '$.upstream_time'), r'([0-9.]+)$') AS FLOAT64)) AS INT64) AS urt_ms
  FROM \`${project}.${dataset}.${table}\`
  WHERE timestamp >= @from AND timestamp < @to AND httpRequest.status > 0
  QUALIFY ROW_NUMBER() OVER (PARTITION BY insertId, timestamp ORDER BY receiveTimestamp) = 1
), requests AS (
  SELECT * FROM access
  WHERE ua IS NULL OR NOT REGEXP_CONTAINS(ua, r'^(?:kube-probe/|GoogleHC/|ELB-HealthChecker/)')
)`;
}
