import assert from "node:assert/strict";
import { test } from "node:test";
import { SlipwayError } from "@slipway/base";
import { parseQueryFile } from "../../observe/queries/query-file.ts";
import type { QueryAnswer } from "../../observe/warehouse/warehouse.ts";
import { handedQueries, queriesToHand } from "./queries.ts";

const text = (schedule: string): string =>
  `-- title: Slow\n-- parameters: { above: { type: number, default: 5 } }\n${schedule}SELECT $above AS above\n`;
const scheduled = text('-- schedule: { cron: "0 9 * * *", timeZone: Asia/Tokyo }\n');
const libraryOf = (files: Readonly<Record<string, string>>) => ({
  queries: Object.entries(files).map(([name, file]) => parseQueryFile(name, file, `queries/${name}.sql`)),
  problems: [],
});

test("those with a schedule arrive as they are, and run there", async () => {
  const files = { daily: scheduled, asked: text("") };
  const handed = queriesToHand(libraryOf(files), ({ name }) => files[name as keyof typeof files]);
  assert.deepEqual(
    handed.map(({ name }) => name),
    ["daily"],
  );
  const asked: unknown[] = [];
  const answer: QueryAnswer = { columns: [], rows: [], isTruncated: false, elapsedMs: 0, committed: 1 };
  const there = handedQueries(JSON.parse(JSON.stringify(handed)), {
    figures: () => ({ committed: 1 }) as never,
    query: async (sql, parameters) => {
      asked.push(sql, parameters);
      return answer;
    },
  });
  const [query] = (await there.library()).queries;
  assert.equal(query?.schedule?.timeZone, "Asia/Tokyo");
  assert.equal(await there.runner.run(query as never, { above: 5 }), answer);
  assert.deepEqual(asked, ["SELECT $above AS above", { above: 5 }]);
});

test("too much is refused with the largest, and a broken file with its own words", () => {
  const files = { small: scheduled, large: `${scheduled}${"-- more\n".repeat(40_000)}` };
  assert.throws(
    () => queriesToHand(libraryOf(files), ({ name }) => files[name as keyof typeof files]),
    (error) =>
      error instanceof SlipwayError &&
      error.code === "OBSERVE_QUERIES" &&
      error.where === "queries/large.sql",
  );
  const problem = new SlipwayError({ code: "QUERY_FILE", where: "queries/x.sql:1", message: "no head" });
  assert.throws(() => queriesToHand({ queries: [], problems: [problem] }, () => ""), problem);
});
