import assert from "node:assert/strict";
import { test } from "node:test";
import { ring } from "./ring.ts";

test("the newest stay, and never more than the most", () => {
  const held = [1, 2, 3];
  assert.equal(ring(held, [], 3), held);
  assert.deepEqual(ring(held, [4], 4), [1, 2, 3, 4]);
  assert.deepEqual(ring(held, [4, 5], 3), [3, 4, 5]);
  assert.deepEqual(ring(held, [4, 5, 6, 7], 2), [6, 7]);
});
