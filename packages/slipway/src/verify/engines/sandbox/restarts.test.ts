import assert from "node:assert/strict";
import { test } from "node:test";
import type { ServiceSpec } from "../engine.ts";
import { isRestarted, restartDelay } from "./restarts.ts";

const policies: readonly (readonly [ServiceSpec["restart"], number, boolean])[] = [
  ["no", 0, false],
  ["no", 1, false],
  ["always", 0, true],
  ["always", 1, true],
  ["unless-stopped", 0, true],
  ["on-failure", 0, false],
  ["on-failure", 137, true],
];
for (const [policy, exitCode, expected] of policies) {
  test(`${policy} after ${exitCode}: ${expected ? "again" : "not again"}`, () =>
    assert.equal(isRestarted(policy, exitCode), expected));
}

test("the wait doubles up to a minute, and begins anew after a steady run", () => {
  let wait = restartDelay(undefined, 5);
  const waits = [wait];
  for (let round = 0; round < 10; round += 1) {
    wait = restartDelay(wait, 5);
    waits.push(wait);
  }
  assert.deepEqual(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000]);
  assert.equal(restartDelay(60_000, 10_000), 100);
});
