import assert from "node:assert/strict";
import { test } from "node:test";
import { observeOf, observeSchema } from "./observe.ts";

test("a promise that burn rates cannot watch is refused where it is written", () => {
  const isTaken = (slo: unknown): boolean => observeSchema.safeParse({ slo }).success;
  const promises: readonly (readonly [unknown, boolean])[] = [
    [{ availability: 99.9 }, true],
    [{ availability: 93.1 }, true],
    // 14.4 · 7 % is 100.8 % of the requests.
    [{ availability: 93 }, false],
    [{ latency: { target: "300ms", ratio: 95 } }, true],
    [{ latency: { target: "300ms", ratio: 80 } }, false],
    [{ api: { availability: 50 } }, false],
  ];
  for (const [slo, expected] of promises) assert.equal(isTaken(slo), expected, JSON.stringify(slo));
});

test("the dashboard is on loopback under no name but localhost, until it is told otherwise", () => {
  assert.deepEqual(observeOf(undefined)?.dashboard, { port: 0, host: "127.0.0.1", names: [] });
  const dashboard = { port: 7070, host: "0.0.0.0", names: ["ops.example.com"] };
  assert.deepEqual(observeOf(observeSchema.parse({ dashboard }))?.dashboard, dashboard);
});
