/** The questions, asked of a real warehouse: the same numbers come out that went in. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { systemClock } from "@slipway/base";
import { AccessBatch } from "../../../observe/access/batch.ts";
import { openWarehouse } from "../../../observe/warehouse/duckdb/open.ts";
import { fillSample, sampleLabels } from "../../../observe/warehouse/sample.ts";
import type { Warehouse } from "../../../observe/warehouse/warehouse.ts";
import type { Rows } from "../rows.ts";
import { warehouseRows } from "../warehouse-rows.ts";
import { compareAnswer } from "./compare.ts";
import { countsByRelease, countsByRoute, countsByService, countsByTime } from "./figures.ts";
import { findLogs, logsWish, newestLines } from "./logs.ts";
import { nowAnswer } from "./now.ts";
import { seriesAnswer, seriesWish } from "./series.ts";

const NOON = Date.UTC(2026, 10, 28, 12);
const HOUR = 3_600_000;
const NO_LIMITS = {};

let warehouse: Warehouse;
let sources: readonly Rows[];
before(async () => {
  warehouse = await openWarehouse({ folder: undefined });
  sources = [
    warehouseRows("world", warehouse, {
      clock: systemClock,
      unread: () => 0,
      lagMs: () => 620,
      unaccounted: () => 0,
    }),
  ];
  const old = warehouse.sourceOf(sampleLabels({ release: 1, commit: "aaa", pod: "web-1" }));
  const fresh = warehouse.sourceOf(
    sampleLabels({ release: 2, commit: "bbb", pod: "web-2", cluster: "tokyo" }),
  );
  const api = warehouse.sourceOf(sampleLabels({ release: 2, commit: "bbb", service: "api", pod: "api-1" }));
  const access = new AccessBatch(2000);
  const same = { everyMs: 100, fromMs: NOON };
  fillSample(access, warehouse, { ...same, count: 600, source: old, status: 200, timeMs: 20 });
  fillSample(access, warehouse, { ...same, count: 450, source: fresh, status: 200, timeMs: 200 });
  fillSample(access, warehouse, { ...same, count: 50, source: fresh, status: 503, timeMs: 400 });
  fillSample(access, warehouse, { ...same, count: 10, source: api, status: 499 });
  fillSample(access, warehouse, {
    ...same,
    count: 33,
    source: api,
    status: 200,
    userAgent: "kube-probe/1.33",
  });
  const line = { source: fresh, stream: "stderr" as const, severity: "ERROR" };
  await warehouse.commit({
    lines: {
      access,
      logs: [
        { ...line, ts: NOON + 7, text: "Cannot reach 'db'; DROP TABLE access" },
        { ...line, ts: NOON + 8, severity: "", stream: "stdout", text: "100 % done" },
      ],
      quarantine: [{ ts: NOON, source: old, position: 3, raw: Buffer.from("?"), reason: "time" }],
    },
    offsets: [],
    gaps: [{ ts: NOON, source: old, from: 100, to: 350 }],
  });
});
after(() => warehouse.close());

test("now: by service, release and cluster, without health checks", async () => {
  const { counts, problems } = await countsByService(sources, { fromMs: NOON, toMs: NOON + HOUR }, NO_LIMITS);
  const lines = await (sources[0] as Rows).lines();
  const now = nowAnswer({
    at: NOON,
    counts,
    clusters: [],
    release: undefined,
    alerts: [],
    lines,
    problems,
  });
  assert.deepEqual(
    now.services.map(({ service, traffic }) => [
      service,
      traffic.requests,
      traffic.errors,
      traffic.errorRatio,
    ]),
    [
      ["web", 1100, 50, 50 / 1100],
      ["api", 10, 0, 0],
    ],
  );
  const [web] = now.services;
  assert.deepEqual(
    web?.byRelease.map(({ release, commit, traffic }) => [release, commit, traffic.requests]),
    [
      [2, "bbb", 500],
      [1, "aaa", 600],
    ],
  );
  assert.deepEqual(
    web?.byCluster.map(({ cluster, traffic }) => [cluster, traffic.requests, traffic.errors]),
    [
      ["osaka", 600, 0],
      ["tokyo", 500, 50],
    ],
  );
  assert.ok(near(web?.traffic.p50, 20), String(web?.traffic.p50));
  assert.ok(near(web?.traffic.p95, 200), String(web?.traffic.p95));
  assert.ok(near(web?.traffic.p99, 400), String(web?.traffic.p99));
  assert.deepEqual(now.lines, {
    read: 1146,
    requests: 1143,
    logs: 2,
    quarantine: 1,
    gaps: 250,
    lagMs: 620,
    probes: 33,
    problem: undefined,
  });
});

/** As far as buckets tell: at most 9.1 % above. */
function near(seen: number | undefined, exact: number): boolean {
  return seen !== undefined && seen >= exact * 0.999 && seen <= exact * 1.091;
}

test("series: by seconds from the requests and by minutes from their counts, the same sums", async () => {
  for (const step of [5, 60]) {
    const query = new URLSearchParams({
      service: "web",
      from: String(NOON),
      to: String(NOON + 120_000),
      step: String(step),
    });
    const wish = seriesWish(query, NOON);
    const { counts, problems } = await countsByTime(sources, wish, NO_LIMITS);
    assert.deepEqual(problems, []);
    const series = seriesAnswer(wish, counts, []);
    assert.equal(series.times.length, 120 / step);
    const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
    assert.deepEqual([sum(series.requests), sum(series.errors)], [1100, 50]);
    assert.deepEqual([sum(series.classes["2xx"] ?? []), sum(series.classes["5xx"] ?? [])], [1050, 50]);
    assert.equal(series.classes["other"], undefined);
    // Of the first five seconds: 50 of each of the three.
    if (step === 5) assert.deepEqual([series.requests[0], series.errors[0]], [150, 50]);
    assert.equal(series.p95.at(-1), null, "nothing came in the last step");
  }
});

test("compare: what the two releases did, route by route", async () => {
  const wish = { service: "web", releases: [1, 2] as const };
  const counted = await countsByRelease(sources, wish, NO_LIMITS);
  const routed = await countsByRoute(sources, wish, NO_LIMITS);
  assert.deepEqual([...counted.problems, ...routed.problems], []);
  const { a, b, routes, verdict } = compareAnswer({ a: 1, b: 2 }, counted.counts, routed.counts);
  assert.deepEqual([a.commit, a.traffic.requests, b.commit, b.traffic.requests], ["aaa", 600, "bbb", 500]);
  assert.deepEqual([a.classes, b.classes], [{ "2xx": 600 }, { "2xx": 450, "5xx": 50 }]);
  assert.equal(
    routes.reduce((sum, { requests }) => sum + requests[1], 0),
    500,
  );
  assert.equal(
    verdict,
    "Release 2 fails more (10 % instead of 0 %) and is slower (p95 431 ms instead of 21 ms) than release 1.",
  );
});

test("compare: two releases that nobody has seen", async () => {
  const wish = { service: "web", releases: [7, 8] as const };
  const { counts } = await countsByRelease(sources, wish, NO_LIMITS);
  const { a, verdict } = compareAnswer({ a: 7, b: 8 }, counts, []);
  assert.equal(a.traffic.p95, undefined);
  assert.match(verdict, /^Too little traffic to tell: release 7 had 0 requests, release 8 had 0 requests/);
});

const find = (query: Record<string, string>): ReturnType<typeof findLogs> =>
  findLogs(
    sources,
    logsWish(new URLSearchParams({ from: String(NOON - 1), ...query }), NOON + HOUR),
    NO_LIMITS,
  );

test("logs: requests and lines in the order of time, the newest of too many", async () => {
  const all = await find({ limit: "5000" });
  assert.deepEqual(all.problems, []);
  assert.equal(all.entries.length, 1112);
  assert.ok(all.entries.every(({ ts }, index) => index === 0 || ts >= (all.entries[index - 1]?.ts ?? 0)));
  assert.equal(all.isTruncated, false);
  const few = await find({ limit: "10" });
  assert.deepEqual([few.entries.length, few.isTruncated], [10, true]);
  assert.deepEqual(few.entries.at(-1)?.ts, all.entries.at(-1)?.ts);
  assert.deepEqual(all.facets["cluster"], [
    { value: "osaka", count: 610 },
    { value: "tokyo", count: 502 },
  ]);
  assert.deepEqual(all.facets["severity"], [{ value: "ERROR", count: 1 }]);
  assert.deepEqual(
    all.facets["class"]?.find(({ value }) => value === "5xx"),
    { value: "5xx", count: 50 },
  );
});

test("logs: each condition alone and together", async () => {
  const cases: readonly [Record<string, string>, number][] = [
    [{ kind: "logs" }, 2],
    [{ kind: "requests" }, 1110],
    [{ class: "5xx" }, 50],
    [{ class: "5xx", kind: "logs" }, 0],
    [{ kind: "logs", release: "1" }, 0],
    [{ release: "2", cluster: "tokyo" }, 502],
    [{ service: "api" }, 10],
    [{ pod: "web-1" }, 600],
    [{ grep: "CANNOT REACH" }, 1],
    [{ grep: "'db'; DROP TABLE access" }, 1],
    [{ grep: "%" }, 1],
    [{ grep: "503 400 ms" }, 50],
    [{ service: "x' OR '1'='1" }, 0],
    [{ from: String(NOON + 7), to: String(NOON + 8), kind: "logs" }, 1],
  ];
  for (const [query, count] of cases) {
    const { entries, problems } = await find({ limit: "5000", ...query });
    assert.deepEqual([problems, entries.length], [[], count], JSON.stringify(query));
  }
  const [entry] = (await find({ kind: "logs", grep: "reach" })).entries;
  assert.deepEqual(entry, {
    ts: NOON + 7,
    cluster: "tokyo",
    service: "web",
    pod: "web-2",
    container: "nginx",
    release: 2,
    stream: "stderr",
    severity: "ERROR",
    text: "Cannot reach 'db'; DROP TABLE access",
    status: undefined,
  });
});

test("a warehouse that does not answer is a problem with its name, and the others still count", async () => {
  const broken: Rows = {
    name: "tokyo",
    query: () => Promise.reject(new Error("connection refused")),
    lines: () => Promise.reject(new Error("connection refused")),
  };
  const asked = await countsByService([...sources, broken], { fromMs: NOON, toMs: NOON + HOUR }, NO_LIMITS);
  assert.deepEqual(asked.problems, ["tokyo: connection refused"]);
  assert.ok(asked.counts.length > 0);
  const wish = logsWish(new URLSearchParams({ from: String(NOON) }), NOON + HOUR);
  assert.deepEqual((await newestLines([broken], wish, NO_LIMITS)).entries, []);
});

test("two warehouses: counts are added, percentiles come from the sum", async () => {
  const twice = [...sources, ...sources];
  const { counts } = await countsByService(twice, { fromMs: NOON, toMs: NOON + HOUR }, NO_LIMITS);
  const lines = await (sources[0] as Rows).lines();
  const { services } = nowAnswer({
    at: 0,
    counts,
    clusters: [],
    release: undefined,
    alerts: [],
    lines,
    problems: [],
  });
  assert.equal(services[0]?.traffic.requests, 2200);
  assert.ok(near(services[0]?.traffic.p95, 200));
});
