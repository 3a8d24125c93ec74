import assert from "node:assert/strict";
import { test } from "node:test";
import { type ObserveConfig, observeOf } from "../../config/observe.ts";
import { collectorInputSchema, collectorUrl, handedOver, observeOfInput } from "./input.ts";

const throughJson = (observe: ObserveConfig): ObserveConfig =>
  observeOfInput(
    collectorInputSchema.parse(
      JSON.parse(
        JSON.stringify({
          ...{ service: "shop", environment: "production", namespace: "web", cluster: "tokyo" },
          ...{ readsReleases: true, slack: null, queries: [], observe: handedOver(observe) },
        }),
      ),
    ),
  );

const configurations: Readonly<Record<string, Parameters<typeof observeOf>[0]>> = {
  defaults: {},
  "alerts turned off": { alerts: false },
  "a promise about latency alone": { slo: { latency: { target: "300ms", ratio: 99 } } },
  "promises by service": { slo: { web: { availability: 99.5 }, api: {} } },
  "a rule of each kind": {
    alerts: [
      { name: "many", errors: { above: 50, within: "5m" }, service: "web" },
      { name: "slow", p95: { above: "800ms", within: "5m" } },
      { name: "slow-there", p95: { above: "800ms", within: "5m" }, each: "cluster" },
      { name: "silence", noData: { for: "10m" } },
    ],
  },
};

for (const [name, written] of Object.entries(configurations)) {
  test(`a collector watches what the configuration says: ${name}`, () => {
    const observe = observeOf(written) as ObserveConfig;
    assert.deepEqual(throughJson(observe), observe);
  });
}

test("the address of a Service of either family", () => {
  assert.equal(collectorUrl("10.96.0.7"), "https://10.96.0.7:9443");
  assert.equal(new URL(collectorUrl("fd00::7")).host, "[fd00::7]:9443");
});
