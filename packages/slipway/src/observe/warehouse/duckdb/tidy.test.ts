import assert from "node:assert/strict";
import { test } from "node:test";
import type { SealedFile } from "./sealed.ts";
import { DAY_MS, dayOf, filesToDrop, type HotDay, type Keep, sealsDue } from "./tidy.ts";

const HOUR = 3_600_000;
const TODAY = Date.UTC(2026, 10, 28);
const KEEP: Keep = { keepForMs: 30 * DAY_MS, maxBytes: 1000, graceMs: HOUR };

const hot = (daysAgo: number, rows = 10, kind: HotDay["kind"] = "access"): HotDay => ({
  kind,
  from: TODAY - daysAgo * DAY_MS,
  rows,
});
const file = (daysAgo: number, sealedAt: number, bytes = 100): SealedFile => ({
  file: `${daysAgo}`,
  kind: "access",
  day: dayOf(TODAY - daysAgo * DAY_MS),
  rows: 1,
  bytes,
  oldest: TODAY - daysAgo * DAY_MS,
  newest: TODAY - daysAgo * DAY_MS + DAY_MS - 1,
  sealedAt,
});
const days = (seals: ReturnType<typeof sealsDue>): string[] =>
  seals.map(({ kind, day, from }) => `${kind} ${day}${from === undefined ? " and before" : ""}`);

test("a day is sealed when it is over, and the grace too", () => {
  assert.deepEqual(days(sealsDue([hot(0), hot(1)], [], KEEP, TODAY + HOUR - 1)), []);
  assert.deepEqual(days(sealsDue([hot(0), hot(1)], [], KEEP, TODAY + HOUR)), ["access 2026-11-27"]);
});

test("a day ahead of the clock is left alone", () => {
  assert.deepEqual(days(sealsDue([hot(-400)], [], KEEP, TODAY + HOUR)), []);
});

test("late lines of a sealed day wait until they are many, or a day has passed", () => {
  const now = TODAY + 5 * HOUR;
  const sealed = [file(1, TODAY + HOUR)];
  assert.deepEqual(days(sealsDue([hot(1)], sealed, KEEP, now)), []);
  assert.deepEqual(days(sealsDue([hot(1, 100_000)], sealed, KEEP, now)), ["access 2026-11-27"]);
  assert.deepEqual(days(sealsDue([hot(1)], sealed, KEEP, TODAY + 21 * HOUR)), ["access 2026-11-27"]);
});

test("a log with dates from everywhere makes few files", () => {
  const many = Array.from({ length: 300 }, (_, index) => hot(index + 1));
  const seals = sealsDue([...many, hot(3, 1, "logs")], [], KEEP, TODAY + HOUR);
  assert.equal(seals.length, 10);
  assert.deepEqual(days(seals).slice(0, 2), ["access 2026-11-19 and before", "access 2026-11-20"]);
  assert.equal(days(seals).at(-1), "logs 2026-11-25");
});

test("a file goes when both its rows and its sealing are old: an import of old logs is kept as long", () => {
  const sealed = [file(40, TODAY - 39 * DAY_MS), file(41, TODAY - DAY_MS), file(20, TODAY - 19 * DAY_MS)];
  assert.deepEqual(
    filesToDrop(sealed, 0, KEEP, TODAY).map(({ file }) => file),
    ["40"],
  );
});

test("the oldest go until the rest has room", () => {
  const sealed = [file(3, TODAY, 300), file(1, TODAY, 300), file(2, TODAY, 300)];
  assert.deepEqual(filesToDrop(sealed, 100, KEEP, TODAY), []);
  assert.deepEqual(
    filesToDrop(sealed, 500, KEEP, TODAY).map(({ file }) => file),
    ["3", "2"],
  );
});
