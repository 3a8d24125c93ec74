/** `bench/release-faults.bench.ts` runs more seeds and writes the matrix down. */
import assert from "node:assert/strict";
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

describe("planted bugs are caught", () => {
  for (const { name } of plantedBugs) {
    test(name, async () => {
      const program = `${import.meta.dirname}/plant.ts`;
      const { stdout, stderr } = await exec([
        process.execPath,
        "--disable-warning=ExperimentalWarning",
        program,
        name,
        "0",
        String(2 * CELLS.length),
      ]);
      assert.match(stdout, /^caught at seed/, `${stdout}${stderr}`);
    });
  }
});
