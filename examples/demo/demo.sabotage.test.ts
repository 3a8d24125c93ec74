/** Nobody should have to believe the demo's zero: with one safeguard taken away, it must count failed requests. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { exec } from "@slipway/base";

for (const sabotage of ["no-prestop", "no-retry", "no-drain"]) {
  test(`the demo with ${sabotage} ends non-zero and counts failed requests`, async (t) => {
    const result = await exec([
      process.execPath,
      join(import.meta.dirname, "demo.ts"),
      "--sabotage",
      sabotage,
    ]);
    const text = result.stdout + result.stderr;
    const failed = [...text.matchAll(/(\d+) of \d+ requests failed/g)].reduce(
      (sum, match) => sum + Number(match[1]),
      0,
    );
    t.diagnostic(`report: ${sabotage}: ${failed} requests failed`);
    assert.equal(result.exitCode, 1, text);
    assert.ok(failed > 0, text);
    assert.match(text, /✗ not as it must be/);
  });
}
