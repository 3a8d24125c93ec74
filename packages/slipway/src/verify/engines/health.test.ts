import assert from "node:assert/strict";
import { test } from "node:test";
import type { HealthcheckSpec } from "./engine.ts";
import { afterProbe, freshHealth, type Health, probeDelay } from "./health.ts";

const check: HealthcheckSpec = {
  test: ["true"],
  intervalMs: 1000,
  timeoutMs: 500,
  startPeriodMs: 0,
  retries: 2,
};
const START = 10_000;

/** Each step is the time after the start at which a probe ended, and its exit code. */
function after(
  over: Partial<HealthcheckSpec>,
  ...steps: readonly (readonly [number, number | undefined])[]
): Health {
  let health = freshHealth(START);
  for (const [atMs, exitCode] of steps)
    health = afterProbe(
      { ...check, ...over },
      health,
      { exitCode, output: "", endedAtMs: START + atMs },
      START,
    );
  return health;
}

const cases: readonly (readonly [string, Health["status"], Health])[] = [
  ["the first success makes it healthy", "healthy", after({}, [5, 0])],
  ["early failures do not count", "starting", after({}, [100, 1], [300, 1], [500, 1], [900, 1])],
  ["one failure for each interval counts", "unhealthy", after({}, [1000, 1], [2000, 1])],
  ["one failure less is still starting", "starting", after({}, [1000, 1], [1200, 1])],
  ["a success takes the failures away", "healthy", after({}, [1000, 1], [1500, 0], [2600, 1])],
  ["a healthy one needs all retries to be unhealthy", "unhealthy", after({}, [5, 0], [1005, 1], [2005, 1])],
  ["it may become healthy again", "healthy", after({}, [1000, 1], [2000, 1], [3000, 0])],
  ["a timeout is a failure", "unhealthy", after({}, [1000, undefined], [2000, undefined])],
  [
    "nothing counts in the start period",
    "starting",
    after({ startPeriodMs: 5000 }, [1000, 1], [2000, 1], [4900, 1]),
  ],
  [
    "after the start period it counts",
    "unhealthy",
    after({ startPeriodMs: 1500 }, [1000, 1], [2000, 1], [3000, 1]),
  ],
];
for (const [what, expected, health] of cases) test(what, () => assert.equal(health.status, expected));

test("who is starting is asked often, others each interval", () => {
  assert.equal(probeDelay(check, freshHealth(START)), 200);
  assert.equal(probeDelay({ ...check, intervalMs: 50 }, freshHealth(START)), 50);
  assert.equal(probeDelay(check, after({}, [5, 0])), 1000);
});
