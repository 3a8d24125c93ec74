import assert from "node:assert/strict";
import { test } from "node:test";
import type { Probe } from "@slipway/kube";
import { readinessWindowMs } from "./probe-window.ts";

const rows: readonly [what: string, readiness: Probe, startup: Probe | undefined, windowMs: number][] = [
  ["the API's defaults", {}, undefined, 27_000],
  ["a period of 1 s", { periodSeconds: 1 }, undefined, 4_500],
  ["an initial delay", { periodSeconds: 5, initialDelaySeconds: 10 }, undefined, 24_500],
  ["a slow probe", { periodSeconds: 10, timeoutSeconds: 5 }, undefined, 35_000],
  ["a failure threshold of 1 leaves no window", { failureThreshold: 1 }, undefined, 0],
  [
    "after a long startup probe only the period is left of the delay",
    { periodSeconds: 10, initialDelaySeconds: 30 },
    { periodSeconds: 10, failureThreshold: 30 },
    10_000 + 2_000 + 10_000 + 5_000,
  ],
  [
    "after a short startup probe the rest of the delay is left",
    { periodSeconds: 1, initialDelaySeconds: 60 },
    { periodSeconds: 1, failureThreshold: 3 },
    // S = 1 + 0 + 3·1 + 1 + 1 = 6; D = 61 − 6 = 55; + 2·1 + (3+1−3)·1 + 0.5
    58_500,
  ],
];

for (const [what, readinessProbe, startupProbe, windowMs] of rows) {
  test(`the readiness window of ${what} is ${windowMs} ms`, () => {
    const probes = { readinessProbe, ...(startupProbe === undefined ? {} : { startupProbe }) };
    assert.equal(readinessWindowMs({ name: "web", ...probes }), windowMs);
  });
}
