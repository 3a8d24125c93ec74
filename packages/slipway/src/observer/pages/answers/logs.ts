/** Page "Logs": requests and other lines alike, the newest of what was asked, and what else could be asked (facets). */
import type { QueryLimits, QueryParameters } from "../../../observe/warehouse/warehouse.ts";
import type { LogEntry, LogsAnswer } from "../../../server/api.ts";
import { badRequest } from "../http/route.ts";
import { askAll, numberOf, type Row, type Rows, textOf } from "../rows.ts";
import { timeIn } from "./series.ts";

export const DEFAULT_LIMIT = 500;
export const MOST_LINES = 5000;
const DEFAULT_MS = 60 * 60_000;

export interface LogsWish {
  readonly fromMs: number;
  readonly toMs: number;
  readonly limit: number;
  /** Conditions of SQL, with their parameters. */
  readonly requests: string | undefined;
  readonly logs: string | undefined;
  readonly parameters: QueryParameters;
}

const FACETS = ["service", "cluster", "pod", "release", "class", "severity"] as const;
const KINDS = ["requests", "logs"];
const CLASSES = ["1xx", "2xx", "3xx", "4xx", "499", "5xx", "other"];

/** What a request says, as one line. */
const REQUEST_TEXT = `concat(method, ' ', path, ' ', status, CASE WHEN rt_ms IS NULL THEN '' ELSE concat(' ', rt_ms, ' ms') END)`;

/** Values are parameters of the statement, never part of it. Throws REQUEST_INVALID. */
export function logsWish(query: URLSearchParams, now: number): LogsWish {
  const toMs = timeIn(query, "to") ?? now + 60_000; // the clock of a node may be ahead
  const fromMs = timeIn(query, "from") ?? Math.min(toMs, now) - DEFAULT_MS;
  if (fromMs >= toMs) throw badRequest("from", "should be before to");
  const limit = wholeIn(query, "limit", 1, MOST_LINES) ?? DEFAULT_LIMIT;
  const both = [
    "ts >= make_timestamp_ms(CAST($from AS BIGINT))",
    "ts < make_timestamp_ms(CAST($to AS BIGINT))",
  ];
  const parameters: Record<string, string | number> = { from: fromMs, to: toMs };
  for (const name of ["service", "cluster", "pod"]) {
    const value = textIn(query, name);
    if (value === undefined) continue;
    both.push(`${name} = $${name}`);
    parameters[name] = value;
  }
  const release = wholeIn(query, "release", 0, 4_294_967_295);
  if (release !== undefined) {
    both.push("release = $release");
    parameters["release"] = release;
  }
  const kind = choiceIn(query, "kind", KINDS);
  const statusClass = choiceIn(query, "class", CLASSES);
  const ofRequests = [...both];
  const ofLogs = [...both];
  if (statusClass !== undefined) {
    ofRequests.push("class = $class");
    parameters["class"] = statusClass;
  }
  const grep = textIn(query, "grep");
  if (grep !== undefined) {
    ofRequests.push(`contains(lower(${REQUEST_TEXT}), lower($grep))`);
    ofLogs.push("contains(lower(text), lower($grep))");
    parameters["grep"] = grep;
  }
  return {
    fromMs,
    toMs,
    limit,
    parameters,
    requests: kind === "logs" ? undefined : ofRequests.join(" AND "),
    // Only requests have a class.
    logs: kind === "requests" || statusClass !== undefined ? undefined : ofLogs.join(" AND "),
  };
}

function textIn(query: URLSearchParams, name: string): string | undefined {
  const text = query.get(name);
  if (text === null || text === "") return undefined;
  if (text.length > 1000) throw badRequest(name, "is longer than 1,000 characters");
  return text;
}

function wholeIn(query: URLSearchParams, name: string, least: number, most: number): number | undefined {
  const text = textIn(query, name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most)
    throw badRequest(name, `should be a whole number from ${least} to ${most}`);
  return value;
}

function choiceIn(query: URLSearchParams, name: string, choices: readonly string[]): string | undefined {
  const text = textIn(query, name);
  if (text !== undefined && !choices.includes(text))
    throw badRequest(name, `should be one of ${choices.join(", ")}`);
  return text;
}

/** Of both kinds of lines these columns, those of one kind empty in the other; undefined when neither is asked for. */
function linesSql(
  { requests, logs }: LogsWish,
  columns: { readonly [kind in "requests" | "logs"]: string },
): string | undefined {
  const parts = [
    ...(requests === undefined ? [] : [`SELECT ${columns.requests} FROM requests WHERE ${requests}`]),
    ...(logs === undefined ? [] : [`SELECT ${columns.logs} FROM logs WHERE ${logs}`]),
  ];
  return parts.length === 0 ? undefined : parts.join(" UNION ALL ");
}

const PLACE = "ts, cluster, service, pod, container, release";
/** A request's text is made for those lines alone that are shown. */
const SHOWN = {
  requests: `${PLACE}, 'request' AS stream, '' AS severity, '' AS line, method, path, CAST(status AS INTEGER) AS status, rt_ms`,
  logs: `${PLACE}, stream, severity, text AS line, '' AS method, '' AS path, CAST(NULL AS INTEGER) AS status, CAST(NULL AS INTEGER) AS rt_ms`,
};
const COUNTED = {
  requests: "service, cluster, pod, release, class, '' AS severity",
  logs: "service, cluster, pod, release, '' AS class, severity",
};

export interface FoundLogs extends LogsAnswer {
  readonly problems: readonly string[];
}

export async function findLogs(
  sources: readonly Rows[],
  wish: LogsWish,
  limits: QueryLimits = {},
): Promise<FoundLogs> {
  const lines = linesSql(wish, COUNTED);
  if (lines === undefined) return { entries: [], isTruncated: false, facets: {}, problems: [] };
  const [found, counted] = await Promise.all([
    newestLines(sources, wish, limits),
    askAll(
      sources,
      // Counted once by all of them together, which leaves few rows for each facet's own sum.
      `WITH counted AS (SELECT *, count(*) AS n FROM (${lines}) GROUP BY ALL)
       SELECT ${facetName()} AS facet, coalesce(${FACETS.map((name) => `CAST(${name} AS VARCHAR)`).join(", ")}) AS value,
         CAST(sum(n) AS DOUBLE) AS n
       FROM counted GROUP BY GROUPING SETS (${FACETS.map((name) => `(${name})`).join(", ")})
       QUALIFY row_number() OVER (PARTITION BY facet ORDER BY sum(n) DESC) <= 50`,
      wish.parameters,
      { maxRows: 1000, ...limits },
    ),
  ]);
  return {
    ...found,
    facets: facetsOf(counted.rows),
    problems: [...new Set([...found.problems, ...counted.problems])],
  };
}

/** Which of the columns this group is about. */
function facetName(): string {
  return `CASE ${FACETS.map((name) => `WHEN grouping(${name}) = 0 THEN '${name}'`).join(" ")} END`;
}

/** Oldest first, as a log is read. */
export async function newestLines(
  sources: readonly Rows[],
  wish: LogsWish,
  limits: QueryLimits = {},
): Promise<Pick<FoundLogs, "entries" | "isTruncated" | "problems">> {
  const lines = linesSql(wish, SHOWN);
  if (lines === undefined) return { entries: [], isTruncated: false, problems: [] };
  // One more than wanted tells that there are more.
  const found = await askAll(
    sources,
    `SELECT CAST(epoch_us(ts) AS DOUBLE) / 1000 AS at, * EXCLUDE (ts, line, method, path, rt_ms),
       CASE WHEN stream = 'request' THEN ${REQUEST_TEXT} ELSE line END AS text
     FROM (SELECT * FROM (${lines}) ORDER BY ts DESC LIMIT ${wish.limit + 1})`,
    wish.parameters,
    { maxRows: wish.limit + 1, ...limits },
  );
  const newest = found.rows.map(entryOf).sort((a, b) => b.ts - a.ts);
  return {
    entries: newest.slice(0, wish.limit).reverse(),
    isTruncated: newest.length > wish.limit,
    problems: found.problems,
  };
}

function entryOf(row: Row): LogEntry {
  const stream = textOf(row["stream"]);
  const status = row["status"];
  return {
    ts: numberOf(row["at"]),
    cluster: textOf(row["cluster"]),
    service: textOf(row["service"]),
    pod: textOf(row["pod"]),
    container: textOf(row["container"]),
    release: numberOf(row["release"]),
    stream: stream === "request" || stream === "stderr" ? stream : "stdout",
    severity: textOf(row["severity"]),
    text: textOf(row["text"]),
    status: typeof status === "number" ? status : undefined,
  };
}

/** Several warehouses may have the same value; empty ones are no choice. */
function facetsOf(rows: readonly Row[]): LogsAnswer["facets"] {
  const sums = new Map<string, Map<string, number>>(FACETS.map((name) => [name, new Map<string, number>()]));
  for (const row of rows) {
    const value = textOf(row["value"]);
    const sum = sums.get(textOf(row["facet"]));
    if (sum !== undefined && value !== "") sum.set(value, (sum.get(value) ?? 0) + numberOf(row["n"]));
  }
  return Object.fromEntries(
    [...sums].map(([name, values]) => [
      name,
      [...values].map(([value, count]) => ({ value, count })).sort((a, b) => b.count - a.count),
    ]),
  );
}
