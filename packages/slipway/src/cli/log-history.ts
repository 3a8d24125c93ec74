/** What the warehouse remembers of pods' logs: of pods that are gone, of files that were rotated away. */
import type { QueryAnswer, QueryLimits, QueryParameters } from "../observe/warehouse/warehouse.ts";
import type { LogLine } from "./log-lines.ts";

export interface LogHistory {
  /** `world`, or the cluster. */
  readonly name: string;
  query(sql: string, parameters: QueryParameters, limits?: QueryLimits): Promise<QueryAnswer>;
}

export interface HistoryWish {
  readonly sinceMs: number;
  readonly deployment: string | undefined;
  readonly cluster: string | undefined;
  readonly release: number | undefined;
  /** A regular expression. */
  readonly grep: string | undefined;
}

/** Requests are stored in columns; this is how they are said again. */
const REQUEST = `concat(coalesce(ip, '-'), ' "', method, ' ', path, ' ', proto, '" ', status, ' ', bytes,
  CASE WHEN rt_ms IS NULL THEN '' ELSE concat(' ', rt_ms, ' ms') END)`;

/** The newest lines that are stored, at most 10,000. Pods' own lines only: what the edge wrote is no pod's log. */
export async function readHistory(history: LogHistory, wish: HistoryWish): Promise<readonly LogLine[]> {
  const { sql, parameters } = historyQuery(wish);
  const { rows } = await history.query(sql, parameters);
  return rows
    .map(([at, cluster, pod, container, text]) => ({
      at: Number(at),
      cluster: String(cluster),
      pod: String(pod),
      container: String(container),
      text: String(text),
    }))
    .reverse();
}

export function historyQuery(wish: HistoryWish): {
  readonly sql: string;
  readonly parameters: QueryParameters;
} {
  const parameters: Record<string, string | number> = { since: wish.sinceMs };
  const both = ["ts >= make_timestamp_ms(CAST($since AS BIGINT))"];
  const only = (column: string, name: string, value: string | number | undefined): void => {
    if (value === undefined) return;
    both.push(`${column} = $${name}`);
    parameters[name] = value;
  };
  only("service", "service", wish.deployment);
  only("cluster", "cluster", wish.cluster);
  only("release", "release", wish.release);
  if (wish.grep !== undefined) parameters["grep"] = wish.grep;
  const where = (text: string): string =>
    [...both, ...(wish.grep === undefined ? [] : [`regexp_matches(${text}, $grep)`])].join(" AND ");
  const sql = `SELECT CAST(epoch_us(ts) AS DOUBLE) / 1000 AS at, cluster, pod, container, text FROM (
    SELECT ts, cluster, pod, container, text FROM logs WHERE ${where("text")}
    UNION ALL
    SELECT ts, cluster, pod, container, ${REQUEST} FROM access WHERE origin = 'pod' AND ${where(REQUEST)}
  ) ORDER BY ts DESC LIMIT 10000`;
  return { sql, parameters };
}
