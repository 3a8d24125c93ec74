import assert from "node:assert/strict";
import { test } from "node:test";
import { createBigQueryPlace } from "../../observe/queries/bigquery/bigquery.ts";
import { resolveParameters } from "../../observe/queries/parameters.ts";
import { createQueryRunner } from "../../observe/queries/run.ts";
import { adHocQuery } from "./ad-hoc.ts";

const NOW = Date.parse("2026-11-30T12:00:00Z");

test("what the text names is given a value, and times have one", () => {
  const query = adHocQuery(
    "duckdb",
    "SELECT '$no', $$no$$, $a$ $no $a$ FROM requests WHERE ts >= $from AND service = $service",
  );
  assert.deepEqual(resolveParameters(query, { service: "web" }, NOW), {
    from: "2026-11-30T11:00:00.000Z",
    service: "web",
  });
  assert.throws(() => resolveParameters(query, {}, NOW), {
    code: "QUERY_PARAMETER",
    where: "queries/sql/service",
  });
  assert.throws(() => resolveParameters(query, { servce: "web" }, NOW), { code: "QUERY_PARAMETER" });
});

test("on BigQuery it is asked with the span of time that it needs there", async () => {
  const asked: { readonly params?: unknown }[] = [];
  const client = {
    createQueryJob: async (job: { readonly params?: unknown; readonly dryRun?: boolean }) => {
      asked.push(job);
      return [
        {
          metadata: { statistics: { totalBytesProcessed: "1" } },
          getQueryResults: async () => [
            [{ n: 3 }],
            null,
            { schema: { fields: [{ name: "n", type: "INTEGER" }] } },
          ],
        },
      ];
    },
  };
  const config = { project: "p", dataset: "d", table: "stdout", location: undefined, maxBytesBilled: 10 };
  const place = createBigQueryPlace(config, client as never, { monotonic: () => 0 });
  const sql = "SELECT COUNT(*) AS n FROM requests WHERE ts >= @from AND ts < @to";
  const query = adHocQuery("bigquery", sql);
  const answer = await createQueryRunner(place).run(query, resolveParameters(query, { from: "-2h" }, NOW));
  assert.deepEqual(answer.rows, [[3]]);
  const span = { from: new Date(NOW - 7_200_000), to: new Date(NOW) };
  assert.deepEqual(
    asked.map(({ params }) => params),
    [span, span],
  );
});
