import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatAge, formatDuration, parseDuration, writeDuration } from "./duration.ts";

test("durations are read with Go's units and d", () => {
  const table: readonly (readonly [string, number])[] = [
    ["0", 0],
    ["300ms", 300],
    ["2s", 2000],
    ["1m30s", 90_000],
    ["1.5h", 5_400_000],
    ["2d", 172_800_000],
    ["1h2m3s4ms", 3_723_004],
  ];
  for (const [text, ms] of table) assert.equal(parseDuration(text), ms, text);
});

test("durations are written as they can be read again", () => {
  const table: readonly (readonly [number, string])[] = [
    [0, "0"],
    [300, "300ms"],
    [1500, "1s500ms"],
    [60_000, "1m"],
    [90_000, "1m30s"],
    [5_400_000, "1h30m"],
    [2_592_000_000, "30d"],
  ];
  for (const [ms, text] of table) assert.equal(writeDuration(ms), text);
  fc.assert(fc.property(fc.nat(), (ms) => parseDuration(writeDuration(ms)) === ms));
});

test("what is not a duration is refused with its place", () => {
  for (const text of ["", "5", "s", "1 s", "-1s", "1s2", "1w", "1sm"]) {
    assert.throws(
      () => parseDuration(text, "release/bake"),
      { code: "DURATION_INVALID", where: "release/bake" },
      text,
    );
  }
});

test("durations and ages are written for people", () => {
  assert.deepEqual([0, 340, 2400, 65_000, 3_780_000].map(formatDuration), [
    "0 ms",
    "340 ms",
    "2.4 s",
    "1 min 05 s",
    "1 h 03 min",
  ]);
  const ages: readonly (readonly [number, string])[] = [
    [-5, "0s"],
    [119, "119s"],
    [120, "2m"],
    [200, "3m20s"],
    [720, "12m"],
    [3 * 3600 + 180, "3h3m"],
    [26 * 3600, "26h"],
    [4 * 86_400, "4d"],
    [800 * 86_400, "2y"],
  ];
  for (const [seconds, text] of ages) assert.equal(formatAge(seconds * 1000), text);
});
