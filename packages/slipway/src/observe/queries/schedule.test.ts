import assert from "node:assert/strict";
import { test } from "node:test";
import type { QueryAnswer } from "../warehouse/warehouse.ts";
import { type NamedQuery, parseQueryFile } from "./query-file.ts";
import { beyondThreshold, dueQueries, nextDue } from "./schedule.ts";

const scheduled = (cron: string, timeZone = "UTC"): NamedQuery =>
  parseQueryFile(
    "q",
    `-- title: q\n-- schedule: { cron: "${cron}", timeZone: ${timeZone} }\nSELECT 1`,
    "q.sql",
  );
const at = (text: string): number => Date.parse(text);

test("due at its time, in its own time zone", () => {
  const query = scheduled("0 9 * * *", "Asia/Tokyo");
  const since = at("2026-01-30T12:00:00Z");
  assert.deepEqual(dueQueries([query], new Map(), since, at("2026-01-30T23:59:59Z")), []);
  assert.deepEqual(
    dueQueries([query], new Map(), since, at("2026-01-31T00:00:00Z")).map((due) => due.at),
    [at("2026-01-31T00:00:00Z")],
  );
});

test("a night without a process is made up for once", () => {
  const query = scheduled("0 * * * *");
  const last = new Map([["q", at("2026-01-30T20:00:00Z")]]);
  const due = dueQueries([query], last, 0, at("2026-01-31T08:30:00Z"));
  assert.equal(due.length, 1);
  assert.equal(nextDue([query], new Map([["q", at("2026-01-31T08:30:00Z")]]), 0), at("2026-01-31T09:00:00Z"));
});

test("the hour that is there twice when summer ends runs once for each, and one that is not there at all is not lost", () => {
  const daily = scheduled("30 2 * * *", "Europe/Berlin");
  const spring = nextDue([daily], new Map(), at("2026-03-28T12:00:00Z"));
  // 02:30 does not exist on 29 March 2026 in Berlin: it comes at the end of the gap or at the same distance behind it.
  assert.ok(
    spring !== undefined && spring >= at("2026-03-29T01:00:00Z") && spring <= at("2026-03-29T02:00:00Z"),
  );
});

test("a clock that went back asks for nothing twice", () => {
  const query = scheduled("0 * * * *");
  const last = new Map([["q", at("2026-01-31T09:00:00Z")]]);
  assert.deepEqual(dueQueries([query], last, 0, at("2026-01-31T08:10:00Z")), []);
});

const answer: QueryAnswer = {
  columns: [
    { name: "service", type: "text" },
    { name: "p95", type: "number" },
  ],
  rows: [
    ["web", 400],
    ["checkout", 812],
    ["search", null],
  ],
  isTruncated: false,
  elapsedMs: 1,
  committed: 1,
};

test("each row beyond the threshold, by its text columns", () => {
  assert.deepEqual(beyondThreshold({ column: "p95", above: 500 }, answer), [
    { key: "checkout", value: 812, text: "checkout: p95 812, above 500" },
  ]);
  assert.deepEqual(
    beyondThreshold({ column: "p95", below: 500 }, answer).map(({ key }) => key),
    ["web"],
    "a row without a value is not below",
  );
  assert.equal(beyondThreshold({ rows: 0 }, answer).length, 3);
  assert.equal(beyondThreshold({ rows: 3 }, answer).length, 0);
  assert.throws(() => beyondThreshold({ column: "p59", above: 1 }, answer), /no column "p59"/);
});
