import assert from "node:assert/strict";
import { test } from "node:test";
import { contested } from "./contest.ts";

function afterAll(applied: number, seen: readonly number[]): string | undefined {
  const memory = new Map<string, number>();
  let found: string | undefined;
  for (const replicas of seen) found = contested(replicas, applied, memory)?.code;
  return found;
}

const rows: readonly (readonly [string, number, readonly number[], string | undefined])[] = [
  ["nobody changes them", 3, [3, 3, 3], undefined],
  ["an autoscaler follows the load up", 2, [2, 4, 8, 10], undefined],
  ["an autoscaler takes back what it gave", 2, [2, 6, 6, 4], undefined],
  ["two go back and forth", 2, [2, 5, 2, 5], "ReplicasContested"],
];

for (const [what, applied, seen, code] of rows) {
  test(`when ${what}, ${code ?? "it is no contest"}`, () => {
    assert.equal(afterAll(applied, seen), code);
  });
}
