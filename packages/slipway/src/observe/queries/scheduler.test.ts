import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "@slipway/base";
import type { QueryAnswer } from "../warehouse/warehouse.ts";
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

async function stage(answer: () => Promise<QueryAnswer>, report?: (report: Report) => Promise<void>) {
  const clock = new VirtualClock(Date.UTC(2026, 0, 31, 8, 59, 0));
  const said: string[] = [];
  let stored: Readonly<Record<string, ScheduledRun>> = {};
  const open = () =>
    createScheduler({
      library: async () => ({ queries: [hourly], problems: [] }),
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
        beyond: (_query, beyond) => said.push(`beyond: ${beyond.map(({ text }) => text).join("; ")}`),
        report,
      },
    });
  return { clock, said, open, scheduler: await open() };
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
