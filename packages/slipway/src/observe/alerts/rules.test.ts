import assert from "node:assert/strict";
import { test } from "node:test";
import { targetOf } from "./rules.ts";
import { rulesForTests } from "./testing.ts";
import { percent, span } from "./words.ts";

test("what is always watched, and what a promise of latency adds", () => {
  assert.deepEqual(
    rulesForTests().map(({ name, severity }) => `${name} ${severity}`),
    ["first-5xx info", "availability page", "availability-budget ticket", "low-traffic-5xx page"],
  );
  const both = rulesForTests({ slo: { availability: 99.5, latency: { target: "300ms", ratio: 99 } } });
  assert.deepEqual(
    both.slice(4).map(({ name, text }) => `${name}: ${text}`),
    [
      "latency: 99 % of requests within 300 ms: the budget of 30 days burns 14.4× (1 h, 5 min) or 6× (6 h, 30 min) too fast",
      "latency-budget: 99 % of requests within 300 ms: the budget of 30 days burns 3× (1 d, 2 h) or 1× (3 d, 6 h) too fast",
    ],
  );
  assert.deepEqual(rulesForTests({ alerts: false }), []);
});

test("a service with a promise of its own is not watched by the general one too", () => {
  const rules = rulesForTests({ slo: { api: { availability: 99 } } }).filter(
    ({ name }) => name === "availability",
  );
  assert.deepEqual(
    rules.map(({ service, except }) => ({ service, except })),
    [
      { service: undefined, except: ["api"] },
      { service: "api", except: [] },
    ],
  );
  const target = targetOf({
    slo: { availability: 0.999, latency: undefined },
    sloOf: { api: { availability: undefined, latency: { targetMs: 200, ratio: 0.9 } } },
  });
  assert.deepEqual([target("api"), target("web")], [200, Number.POSITIVE_INFINITY]);
});

test("a promise whose threshold cannot be reached is refused, with the least that can be promised", () => {
  for (const availability of [50, 90, 93, 93.05]) {
    assert.throws(
      () => rulesForTests({ slo: { availability } }),
      (error: { code?: string; where?: string; hint?: string }) =>
        error.code === "ALERT_RULE" &&
        error.where === "observe/slo/availability" &&
        /more than 93.1 %/.test(error.hint ?? ""),
    );
  }
  assert.equal(rulesForTests({ slo: { availability: 93.1 } }).length, 4);
  assert.throws(() => rulesForTests({ slo: { api: { latency: { target: "1s", ratio: 80 } } } }), {
    where: "observe/slo/api/latency",
  });
});

test("windows that are not kept and names that say nothing are refused", () => {
  for (const alert of [
    { name: "a", errors: { above: 1, within: "4d" } },
    { name: "a", errors: { above: 1, within: "30s" } },
    { name: "a", p95: { above: "1s", within: "7h" } },
    { name: "a", noData: { for: "2d" } },
    { name: "availability", noData: { for: "10m" } },
    { name: "first-5xx", noData: { for: "10m" } },
  ]) {
    assert.throws(() => rulesForTests({ alerts: [alert] }), { code: "ALERT_RULE" }, JSON.stringify(alert));
  }
  const one = { name: "a", noData: { for: "10m" } };
  assert.throws(() => rulesForTests({ alerts: [one, one] }), /name of another rule/);
});

test("numbers in words", () => {
  assert.deepEqual([0.001, 0.0144, 0.123, 0.5, 0.999, 0.9995, 1, 1.44].map(percent), [
    "0.1 %",
    "1.44 %",
    "12.3 %",
    "50 %",
    "99.9 %",
    "99.95 %",
    "100 %",
    "144 %",
  ]);
  assert.deepEqual([300, 1_200, 90_000, 300_000, 21_600_000, 259_200_000].map(span), [
    "300 ms",
    "1.2 s",
    "1.5 min",
    "5 min",
    "6 h",
    "3 d",
  ]);
});
