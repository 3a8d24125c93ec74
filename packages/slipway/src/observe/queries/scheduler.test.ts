import assert from "node:assert/strict";
import { test } from "node:test";
import { SlipwayError, VirtualClock } from "@slipway/base";
import type { QueryAnswer } from "../warehouse/warehouse.ts";
import type { QueryLibrary } from "./load.ts";
import { parseQueryFile } from "./query-file.ts";
import type { ScheduledRun } from "./schedule.ts";
import { createScheduler, type Report } from "./scheduler.ts";

const rows: QueryAnswer = {
  columns: [
    { name: "route", type: "text" },
    { name: "p95", type: "number" },
  ],
  rows: [["/slow", 900]],
  isTruncated: false,
  elapsedMs: 1,
  committed: 1,
};
const hourly = parseQueryFile(
  "hourly",
  '-- title: Hourly\n-- chart: { kind: bar, x: route, y: [p95] }\n-- schedule: { cron: "0 * * * *", report: true }\n-- threshold: { column: p95, above: 500 }\nSELECT 1',
  "hourly.sql",
);

const broken = (message: string): SlipwayError =>
  new SlipwayError({ code: "QUERY_FILE", where: "queries/hourly.sql:2", message });

async function stage(answer: () => Promise<QueryAnswer>, report?: (report: Report) => Promise<void>) {
  const clock = new VirtualClock(Date.UTC(2026, 0, 31, 8, 59, 0));
  const said: string[] = [];
  let stored: Readonly<Record<string, ScheduledRun>> = {};
  const files: { library: QueryLibrary } = { library: { queries: [hourly], problems: [] } };
  const open = () =>
    createScheduler({
      library: async () => files.library,
      runner: { run: answer },
      clock,
      memory: {
        read: async () => stored,
        write: async (runs) => {
          stored = runs;
        },
      },
      outlet: {
        failed: (query, problem) => said.push(`${query.name} failed: ${problem}`),
        gone: (name) => said.push(`${name} is gone`),
        unreadable: (problems) => {
          if (problems.length > 0)
            said.push(problems.map(({ message }) => `unreadable: ${message}`).join("; "));
        },
        beyond: (_query, beyond) => said.push(`beyond: ${beyond.map(({ text }) => text).join("; ")}`),
        report,
      },
    });
  return { clock, said, files, open, scheduler: await open() };
}

test("at its time: the threshold and the report, once", async () => {
  const reports: Report[] = [];
  const { clock, said, scheduler, open } = await stage(
    async () => rows,
    async (report) => void reports.push(report),
  );
  await scheduler.tick();
  assert.deepEqual(said, []);
  await clock.advance(60_000);
  await scheduler.tick();
  await scheduler.tick();
  assert.deepEqual(said, ["beyond: /slow: p95 900, above 500"]);
  assert.equal(reports.length, 1);
  assert.match(reports[0]?.text ?? "", /\/slow/);
  assert.match(reports[0]?.svg ?? "", /^<svg/);
  await (await open()).tick();
  assert.equal(reports.length, 1, "a new process does not repeat it");
});

test("a time that was missed before the first run is made up for, once", async () => {
  const { clock, said, scheduler, open } = await stage(async () => rows);
  await scheduler.tick();
  assert.equal(scheduler.lastRun("hourly"), undefined);
  await clock.advance(3 * 3_600_000);
  const next = await open();
  await next.tick();
  await next.tick();
  assert.deepEqual(said, ["beyond: /slow: p95 900, above 500"]);
  assert.equal(next.lastRun("hourly")?.ok, true);
});

test("a query that fails is told, and tried again at its next time", async () => {
  let fails = true;
  const { clock, said, scheduler } = await stage(async () => {
    if (fails) throw new Error("no such column");
    return rows;
  });
  await clock.advance(60_000);
  await scheduler.tick();
  assert.deepEqual(said, ["hourly failed: no such column"]);
  assert.equal(scheduler.lastRun("hourly")?.ok, false);
  fails = false;
  await clock.advance(3_600_000);
  await scheduler.tick();
  assert.equal(scheduler.lastRun("hourly")?.ok, true);
});

test("a report that cannot be sent is a failure of the run", async () => {
  const { clock, said, scheduler } = await stage(
    async () => rows,
    async () => Promise.reject(new Error("channel_not_found")),
  );
  await clock.advance(60_000);
  await scheduler.tick();
  assert.ok(said.includes("hourly failed: channel_not_found"));
});

test("a query whose file or schedule is taken away is told to be gone, once and by the next process too", async () => {
  const { clock, said, files, scheduler, open } = await stage(async () => rows);
  await clock.advance(60_000);
  await scheduler.tick();
  files.library = { queries: [{ ...hourly, schedule: undefined }], problems: [] };
  const next = await open();
  await next.tick();
  await next.tick();
  assert.deepEqual(said.slice(1), ["hourly is gone"]);
});

test("without its threshold nothing is beyond it any more", async () => {
  const { clock, said, files, scheduler } = await stage(async () => rows);
  await clock.advance(60_000);
  await scheduler.tick();
  files.library = { queries: [{ ...hourly, threshold: undefined }], problems: [] };
  await clock.advance(3_600_000);
  await scheduler.tick();
  assert.deepEqual(said, ["beyond: /slow: p95 900, above 500", "beyond: "]);
});

test("a file that cannot be read for a minute is told, and its query is not gone", async () => {
  const { clock, said, files, scheduler } = await stage(async () => rows);
  await clock.advance(60_000);
  await scheduler.tick();
  files.library = { queries: [], problems: [broken("no SQL")] };
  await scheduler.tick();
  files.library = { queries: [], problems: [broken("no head")] };
  for (let seconds = 0; seconds < 60; seconds += 5) {
    await scheduler.tick();
    await clock.advance(5_000);
  }
  assert.equal(said.length, 1);
  await scheduler.tick();
  await scheduler.tick();
  assert.deepEqual(said.slice(1), ["unreadable: no head"]);
});
