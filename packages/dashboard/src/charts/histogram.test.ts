import assert from "node:assert/strict";
import { test } from "node:test";
import { bucketMs, shares, ticks } from "./histogram.ts";

test("two sides are compared by share, not by count", () => {
  assert.equal(bucketMs(8), 2);
  assert.equal(shares([[], [0, 0]]), undefined);
  assert.deepEqual(
    shares([
      [0, 0, 10, 30],
      [0, 0, 0, 2, 2],
    ]),
    {
      first: 2,
      last: 4,
      sides: [
        [1, 0],
        [0.5, 0.5],
      ],
      highest: 1,
    },
  );
});

test("ticks are round", () => {
  assert.deepEqual(ticks(3, 120), [5, 10, 20, 50, 100]);
});
