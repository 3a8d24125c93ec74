import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { SlipwayError, VirtualClock } from "@slipway/base";
import { startFakeSlack } from "../notify/slack/testing.ts";
import type { Signal } from "../observe/alerts/alert.ts";
import type { QueryLibrary } from "../observe/queries/load.ts";
import { parseQueryFile } from "../observe/queries/query-file.ts";
import type { QueryAnswer } from "../observe/warehouse/warehouse.ts";
import { openScheduled } from "./scheduled.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-scheduled-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const query = parseQueryFile(
  "slow",
  '-- title: Slow routes\n-- chart: { kind: bar, x: route, y: [p95] }\n-- schedule: { cron: "0 * * * *", report: true }\n-- threshold: { column: p95, above: 500 }\nSELECT 1',
  "queries/slow.sql",
);
const answerOf = (...rows: QueryAnswer["rows"]): QueryAnswer => ({
  columns: [
    { name: "route", type: "text" },
    { name: "p95", type: "number" },
  ],
  rows,
  isTruncated: false,
  elapsedMs: 1,
  committed: 1,
});

test("rows are alerts until they are gone, a failure is one until it runs again, and the report is a picture", async () => {
  const slack = await startFakeSlack();
  try {
    const clock = new VirtualClock(Date.UTC(2026, 0, 31, 8, 59));
    const reported = new Map<string, readonly Signal[]>();
    let answer = async (): Promise<QueryAnswer> => answerOf(["/a", 900], ["/b", 100]);
    const options = {
      queries: {
        library: async () => ({ queries: [query], problems: [] }),
        runner: { run: () => answer() },
      },
      alerts: {
        report: async (source: string, signals: readonly Signal[]) => void reported.set(source, signals),
      },
      slack: { channel: "#deploys", botToken: "xoxb-1", apiUrl: slack.url },
      file: join(folder, "scheduled.json"),
      clock,
      log: () => undefined,
    };
    const scheduler = await openScheduled(options);
    await clock.advance(60_000);
    await scheduler.tick();
    assert.deepEqual(
      reported.get("query slow rows")?.map(({ key, title }) => [key, title]),
      [["/a", "Slow routes: /a: p95 900, above 500"]],
    );
    assert.equal(slack.messages.length, 1);
    assert.ok(slack.calls.some(({ method }) => method === "upload"));

    answer = async () => Promise.reject(new Error("no column p95"));
    await clock.advance(3_600_000);
    await scheduler.tick();
    assert.equal(reported.get("query slow failed")?.[0]?.facts.at(-1)?.value, "no column p95");
    assert.equal(reported.get("query slow rows")?.length, 1, "nobody knows whether it is over");

    answer = async () => answerOf();
    await clock.advance(3_600_000);
    const again = await openScheduled(options);
    await again.tick();
    assert.deepEqual([reported.get("query slow failed"), reported.get("query slow rows")], [[], []]);
    const problem = new SlipwayError({ code: "QUERY_FILE", where: "queries/b.sql:2", message: "no head" });
    const library = async (): Promise<QueryLibrary> => ({ queries: [query], problems: [problem] });
    const files = await openScheduled({ ...options, queries: { ...options.queries, library } });
    await files.tick();
    await clock.advance(60_000);
    await files.tick();
    assert.deepEqual(
      reported.get("query files")?.map(({ rule, title }) => [rule, title]),
      [["query file", "queries/b.sql:2: its query does not run"]],
    );
    await (await openScheduled(options)).tick();
    assert.deepEqual(reported.get("query files"), []);
    assert.equal(slack.messages.length, 2, "the same hour is not reported twice");
  } finally {
    await slack.close();
  }
});
