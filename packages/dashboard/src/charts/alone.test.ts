import assert from "node:assert/strict";
import { test } from "node:test";
import { alone } from "./alone.ts";

const TABLE: readonly (readonly [readonly (number | null)[], readonly number[] | undefined])[] = [
  [[7], [0]],
  [[0], [0]],
  [[null, 7, null], [1]],
  [
    [7, null, 8, 9, null, 3],
    [0, 5],
  ],
  [[7, 8], undefined],
  [[null], undefined],
  [[], undefined],
];

for (const [values, places] of TABLE)
  test(`of ${JSON.stringify(values)} a dot is needed at ${JSON.stringify(places)}`, () => {
    assert.deepEqual(alone(values), places);
  });
