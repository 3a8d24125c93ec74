import assert from "node:assert/strict";
import { test } from "node:test";
import { killRounds } from "./kill.testing.ts";

test("killed at any moment, each line is stored once", { timeout: 300_000 }, async () => {
  const rounds = await killRounds({ kills: 5, lines: 40_000, seed: 5 });
  for (const { how, expected, stored } of rounds) assert.deepEqual(stored, expected, how);
  assert.equal(
    rounds.reduce((sum, { kills }) => sum + kills, 0),
    5,
  );
});
