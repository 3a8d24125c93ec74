import assert from "node:assert/strict";
import { test } from "node:test";
import { SlipwayError } from "@slipway/base";
import { loadQueries } from "./load.ts";
import { parameterNames, parseQueryFile } from "./query-file.ts";

const whole = `-- title: Slow ones
-- parameters:
--   from: { type: time, default: "-1h" }
--   above: { type: number, default: 500, max: 60000 }
-- chart: { kind: line, x: minute, y: [p95] }
-- schedule: { cron: "0 9 * * 1-5", timeZone: Asia/Tokyo, report: true }
-- threshold: { column: p95, above: 500 }

-- dialect: duckdb
-- the slow ones
SELECT * FROM requests WHERE ts > $from AND rt_ms > $above;

-- dialect: bigquery
SELECT * FROM requests WHERE ts > @from AND rt_ms > @above
`;

test("a whole file", () => {
  const query = parseQueryFile("slow", whole, "queries/slow.sql");
  assert.equal(query.title, "Slow ones");
  assert.deepEqual(query.schedule, { cron: "0 9 * * 1-5", timeZone: "Asia/Tokyo", report: true });
  assert.equal(
    query.sql.duckdb,
    "-- the slow ones\nSELECT * FROM requests WHERE ts > $from AND rt_ms > $above",
  );
  assert.equal(query.sql.bigquery, "SELECT * FROM requests WHERE ts > @from AND rt_ms > @above");
});

test("without a dialect line it is DuckDB's", () => {
  assert.deepEqual(parseQueryFile("one", "-- title: One\nSELECT 1", "one.sql").sql, { duckdb: "SELECT 1" });
});

const refused: readonly (readonly [name: string, text: string, message: RegExp])[] = [
  ["no head", "SELECT 1", /begins without a head/],
  ["no title", "-- about: x\nSELECT 1", /title/],
  ["no SQL", "-- title: x\n", /has no SQL/],
  ["broken YAML", "-- title: [x\nSELECT 1", /./],
  ["an unknown key", "-- title: x\n-- colour: red\nSELECT 1", /colour/],
  ["an unknown dialect", "-- title: x\n-- dialect: mysql\nSELECT 1", /no dialect "mysql"/],
  ["a dialect twice", "-- title: x\n-- dialect: duckdb\nSELECT 1\n-- dialect: duckdb\nSELECT 2", /twice/],
  [
    "an undeclared parameter",
    "-- title: x\n-- parameters: { from: { type: time } }\nSELECT $form",
    /did you mean "from"/,
  ],
  ["a bad cron", '-- title: x\n-- schedule: { cron: "99 * * * *" }\nSELECT 1', /schedule/],
  [
    "a bad time zone",
    '-- title: x\n-- schedule: { cron: "0 9 * * *", timeZone: Nowhere/At }\nSELECT 1',
    /schedule/,
  ],
  [
    "a schedule that cannot fill in a parameter",
    '-- title: x\n-- parameters: { a: { type: text } }\n-- schedule: { cron: "0 9 * * *" }\nSELECT $a',
    /without a default/,
  ],
];
for (const [name, text, message] of refused) {
  test(`refused: ${name}`, () => {
    assert.throws(
      () => parseQueryFile("one", text, "queries/one.sql"),
      (error) => error instanceof SlipwayError && error.code === "QUERY_FILE" && message.test(error.message),
    );
  });
}

test("parameters in strings, names and comments are none", () => {
  assert.deepEqual(parameterNames("duckdb", `SELECT '$a', "$b", $c -- $d\n/* $e */ + $c`), ["c"]);
  assert.deepEqual(parameterNames("bigquery", "SELECT '@a', `@b`, @c"), ["c"]);
});

test("every query that comes with Slipway has both dialects with the same parameters, and a bound in time", async () => {
  const { queries, problems } = await loadQueries(undefined);
  assert.deepEqual(problems, []);
  assert.ok(queries.length >= 10);
  for (const { name, sql, parameters } of queries) {
    const [duckdb, bigquery] = [sql.duckdb ?? "", sql.bigquery ?? ""];
    assert.notEqual(duckdb, "", name);
    assert.deepEqual(
      [...parameterNames("bigquery", bigquery)].sort(),
      [...parameterNames("duckdb", duckdb)].sort(),
      name,
    );
    assert.deepEqual([...parameterNames("duckdb", duckdb)].sort(), Object.keys(parameters).sort(), name);
    assert.ok(parameterNames("bigquery", bigquery).includes("from"), `${name} reads every day that there is`);
  }
});
