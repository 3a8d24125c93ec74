import assert from "node:assert/strict";
import { test } from "node:test";
import { SlipwayError } from "@slipway/base";
import type { QueryAnswer, QueryParameters } from "../warehouse/warehouse.ts";
import { parseQueryFile } from "./query-file.ts";
import { createQueryRunner, type QueryPlace } from "./run.ts";

const query = parseQueryFile(
  "q",
  "-- title: q\n-- parameters: { a: { type: text }, b: { type: text } }\n-- dialect: duckdb\nSELECT $a\n-- dialect: bigquery\nSELECT @a, @b",
  "q.sql",
);

function place(): QueryPlace & { asked: QueryParameters[]; at: number; fails: boolean } {
  const asked: QueryParameters[] = [];
  const made = {
    dialect: "duckdb" as const,
    asked,
    at: 1,
    fails: false,
    committed: () => made.at,
    query: async (_sql: string, parameters: QueryParameters): Promise<QueryAnswer> => {
      asked.push(parameters);
      if (made.fails) throw new Error("no");
      return { columns: [], rows: [], isTruncated: false, elapsedMs: 0, committed: made.at };
    },
  };
  return made;
}

test("only the parameters that the text uses are bound", async () => {
  const there = place();
  await createQueryRunner(there).run(query, { a: "1", b: "2" });
  assert.deepEqual(there.asked, [{ a: "1" }]);
});

test("the same question is asked once until something is stored", async () => {
  const there = place();
  const runner = createQueryRunner(there);
  await Promise.all([runner.run(query, { a: "1" }), runner.run(query, { a: "1" })]);
  await runner.run(query, { a: "1" });
  assert.equal(there.asked.length, 1);
  await runner.run(query, { a: "2" });
  assert.equal(there.asked.length, 2);
  there.at = 2;
  await runner.run(query, { a: "1" });
  assert.equal(there.asked.length, 3);
});

test("a failure is not kept", async () => {
  const there = place();
  const runner = createQueryRunner(there);
  there.fails = true;
  await assert.rejects(runner.run(query, { a: "1" }));
  there.fails = false;
  await runner.run(query, { a: "1" });
  assert.equal(there.asked.length, 2);
});

test("who leaves takes the answer from nobody else, and the last one to leave ends the question", async () => {
  const signals: AbortSignal[] = [];
  const answer = Promise.withResolvers<QueryAnswer>();
  const runner = createQueryRunner({
    ...place(),
    query: (_sql, _parameters, { signal }) => {
      signals.push(signal as AbortSignal);
      signal?.addEventListener("abort", () => answer.reject(new Error("given up")));
      return answer.promise;
    },
  });
  const [one, two] = [new AbortController(), new AbortController()];
  const asked = [one, two].map(({ signal }) => runner.run(query, { a: "1" }, { signal }));
  one.abort();
  assert.deepEqual(
    signals.map(({ aborted }) => aborted),
    [false],
  );
  two.abort();
  assert.equal(signals[0]?.aborted, true);
  for (const end of await Promise.allSettled(asked)) assert.equal(end.status, "rejected");
});

test("a place without the dialect says so", async () => {
  const only = parseQueryFile("q", "-- title: q\nSELECT 1", "q.sql");
  const runner = createQueryRunner({ ...place(), dialect: "bigquery" });
  await assert.rejects(
    runner.run(only, {}),
    (error) => error instanceof SlipwayError && error.code === "QUERY_DIALECT",
  );
});
