import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Signal } from "./alert.ts";
import { T0, Watched } from "./testing.ts";

const MINUTE = 60;
const HOUR = 3600;

/** Seconds of the first change of this kind for a rule; undefined when there was none. */
function when(watched: Watched, kind: string, rule: string): number | undefined {
  return watched.told.find((one) => one.kind === kind && one.alert.rule === rule)?.at;
}

/** Seconds until somebody is called. */
function called(watched: Watched): number | undefined {
  return watched.told.find(
    ({ kind, alert }) => (kind === "opened" || kind === "graver") && alert.severity === "page",
  )?.at;
}

test("every request fails: somebody is called within a minute", () => {
  for (const [perSecond, atMost] of [
    [100, 60],
    [10, 60],
    [1, 60],
    [0.2, 60],
  ] as const) {
    const watched = new Watched();
    watched.past(3 * 24 * 60, perSecond * 60);
    watched.run(2 * MINUTE, { perSecond, failing: 1 });
    const seconds = called(watched);
    assert.ok(seconds !== undefined && seconds <= atMost, `${perSecond}/s: ${seconds}`);
    // The first failures were told at once; the page is the same incident, graver.
    assert.equal(watched.memory.alerts.length, 1);
    assert.ok((when(watched, "opened", "first-5xx") ?? 99) <= 1 / perSecond + 1);
  }
});

test("silent at most 5.5 min after recovery, however long it lasted", () => {
  for (const minutes of [1, 2, 5, 30, 120]) {
    const watched = new Watched();
    watched.past(3 * 24 * 60, 600);
    watched.run(minutes * MINUTE, { perSecond: 10, failing: 1 });
    assert.deepEqual(watched.open(), ["availability"], `${minutes} min`);
    const recovered = watched.seconds;
    watched.run(30 * MINUTE, { perSecond: 10 });
    const resolved = when(watched, "resolved", "availability") ?? Number.POSITIVE_INFINITY;
    assert.ok(resolved - recovered <= 330, `${minutes} min: ${resolved - recovered} s`);
    assert.deepEqual(watched.open(), [], "and no ticket after what is over");
  }
});

test("how soon a share of failing requests calls somebody, at 99.9 % and 10 requests/s", () => {
  // Share · t / window > factor · 0.1 %, so t = factor · 0.1 % · window / share.
  const table: readonly (readonly [failing: number, fromS: number, toS: number])[] = [
    [1, 45, 60],
    [0.5, 90, 120],
    // 1.44 % of an hour, at 10 %: 518 s.
    [0.1, 460, 530],
    // Under 14.4×: 0.6 % of 6 h at 1 %: 3.6 h.
    [0.01, 3.5 * HOUR, 3.7 * HOUR],
  ];
  for (const [failing, from, to] of table) {
    const watched = new Watched();
    watched.past(3 * 24 * 60, 600);
    watched.run(to + MINUTE, { perSecond: 10, failing }, 5);
    const seconds = called(watched) ?? -1;
    assert.ok(seconds >= from && seconds <= to, `${failing}: ${seconds} s`);
  }
});

test("a slow burn becomes a ticket and calls nobody", () => {
  const watched = new Watched();
  watched.past(3 * 24 * 60, 600);
  // 0.4 % fail: under the 0.6 % of 6×, over the 0.3 % of 3× after 18 of 24 hours, and an hour to be sure.
  watched.run(20 * HOUR, { perSecond: 10, failing: 0.004 }, 60);
  assert.equal(called(watched), undefined);
  const [first] = watched.told.filter(({ alert }) => alert.severity === "ticket");
  assert.equal(first?.alert.rule, "availability-budget");
});

test("what is within the promise calls nobody: 0.05 % for a day is told once, as the release's first", () => {
  const watched = new Watched();
  watched.past(3 * 24 * 60, 600);
  watched.run(24 * HOUR, { perSecond: 10, failing: 0.0005 }, 30);
  const opened = watched.told.filter(({ kind }) => kind === "opened");
  assert.deepEqual(
    opened.map(({ alert }) => alert.rule),
    ["first-5xx"],
  );
});

test("1 error in 50 requests does not call", () => {
  const watched = new Watched();
  watched.run(5 * MINUTE, { perSecond: 49 / 300 });
  watched.requests([{ status: 500 }]);
  watched.run(10 * MINUTE, { perSecond: 1 / 6 });
  assert.equal(called(watched), undefined);
  assert.deepEqual(
    watched.told.filter(({ kind }) => kind === "opened").map(({ alert }) => alert.severity),
    ["info"],
  );
});

test("so little traffic that no ratio says anything: an absolute number of failures calls", () => {
  // 37 requests a day, 90 % of them failing for days, as a home service had it without anybody being called.
  const watched = new Watched();
  watched.run(10 * HOUR, { perSecond: 37 / 86_400, failing: 0.9 }, 10);
  const seconds = called(watched);
  assert.equal(watched.told.find(({ at }) => at === seconds)?.alert.rule, "low-traffic-5xx");
  // One in 39 min: the sixth request has the fifth failure.
  assert.ok(seconds !== undefined && seconds <= 4 * HOUR, `${seconds}`);
  // And 0.5 requests/s with 90 % failing, which is enough for the burn rate.
  const busier = new Watched();
  busier.past(3 * 24 * 60, 30);
  busier.run(2 * MINUTE, { perSecond: 0.5, failing: 0.9 });
  assert.ok((called(busier) ?? 999) <= 65);
});

test("the absolute rule is silent where traffic is enough for ratios, and ends when it is well again", () => {
  const busy = new Watched();
  busy.past(3 * 24 * 60, 600);
  busy.run(HOUR, { perSecond: 10, failing: 0.0005 }, 10);
  assert.equal(called(busy), undefined);
  const quiet = new Watched();
  quiet.past(6 * 60, 1);
  quiet.requests(Array.from({ length: 5 }, () => ({ status: 500 })));
  assert.ok(called(quiet) !== undefined);
  quiet.run(50 * MINUTE, { perSecond: 1 / 60 }, 10);
  assert.deepEqual(quiet.open(), ["low-traffic-5xx"]);
  quiet.run(15 * MINUTE, { perSecond: 1 / 60 }, 10);
  assert.deepEqual(quiet.open(), []);
});

test("the first 5xx of a release is told at once, and once", () => {
  const watched = new Watched();
  watched.run(HOUR, { perSecond: 10 }, 60);
  watched.requests([{ status: 500, source: 2 }]);
  const [alert] = watched.memory.alerts;
  assert.deepEqual(
    [alert?.title, alert?.release, alert?.samples.length, alert?.openedAt],
    ["web: first 5xx of release 2", 2, 1, watched.now],
  );
  watched.run(6 * MINUTE, { perSecond: 10 });
  assert.deepEqual(watched.open(), []);
  // Again within half an hour: the same incident. After that it is no news.
  watched.requests([{ status: 500, source: 2 }]);
  assert.deepEqual(watched.open(), ["first-5xx"]);
  watched.run(HOUR, { perSecond: 10 }, 10);
  watched.requests([{ status: 500, source: 2 }]);
  assert.deepEqual(watched.open(), []);
  // Another release has a first of its own.
  watched.requests([{ status: 500, source: 3 }]);
  assert.deepEqual(
    watched.told.filter(({ kind }) => kind === "opened").map(({ alert: { title } }) => title),
    ["web: first 5xx of release 2", "web: first 5xx of release 3"],
  );
});

test("the release that nearly all failures come from is named, otherwise none", () => {
  for (const [shares, expected] of [
    [[0.9, 0.01], 2],
    [[0.5, 0.5], undefined],
  ] as const) {
    const watched = new Watched();
    watched.past(24 * 60, 600);
    // The first failures are those of both releases, and old.
    watched.requests([{ status: 500 }, { status: 500, source: 2 }]);
    watched.run(HOUR, { perSecond: 10 }, 60);
    watched.run(5 * MINUTE, [
      { perSecond: 10, failing: shares[0], source: 2 },
      { perSecond: 10, failing: shares[1], source: 1 },
    ]);
    assert.equal(watched.memory.alerts.find(({ rule }) => rule === "availability")?.release, expected);
  }
});

test("latency: the share of slow requests burns a budget of its own", () => {
  const watched = new Watched({ slo: { latency: { target: "300ms", ratio: 99 } } });
  watched.past(3 * 24 * 60, 600);
  watched.run(30 * MINUTE, { perSecond: 10, slow: 0.05 }, 5);
  assert.deepEqual(watched.heard(), []);
  watched.run(30 * MINUTE, { perSecond: 10, slow: 0.9 }, 5);
  assert.deepEqual(watched.open(), ["latency"]);
  assert.match(watched.memory.alerts[0]?.title ?? "", /^web: .* % of requests take longer than 300 ms$/);
});

test("the release that nearly all slow requests come from is named", () => {
  for (const [shares, expected] of [
    [[0.9, 0.01], 2],
    [[0.5, 0.5], undefined],
  ] as const) {
    const watched = new Watched({ slo: { latency: { target: "300ms", ratio: 99 } } });
    watched.past(3 * 24 * 60, 600);
    watched.run(30 * MINUTE, [
      { perSecond: 10, slow: shares[0], source: 2 },
      { perSecond: 10, slow: shares[1], source: 1 },
    ]);
    assert.equal(watched.memory.alerts.find(({ rule }) => rule === "latency")?.release, expected);
  }
});

test("rules of the configuration: a number of failures, p95, silence", () => {
  const watched = new Watched({
    slo: { availability: 95 },
    alerts: [
      { name: "ten", errors: { above: 10, within: "5m" }, service: "web" },
      { name: "other", errors: { above: 0, within: "5m" }, service: "api" },
      { name: "slow", p95: { above: "500ms", within: "5m" } },
      { name: "silence", noData: { for: "10m" } },
    ],
  });
  watched.run(MINUTE, { perSecond: 10 });
  watched.requests(Array.from({ length: 10 }, () => ({ status: 500 })));
  assert.equal(called(watched), undefined);
  watched.requests([{ status: 500 }]);
  assert.deepEqual(watched.open(), ["ten"]);
  watched.run(7 * MINUTE, { perSecond: 10, slow: 0.2 });
  assert.deepEqual(watched.open(), ["slow"]);
  watched.run(11 * MINUTE, { perSecond: 0 });
  assert.ok(watched.open().includes("silence"));
  assert.match(watched.told.at(-1)?.alert.title ?? "", /^web: no request in tokyo for 10 min$/);
  watched.run(MINUTE, { perSecond: 10 });
  assert.deepEqual(watched.open(), []);
});

test("a rule of each cluster, or of each release, sees what is little of all", () => {
  const rules = [
    { name: "ten", errors: { above: 10, within: "5m" } },
    { name: "slow", p95: { above: "500ms", within: "5m" } },
  ] as const;
  for (const [each, source, place] of [
    [undefined, 11, undefined],
    ["cluster", 11, ["osaka", 1, "web in osaka"]],
    ["release", 2, ["", 2, "web, release 2"]],
  ] as const) {
    const watched = new Watched({
      slo: { availability: 95 },
      alerts: rules.map((rule) => (each === undefined ? rule : { ...rule, each })),
    });
    watched.run(5 * MINUTE, [
      { perSecond: 50, source: 1 },
      { perSecond: 1, slow: 0.5, source },
    ]);
    const slow = watched.memory.alerts.find(({ rule }) => rule === "slow");
    assert.deepEqual(
      slow === undefined ? undefined : [slow.cluster, slow.release, slow.title.split(":")[0]],
      place === undefined ? undefined : each === "cluster" ? ["osaka", undefined, place[2]] : [...place],
    );
    watched.requests(Array.from({ length: 11 }, () => ({ status: 500, source })));
    const ten = watched.memory.alerts.find(({ rule }) => rule === "ten");
    const expected = place ?? ["", 1, "web"];
    assert.deepEqual([ten?.cluster, ten?.release, ten?.title.split(":")[0]], [...expected]);
  }
});

test("what the edge answered by itself is no cluster that falls silent, and is called so", () => {
  const watched = new Watched({ alerts: [{ name: "silence", noData: { for: "10m" } }] });
  watched.run(MINUTE, { perSecond: 10 });
  watched.run(2 * MINUTE, { perSecond: 10, failing: 1, source: 12 });
  const facts = watched.memory.alerts.flatMap((alert) =>
    alert.facts.map(({ name, value }) => `${name}: ${value}`),
  );
  assert.ok(
    facts.some((fact) => /^cluster: none reached \(/.test(fact)),
    facts.join("\n"),
  );
  watched.run(30 * MINUTE, { perSecond: 10 });
  assert.deepEqual(
    watched.told.filter(({ alert }) => alert.rule === "silence").map(({ alert }) => alert.title),
    [],
  );
});

test("p95 concludes nothing from too few requests, and nothing that the buckets leave open", () => {
  const slow = { name: "slow", p95: { above: "950ms", within: "5m" as const } };
  const few = new Watched({ alerts: [slow] });
  few.requests(Array.from({ length: 49 }, () => ({ ms: 5_000 })));
  assert.deepEqual(few.open(), []);
  few.requests([{ ms: 5_000 }]);
  assert.deepEqual(few.open(), ["slow"]);
  // 1,000 ms is in the bucket from 939 to 1,024 ms.
  const near = new Watched({ alerts: [slow] });
  near.requests(Array.from({ length: 500 }, () => ({ ms: 1_000 })));
  assert.deepEqual(near.open(), []);
});

test("no requests while it fires: it stays open as no-data, goes on with them, and ends after an hour without", () => {
  const watched = new Watched();
  watched.past(24 * 60, 600);
  watched.run(2 * MINUTE, { perSecond: 10, failing: 1 });
  watched.run(10 * MINUTE, { perSecond: 0 });
  assert.equal(watched.memory.alerts[0]?.state, "no-data");
  watched.run(MINUTE, { perSecond: 10, failing: 1 });
  assert.equal(watched.memory.alerts[0]?.state, "firing");
  watched.run(61 * MINUTE, { perSecond: 0 }, 5);
  assert.equal(watched.memory.alerts[0]?.state, "no-data");
  watched.run(6 * MINUTE, { perSecond: 0 });
  assert.equal(watched.memory.alerts[0]?.state, "resolved");
  assert.equal(watched.memory.alerts.length, 1);
});

test("coming back within a quarter of an hour it is the same incident", () => {
  const watched = new Watched();
  watched.past(24 * 60, 600);
  for (let round = 0; round < 3; round += 1) {
    watched.run(2 * MINUTE, { perSecond: 10, failing: 1 });
    watched.run(8 * MINUTE, { perSecond: 10 });
  }
  assert.deepEqual(
    watched
      .heard()
      .map((line) => line.replace(/^\d+ /, ""))
      .filter((line) => /^(opened|reopened)/.test(line)),
    ["opened first-5xx", "reopened first-5xx", "reopened availability"],
  );
});

test("an incident that has been open for long does not swallow a graver one", () => {
  const watched = new Watched();
  watched.past(24 * 60, 6_000);
  watched.run(20 * MINUTE, { perSecond: 100, failing: 0.0005 }, 5);
  assert.deepEqual(watched.open(), ["first-5xx"]);
  watched.run(2 * MINUTE, { perSecond: 100, failing: 1 });
  assert.deepEqual([...watched.open()].sort(), ["availability", "first-5xx"]);
});

test("reported signals: one incident for each row, over when it is missing", () => {
  const row = (key: string): Signal => ({
    rule: "stock",
    key,
    severity: "ticket",
    service: "",
    cluster: "",
    release: undefined,
    title: `stock: ${key}`,
    facts: [],
  });
  const watched = new Watched();
  watched.signals = [row("pasta"), row("rice")];
  watched.run(1, { perSecond: 1 });
  watched.signals = [row("rice")];
  watched.run(1, { perSecond: 1 });
  assert.deepEqual(watched.memory.alerts.map(({ title, state }) => `${title} ${state}`).sort(), [
    "stock: pasta resolved",
    "stock: rice firing",
  ]);
});

test("the clock jumps: nothing is thrown, no silence is made up, and an outage goes on", () => {
  const silence = { name: "silence", noData: { for: "10m" } };
  for (const jumpMs of [26 * HOUR * 1000, HOUR * 1000, -HOUR * 1000, -26 * HOUR * 1000]) {
    const watched = new Watched({ alerts: [silence] });
    watched.past(24 * 60, 600);
    watched.run(3 * MINUTE, { perSecond: 10, failing: 1 });
    assert.deepEqual(watched.open(), ["availability"]);
    watched.skewMs = jumpMs;
    watched.run(1, { perSecond: 0 });
    assert.ok(!watched.open().includes("silence"), `${jumpMs}: silence`);
    watched.run(2 * MINUTE, { perSecond: 10, failing: 1 });
    const open = watched.memory.alerts.filter(({ state }) => state !== "resolved");
    assert.ok(
      open.some(({ severity }) => severity === "page"),
      `${jumpMs}: still wrong`,
    );
    assert.ok(
      open.every(({ openedAt }) => openedAt <= watched.now),
      `${jumpMs}: begun in the past`,
    );
    watched.run(7 * MINUTE, { perSecond: 10 });
    assert.deepEqual(watched.open(), [], `${jumpMs}: over`);
  }
});

test("any traffic and any jumps: ids are one of a kind, and what is told fits what was told before", () => {
  const step = fc.record({
    seconds: fc.integer({ min: 1, max: 400 }),
    perSecond: fc.constantFrom(0, 0.1, 1, 20),
    failing: fc.constantFrom(0, 0.01, 0.5, 1),
    jumpS: fc.constantFrom(0, 0, 0, -4000, 90, 10_000),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
      const watched = new Watched({ alerts: [{ name: "silence", noData: { for: "2m" } }] });
      for (const { seconds, perSecond, failing, jumpS } of steps) {
        watched.skewMs += jumpS * 1000;
        watched.run(seconds, { perSecond, failing }, 10);
        watched.decide();
      }
      const state = new Map<string, string>();
      for (const { kind, alert } of watched.told) {
        const before = state.get(alert.id);
        if (kind === "opened") assert.equal(before, undefined);
        else if (kind === "reopened") assert.equal(before, "resolved");
        else assert.ok(before === "firing" || before === "no-data", `${kind} after ${before}`);
        state.set(alert.id, alert.state);
      }
      const ids = watched.memory.alerts.map(({ id }) => id);
      assert.equal(new Set(ids).size, ids.length);
      assert.ok(watched.now >= T0 - 26 * HOUR * 1000);
    }),
    { numRuns: 40 },
  );
});
