import assert from "node:assert/strict";
import { test } from "node:test";
import { absolute, ago, clockMs } from "./time.ts";

test("times are relative to now, in the largest unit", () => {
  const now = 1_000_000_000;
  const table: readonly (readonly [number, string])[] = [
    [now, "just now"],
    [now + 1_500, "just now"],
    [now - 40_000, "40 s ago"],
    [now - 200_000, "3 min ago"],
    [now - 3 * 3_600_000 - 5, "3 h ago"],
    [now + 180_000, "in 3 min"],
  ];
  for (const [at, wanted] of table) assert.equal(ago(at, now).replaceAll("\u00a0", " "), wanted);
});

test("absolute times have every digit, in the reader's zone", () => {
  const at = new Date(2026, 2, 2, 4, 3, 7, 12).getTime();
  assert.equal(absolute(at), "2026-03-02 04:03:07");
  assert.equal(clockMs(at), "04:03:07.012");
});
