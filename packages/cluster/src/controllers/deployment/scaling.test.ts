import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { scaleProportionally } from "./scaling.ts";
import type { Limits } from "./strategy.ts";

function bounds(replicas: number, maxSurge = 0): Limits {
  return {
    replicas,
    maxSurge,
    maxUnavailable: 1,
    maxTotal: replicas + maxSurge,
    minAvailable: Math.max(0, replicas - 1),
  };
}

/** Sizes from the oldest to the newest; `before` is the ceiling that all of them remember. */
function scale(
  limits: Limits,
  before: number | undefined,
  sizes: readonly number[],
  statusReplicas = 0,
): readonly number[] {
  const shares = sizes.map((replicas, index) => ({
    name: `v${index + 1}`,
    replicas,
    maxReplicasBefore: before,
    createdAt: `2026-01-0${index + 1}T00:00:00Z`,
  }));
  const result = scaleProportionally(limits, shares, statusReplicas);
  return shares.map(({ name }) => result.get(name) ?? -1);
}

describe("a change of replicas in the middle of a rolling update", () => {
  const rows: readonly [string, Limits, number | undefined, readonly number[], readonly number[]][] = [
    ["5 -> 10", bounds(10), 5, [3, 2], [6, 4]],
    ["5 -> 3", bounds(3), 5, [3, 2], [2, 1]],
    ["9 -> 4, the small one goes", bounds(4), 9, [1, 8], [0, 4]],
    ["7 -> 10, three sizes", bounds(10), 7, [2, 3, 2], [3, 4, 3]],
    ["13 -> 8, three sizes", bounds(8), 13, [3, 8, 2], [2, 5, 1]],
    ["3 -> 4, what is left over goes to the newest of equals", bounds(4), 3, [1, 1, 1], [1, 1, 2]],
    ["3 -> 2, what is too much is taken from the oldest of equals", bounds(2), 3, [1, 1, 1], [0, 1, 1]],
    ["5 -> 0", bounds(0), 5, [1, 1, 3], [0, 0, 0]],
    ["the ceiling counts, not the replicas", bounds(15, 3), 13, [8, 5], [11, 7]],
    ["unchanged at the ceiling", bounds(10, 3), 13, [8, 5], [8, 5]],
    ["only the surge changed", bounds(10, 5), 12, [8, 4], [10, 5]],
    ["without an annotation the status counts", bounds(10), undefined, [3, 2], [6, 4]],
    ["1 -> 100", bounds(100, 25), 2, [1, 1], [62, 63]],
  ];
  for (const [what, limits, before, sizes, expected] of rows) {
    test(what, () => {
      const statusReplicas = before === undefined ? 5 : 0;
      assert.deepEqual(scale(limits, before, sizes, statusReplicas), expected);
    });
  }
});

test("together they fill the new ceiling exactly, and none is negative", () => {
  const whole = fc.integer({ min: 1, max: 80 });
  fc.assert(
    fc.property(
      whole,
      fc.integer({ min: 0, max: 20 }),
      fc.array(whole, { minLength: 2, maxLength: 4 }),
      (replicas, surge, sizes) => {
        const before = sizes.reduce((total, part) => total + part, 0);
        const after = scale(bounds(replicas, surge), before, sizes);
        assert.equal(
          after.reduce((total, part) => total + part, 0),
          replicas + surge,
        );
        assert.ok(after.every((part) => part >= 0));
      },
    ),
  );
});
