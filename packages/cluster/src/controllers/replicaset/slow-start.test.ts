import assert from "node:assert/strict";
import { test } from "node:test";
import { slowStartBatches } from "./slow-start.ts";

const cases: [count: number, sizes: number[]][] = [
  [0, []],
  [1, [1]],
  [2, [1, 1]],
  [3, [1, 2]],
  [4, [1, 2, 1]],
  [7, [1, 2, 4]],
  [8, [1, 2, 4, 1]],
  [10, [1, 2, 4, 3]],
  [500, [1, 2, 4, 8, 16, 32, 64, 128, 245]],
];

for (const [count, sizes] of cases) {
  test(`${count} pods are created in ${sizes.length} batches: ${sizes.join(", ") || "none"}`, () => {
    assert.deepEqual(slowStartBatches(count), sizes);
  });
}
