import assert from "node:assert/strict";
import { test } from "node:test";
import { ranges, spanOf } from "./ranges.ts";

test("a range ends at a round step, so that the same question is asked for as long as it is the same", () => {
  const minute = 60_000;
  assert.deepEqual(spanOf({ range: "1h" }, 100 * minute + 1), {
    from: 41 * minute,
    to: 101 * minute,
    stepMs: minute,
  });
  assert.deepEqual(
    spanOf({ range: "1h" }, 100 * minute + 9_000),
    spanOf({}, 100 * minute + 1),
    "1 h is the default",
  );
});

test("a chosen span has at most 120 steps", () => {
  for (const length of ranges.map(({ ms }) => ms)) {
    const { from, to, stepMs } = spanOf({ from: "1000", to: String(1_000 + length) }, 0);
    assert.deepEqual([from, to], [1_000, 1_000 + length]);
    assert.ok(length / stepMs <= 120);
  }
});
