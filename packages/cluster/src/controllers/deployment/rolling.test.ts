import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { newReplicas, type Size, shrinkOld, sum } from "./rolling.ts";
import { type Limits, resolveLimits } from "./strategy.ts";

function limits(replicas: number, surge: number | string, unavailable: number | string): Limits {
  const { maxSurge, maxUnavailable } = resolveLimits(replicas, surge, unavailable);
  return {
    replicas,
    maxSurge,
    maxUnavailable,
    maxTotal: replicas + maxSurge,
    minAvailable: replicas - maxUnavailable,
  };
}

describe("surge and unavailable as numbers", () => {
  const rows: readonly [number, number | string, number | string, number, number][] = [
    // replicas, maxSurge, maxUnavailable -> surge, unavailable
    [1, "25%", "25%", 1, 0],
    [2, "25%", "25%", 1, 0],
    [3, "25%", "25%", 1, 0],
    [4, "25%", "25%", 1, 1],
    [10, "25%", "25%", 3, 2],
    [50, "25%", "25%", 13, 12],
    [50, "10%", 0, 5, 0],
    [1, "10%", 0, 1, 0],
    [1, 0, "10%", 0, 1],
    [3, 0, "10%", 0, 1],
    [10, 0, 0, 0, 1],
    [10, 0, "9%", 0, 1],
    [0, 0, 0, 0, 0],
    [0, "25%", "25%", 0, 0],
    [10, 3, 5, 3, 5],
    [10, "100%", "100%", 10, 10],
    [10, 1, 20, 1, 10],
    [7, "50%", "50%", 4, 3],
    [100, "1%", "1%", 1, 1],
    [99, "1%", "1%", 1, 0],
    [101, "1%", "1%", 2, 1],
    [29, "100%", "0%", 29, 0],
  ];
  for (const [replicas, surge, unavailable, maxSurge, maxUnavailable] of rows) {
    test(`${replicas} replicas, ${surge}/${unavailable} -> ${maxSurge}/${maxUnavailable}`, () => {
      assert.deepEqual(resolveLimits(replicas, surge, unavailable), { maxSurge, maxUnavailable });
    });
  }
});

describe("the size of the new ReplicaSet", () => {
  const rows: readonly [number, number | string, number, number, number][] = [
    // replicas, maxSurge, old pods, new size now -> new size
    [10, 0, 10, 0, 0],
    [10, 2, 10, 0, 2],
    [10, 2, 5, 0, 7],
    [10, 2, 10, 2, 2],
    [10, 2, 2, 11, 10],
    [10, "25%", 10, 0, 3],
    [10, "25%", 0, 0, 10],
    [10, "25%", 8, 3, 5],
    [10, 0, 9, 0, 1],
    [10, 2, 20, 1, 1],
    [0, "25%", 0, 4, 0],
    [1, "25%", 1, 0, 1],
    [6, 10, 0, 2, 6],
    [5, 0, 0, 5, 5],
  ];
  for (const [replicas, surge, old, current, expected] of rows) {
    test(`${replicas} replicas, surge ${surge}: old ${old}, new ${current} -> ${expected}`, () => {
      assert.equal(newReplicas(limits(replicas, surge, "25%"), old + current, current), expected);
    });
  }
});

describe("how old ReplicaSets shrink", () => {
  interface Row {
    readonly what: string;
    readonly limits: Limits;
    readonly next: readonly [number, number];
    readonly old: readonly (readonly [number, number])[];
    readonly cleaned: readonly number[];
    readonly scaled: readonly number[];
  }
  // Sizes are [replicas, available].
  const rows: readonly Row[] = [
    {
      what: "nothing allowed is one allowed",
      limits: limits(10, 0, 0),
      next: [0, 0],
      old: [[10, 10]],
      cleaned: [10],
      scaled: [9],
    },
    {
      what: "available pods above the floor",
      limits: limits(10, 0, 2),
      next: [0, 0],
      old: [[10, 10]],
      cleaned: [10],
      scaled: [8],
    },
    {
      what: "unhealthy pods first, and then no more",
      limits: limits(10, 0, 2),
      next: [0, 0],
      old: [[10, 8]],
      cleaned: [8],
      scaled: [8],
    },
    {
      what: "one unhealthy and one spare",
      limits: limits(10, 0, 2),
      next: [0, 0],
      old: [[10, 9]],
      cleaned: [9],
      scaled: [8],
    },
    {
      what: "nothing, when the new pods are all the room there is",
      limits: limits(10, 0, 2),
      next: [2, 0],
      old: [[8, 8]],
      cleaned: [8],
      scaled: [8],
    },
    {
      what: "nothing, at the floor",
      limits: limits(10, "10%", 0),
      next: [1, 0],
      old: [[10, 10]],
      cleaned: [10],
      scaled: [10],
    },
    {
      what: "one for one that came",
      limits: limits(10, "10%", 0),
      next: [1, 1],
      old: [[10, 10]],
      cleaned: [10],
      scaled: [9],
    },
    {
      what: "a broken old version gives way as far as the new pods may all fail",
      limits: limits(10, 3, 2),
      next: [3, 0],
      old: [[10, 0]],
      cleaned: [8],
      scaled: [8],
    },
    {
      what: "the oldest first, in both steps",
      limits: limits(10, 3, 2),
      next: [3, 3],
      old: [
        [4, 3],
        [6, 5],
      ],
      cleaned: [3, 5],
      scaled: [0, 5],
    },
    {
      what: "nobody, while one old ReplicaSet has not caught up with its last scaling",
      limits: limits(10, 3, 2),
      next: [3, 3],
      old: [
        [4, 2],
        [5, 7],
      ],
      cleaned: [4, 5],
      scaled: [4, 5],
    },
    {
      what: "all, when the new one is complete",
      limits: limits(10, "25%", "25%"),
      next: [10, 10],
      old: [[3, 3]],
      cleaned: [3],
      scaled: [0],
    },
  ];
  for (const { what, limits: allowed, next, old, cleaned, scaled } of rows) {
    test(what, () => {
      const sizeOf = ([replicas, available]: readonly [number, number]): Size => ({ replicas, available });
      const { afterCleanup, afterScaleDown } = shrinkOld(allowed, sizeOf(next), old.map(sizeOf));
      assert.deepEqual([afterCleanup, afterScaleDown], [cleaned, scaled]);
    });
  }
});

/** One ReplicaSet: its size and how many of its pods are available, never more. */
const size = fc
  .tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 60 }))
  .map(([replicas, available]) => ({ replicas, available: Math.min(replicas, available) }));
const allowed = fc
  .tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 60 }))
  .map(([replicas, surge, unavailable]) => limits(replicas, surge, unavailable));

test("no step takes the available pods below the floor, or further below it", () => {
  fc.assert(
    fc.property(allowed, size, fc.array(size, { maxLength: 4 }), (bounds, next, old) => {
      const { afterScaleDown } = shrinkOld(bounds, next, old);
      // The pods that serve nobody die first, so of `replicas` pods min(replicas, available) go on serving.
      const before = sum(old.map(({ available }) => available)) + next.available;
      const after =
        sum(old.map(({ available }, index) => Math.min(available, afterScaleDown[index] ?? 0))) +
        next.available;
      assert.ok(after >= Math.min(before, bounds.minAvailable), `${before} -> ${after}`);
    }),
  );
});

test("the new ReplicaSet never grows through the ceiling, and never beyond what is wanted", () => {
  fc.assert(
    fc.property(
      allowed,
      fc.integer({ min: 0, max: 90 }),
      fc.integer({ min: 0, max: 90 }),
      (bounds, old, current) => {
        const wanted = newReplicas(bounds, old + current, current);
        assert.ok(wanted <= Math.max(bounds.replicas, 0));
        if (wanted > current) assert.ok(old + wanted <= bounds.maxTotal);
      },
    ),
  );
});

test("a rollout without faults ends, step by step", () => {
  fc.assert(
    fc.property(allowed, (bounds) => {
      let [old, next] = [bounds.replicas, 0];
      for (let step = 0; step < 4 * bounds.replicas + 4; step += 1) {
        next = newReplicas(bounds, old + next, next);
        old =
          shrinkOld(bounds, { replicas: next, available: next }, [{ replicas: old, available: old }])
            .afterScaleDown[0] ?? 0;
        assert.ok(old + next <= bounds.maxTotal);
      }
      assert.deepEqual([old, next], [0, bounds.replicas]);
    }),
  );
});
