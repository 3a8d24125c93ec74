import assert from "node:assert/strict";
import { test } from "node:test";
import { FAULTS } from "./testing/fault-proxy.ts";
import { pushUnderFaults } from "./testing/push-under-faults.ts";

const SEEDS = 25;

test("a push and a pull come through every fault, and no range is sent twice beyond one chunk", async () => {
  const struck = Object.fromEntries(FAULTS.map((fault) => [fault, 0])) as Record<string, number>;
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const { broken, book } = await pushUnderFaults(seed);
    assert.deepEqual(broken, [], `seed ${seed}`);
    for (const fault of FAULTS) struck[fault] = (struck[fault] as number) + book.strikes[fault];
  }
  for (const fault of FAULTS) assert.ok((struck[fault] as number) > 0, `${fault} never struck`);
});
