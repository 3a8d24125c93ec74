/** `bench/release-faults.bench.ts` runs more seeds, plants bugs and writes the matrix down. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CELLS } from "./faults.ts";
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
