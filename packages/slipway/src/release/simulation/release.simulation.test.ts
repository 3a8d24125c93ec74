/** `bench/release-faults.bench.ts` runs more seeds, and writes down the matrix and where each planted bug was caught. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { exec } from "@slipway/base";
import { CELLS } from "./faults.ts";
import { plantedBugs } from "./planted-bugs.ts";
import { describeRun, simulateRelease } from "./simulate.ts";

describe("a release under faults", () => {
  const struck = new Set<string>();

  test(`keeps its promises with every fault at every step, in ${CELLS.length} cells`, async () => {
    for (let seed = 0; seed < CELLS.length; seed += 1) {
      const run = await simulateRelease(seed);
      assert.equal(run.violation, undefined, describeRun(run));
      if (run.struckAt !== undefined) struck.add(`${run.fault} at ${run.struckAt}`);
    }
  });

  test("met every fault at every step", () => {
    const missing = CELLS.map(({ fault, step }) => `${fault} at ${step}`).filter((cell) => !struck.has(cell));
    assert.deepEqual(missing, []);
  });

  test("one seed is one run", async () => {
    assert.deepEqual((await simulateRelease(14)).log, (await simulateRelease(14)).log);
  });
});

/** Where a bug shows moves when the engine changes; then it is looked for in as many seeds as the benchmark takes. */
describe("a planted bug is caught", { concurrency: 2 }, () => {
  for (const { name, seed } of plantedBugs) {
    test(name, async () => {
      const near = await withBug(name, seed, 1);
      const told = near.startsWith("caught") ? near : await withBug(name, 0, 3 * CELLS.length);
      assert.match(told, /^caught at seed \d+: [a-z]+: /);
    });
  }
});

async function withBug(name: string, firstSeed: number, seeds: number): Promise<string> {
  const { stdout, stderr } = await exec([
    process.execPath,
    "--disable-warning=ExperimentalWarning",
    join(import.meta.dirname, "plant.ts"),
    name,
    String(firstSeed),
    String(seeds),
  ]);
  return stdout.trim() || stderr.trim();
}
