import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FAULTS, FaultCounts, MANY_FAULTS, NO_FAULTS } from "./faults.ts";
import { PLANTED_BUGS } from "./planted-bugs.ts";
import { DISTURBANCES, describeFailure, STEPS, simulateRollout } from "./rollout.ts";

/** `bench/simulation.bench.ts` runs 1,000. */
const SEEDS = 200;
/** A bug that hides for longer is one that the checkers do not look for. */
const SEEDS_PER_BUG = 100;

describe("rollouts of 50 pods under faults", () => {
  const counts = new FaultCounts();
  const seen = new Set<string>();

  test(`keep the floor, the ceiling and the revisions, and converge, in ${SEEDS} seeds`, () => {
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const run = simulateRollout({ seed, faults: MANY_FAULTS });
      assert.equal(run.violation, undefined, describeFailure(run));
      counts.merge(run.world.faultCounts);
      seen.add(run.disturbance);
    }
  });

  test("met every fault in every step, and every disturbance", () => {
    const missing = STEPS.flatMap((step) =>
      FAULTS.filter((fault) => counts.of(step, fault) === 0).map((fault) => `${fault} in ${step}`),
    );
    assert.deepEqual(missing, []);
    assert.deepEqual([...seen].sort(), [...DISTURBANCES].sort());
  });
});

test("rollouts without faults keep the floor too", () => {
  for (let seed = 1; seed <= 40; seed += 1) {
    const run = simulateRollout({ seed, faults: NO_FAULTS });
    assert.equal(run.violation, undefined, describeFailure(run));
  }
});

test("one seed is one run, to the last line of its transcript", () => {
  const [first, second] = [
    simulateRollout({ seed: 7, faults: MANY_FAULTS }),
    simulateRollout({ seed: 7, faults: MANY_FAULTS }),
  ];
  assert.equal(first.world.transcript.render(), second.world.transcript.render());
  assert.equal(first.world.events, second.world.events);
});

describe("planted bugs are caught", () => {
  for (const bug of PLANTED_BUGS) {
    test(bug.name, () => {
      const { controllers, isProtected } = bug;
      for (let seed = 1; seed <= SEEDS_PER_BUG; seed += 1) {
        const run = simulateRollout({ seed, faults: MANY_FAULTS, controllers, isProtected });
        if (run.violation !== undefined) return;
      }
      assert.fail(`"${bug.name}" survived ${SEEDS_PER_BUG} seeds`);
    });
  }
});

describe("pods that are missed are noticed without looking at decisions", () => {
  const names = [
    "unavailable is rounded up",
    "readiness is ignored",
    "minReadySeconds is ignored",
    "pods that are ending still count",
    "the wrong pod dies first",
    "new pods count as available before they are",
    "old pods go before new ones are ready",
  ];
  for (const { name, controllers } of PLANTED_BUGS.filter((bug) => names.includes(bug.name))) {
    test(name, () => {
      for (let seed = 1; seed <= SEEDS_PER_BUG; seed += 1) {
        const without = ["decisions", "ceiling"];
        const run = simulateRollout({ seed, faults: MANY_FAULTS, controllers, without });
        if (run.violation?.checker === "floor") return;
      }
      assert.fail(`the floor held in ${SEEDS_PER_BUG} seeds although ${name}`);
    });
  }
});
