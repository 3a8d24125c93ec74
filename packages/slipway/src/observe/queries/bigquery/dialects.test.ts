/**
 * Both dialects of every query give the same numbers on the same requests, as far as that can be shown without Google.
 *
 * What is shown: the BigQuery text, views included, is translated word by word into DuckDB's words for the same functions
 * (the table below, from Google's reference of standard SQL) and run over a table shaped like the sink's. A function or an
 * operator that is not in the table fails the test. Where Debian's python3-sqlglot is installed, its grammar of BigQuery
 * must accept the text too.
 *
 * What is not shown: that Google's parser accepts it, what APPROX_QUANTILES approximates on large data (Google promises
 * about 1 % of the rank; here it is exact), and that the sink's columns are as documented.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { after, before, test } from "node:test";
import { type DuckDBConnection, DuckDBInstance, type DuckDBValue } from "@duckdb/node-api";
import { seededRandom } from "@slipway/base";
import { loadQueries } from "../load.ts";
import { resolveParameters } from "../parameters.ts";
import { overSink } from "./views.ts";

const now = Date.UTC(2026, 0, 31, 12, 0, 0);
const sink = { project: "shop", dataset: "logs" };

/** BigQuery's words → DuckDB's. Applied in this order. */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/`shop\.logs\.stdout`/g, "stdout"],
  [/\br'/g, "'"],
  [/@([a-z_]+)/g, "$$$1"],
  [/\$(from|to)\b/g, "$$$1::TIMESTAMP"],
  [/APPROX_QUANTILES\((\w+), 1000\)\[OFFSET\((\d+)\)\]/g, "quantile_disc($1, $2 / 1000)"],
  [/TIMESTAMP_TRUNC\((\w+), MINUTE\)/g, "date_trunc('minute', $1)"],
  [/\bCOUNTIF\(/g, "count_if("],
  [/\bSAFE_DIVIDE\(/g, "safe_divide("],
  [/\bSAFE_CAST\(/g, "TRY_CAST("],
  [/\bINT64\b/g, "BIGINT"],
  [/\bFLOAT64\b/g, "DOUBLE"],
  [/\bJSON_VALUE\(TO_JSON_STRING\(jsonPayload\), /g, "json_extract_string(jsonPayload, "],
  [/\bREGEXP_CONTAINS\(/g, "regexp_matches("],
  [/\bREGEXP_EXTRACT\(/g, "first_group("],
  [/\bREGEXP_REPLACE\(/g, "replace_all("],
];

/** What both understand in the same way. */
const SHARED = new Set(
  "count max min sum round cast row_number over in access requests quantile_disc date_trunc count_if safe_divide try_cast json_extract_string regexp_matches first_group replace_all as and".split(
    " ",
  ),
);

function translated(sql: string): string {
  let text = sql;
  for (const [word, replacement] of WORDS) text = text.replaceAll(word, replacement);
  const bare = text.replaceAll(/'(?:[^']|'')*'/g, "''");
  const unknown = [...bare.matchAll(/\b([A-Za-z_]\w*)\s*\(/g)].map((match) =>
    (match[1] as string).toLowerCase(),
  );
  assert.deepEqual(
    unknown.filter((name) => !SHARED.has(name)),
    [],
    "a function that the table above does not know",
  );
  return text;
}

let instance: DuckDBInstance;
let connection: DuckDBConnection;

before(async () => {
  instance = await DuckDBInstance.create(":memory:");
  connection = await instance.connect();
  await connection.run("CREATE MACRO safe_divide(a, b) AS CASE WHEN b = 0 THEN NULL ELSE a / b END");
  await connection.run(
    "CREATE MACRO first_group(text, pattern) AS nullif(regexp_extract(text, pattern, 1), '')",
  );
  await connection.run(
    "CREATE MACRO replace_all(text, pattern, new) AS regexp_replace(text, pattern, new, 'g')",
  );
  await fill();
});

after(() => {
  connection.closeSync();
  instance.closeSync();
});

/** The same requests twice: as the warehouse shows them, and as the sink's table has them, some delivered twice. */
async function fill(): Promise<void> {
  await connection.run(`CREATE TABLE requests (ts TIMESTAMP, cluster VARCHAR, namespace VARCHAR, node VARCHAR, service VARCHAR,
    release INTEGER, "commit" VARCHAR, pod VARCHAR, container VARCHAR, origin VARCHAR, ip VARCHAR, method VARCHAR, path VARCHAR,
    route VARCHAR, proto VARCHAR, status USMALLINT, bytes BIGINT, referer VARCHAR, ua VARCHAR, rt_ms INTEGER, urt_ms INTEGER)`);
  await connection.run(`CREATE TABLE stdout (timestamp TIMESTAMP, receiveTimestamp TIMESTAMP, insertId VARCHAR, jsonPayload JSON,
    resource STRUCT(labels STRUCT(cluster_name VARCHAR, namespace_name VARCHAR, pod_name VARCHAR, container_name VARCHAR)),
    httpRequest STRUCT(requestMethod VARCHAR, requestUrl VARCHAR, "status" INTEGER, responseSize BIGINT, userAgent VARCHAR,
      remoteIp VARCHAR, referer VARCHAR, latency DOUBLE, protocol VARCHAR))`);
  const random = seededRandom(7);
  const rows: string[] = [];
  const entries: string[] = [];
  const text = (value: string): string => `'${value.replaceAll("'", "''")}'`;
  for (let index = 0; index < 2_000; index += 1) {
    const at = now - random.int(7_200_000);
    const iso = new Date(at).toISOString();
    const service = random.pick(["web", "checkout"]);
    const cluster = random.pick(["tokyo", "osaka"]);
    const pod = `${service}-7d9c5b6f4-${random.pick(["abcde", "fghij", "klmno"])}`;
    const release = random.int(4); // 0: none, of which the line says nothing
    const id = random.int(10_000);
    const [path, route] = random.pick([
      ["/", "/"],
      [`/items/${id}?q=it's`, "/items/:id"],
      [`/items/${id}/parts/${id}`, "/items/:id/parts/:id"],
      ["/v2/a1b2c3d4e5f6a7b8c9d0/raw", "/v2/:id/raw"],
    ] as const);
    const status = random.pick([200, 200, 200, 200, 301, 404, 499, 500, 503]);
    const isProbe = random.int(10) === 0;
    const ua = isProbe ? "kube-probe/1.29" : random.pick(["curl/8", "Mozilla/5.0 (X11)"]);
    const rt = random.int(3_000);
    const upstream = random.pick(["", "0.004", "0.100, 0.250"]);
    const urt = upstream === "" ? null : upstream === "0.004" ? 4 : 250;
    const ip = `10.0.${random.int(4)}.${random.int(4)}`;
    const bytes = random.int(5_000);
    if (!isProbe)
      rows.push(
        `(${text(iso)}::TIMESTAMP, ${text(cluster)}, 'default', '', ${text(service)}, ${release}, '', ${text(pod)}, 'nginx', 'pod', ${text(ip)}, 'GET', ${text(path)}, ${text(route)}, 'HTTP/1.1', ${status}, ${bytes}, '', ${text(ua)}, ${rt}, ${urt})`,
      );
    const payload = JSON.stringify({
      ...(release === 0 ? {} : { release: String(release) }),
      upstream_time: upstream,
    });
    const entry = (received: number): string =>
      `(${text(iso)}::TIMESTAMP, TIMESTAMP '2026-01-31' + INTERVAL ${received} second, ${text(`id-${index}`)}, ${text(payload)},
        {labels: {cluster_name: ${text(cluster)}, namespace_name: 'default', pod_name: ${text(pod)}, container_name: 'nginx'}},
        {requestMethod: 'GET', requestUrl: ${text(path)}, status: ${status}, responseSize: ${bytes}, userAgent: ${text(ua)}, remoteIp: ${text(ip)}, referer: '', latency: ${rt / 1000}, protocol: 'HTTP/1.1'})`;
    entries.push(entry(0));
    if (index % 50 === 0) entries.push(entry(1));
  }
  for (let at = 0; at < rows.length; at += 2_000)
    await connection.run(`INSERT INTO requests VALUES ${rows.slice(at, at + 2_000).join(",")}`);
  for (let at = 0; at < entries.length; at += 2_000)
    await connection.run(`INSERT INTO stdout VALUES ${entries.slice(at, at + 2_000).join(",")}`);
}

async function rowsOf(
  sql: string,
  parameters: Readonly<Record<string, unknown>>,
): Promise<readonly unknown[]> {
  const answer = await connection.runAndReadAll(sql, parameters as Record<string, DuckDBValue>);
  // Of a number its width may differ (UINTEGER here, INT64 there), not its value.
  return answer
    .getRowObjectsJson()
    .map((row) =>
      Object.fromEntries(
        Object.entries(row).map(([name, value]) => [name, value === null ? null : String(value)]),
      ),
    );
}

const { queries } = await loadQueries(undefined);
for (const query of queries) {
  test(`${query.name}: the same numbers in both dialects`, async () => {
    const parameters = resolveParameters(query, {}, now);
    const wide =
      "from" in parameters ? { ...parameters, from: new Date(now - 3_600_000).toISOString() } : parameters;
    const here = await rowsOf(query.sql.duckdb as string, wide);
    const there = await rowsOf(translated(overSink(query.name, query.sql.bigquery as string, sink)), wide);
    assert.ok(here.length > 0);
    assert.deepEqual(there, here);
  });
}

test("requests without a release have none, not release 0", async () => {
  const compared = queries.find(({ name }) => name === "releases-compared");
  assert.ok(compared !== undefined);
  const rows = await rowsOf(compared.sql.duckdb as string, resolveParameters(compared, {}, now));
  assert.deepEqual(
    rows.map((row) => (row as { readonly release: string | null }).release),
    ["1", "2", "3", null],
  );
});

test("the grammar of BigQuery of another program accepts every text", (t) => {
  const python = "/usr/bin/python3";
  const texts = queries.map((query) => overSink(query.name, query.sql.bigquery as string, sink));
  const isThere =
    existsSync(python) && spawnSync(python, ["-c", "import sqlglot"], { stdio: "ignore" }).status === 0;
  if (!isThere && process.env["CI"] === undefined) {
    t.diagnostic("python3-sqlglot is not installed: not tried");
    return;
  }
  const program =
    'import json, sys, sqlglot\nfor text in json.load(sys.stdin):\n  sqlglot.parse_one(text, read="bigquery")\n';
  const ran = spawnSync(python, ["-c", program], { input: JSON.stringify(texts), encoding: "utf8" });
  assert.equal(ran.status, 0, ran.stderr);
});
