import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReleaseSummary } from "../../../server/api.ts";
import { seriesAnswer, seriesWish, stepFor } from "./series.ts";

const NOW = Date.UTC(2026, 10, 28, 12, 0, 30);
const wish = (query: Record<string, string>): ReturnType<typeof seriesWish> =>
  seriesWish(new URLSearchParams(query), NOW);

test("without a range the last hour, in steps that a chart can show", () => {
  assert.deepEqual(wish({}), {
    service: "",
    fromMs: NOW - 3_600_000 - 30_000,
    toMs: NOW,
    stepMs: 60_000,
  });
});

test("steps by the length of the range", () => {
  const cases: readonly [hours: number, stepS: number][] = [
    [1 / 60, 1],
    [0.25, 5],
    [0.5, 10],
    [1, 60],
    [3, 60],
    [24, 900],
    [24 * 7, 3600],
    [24 * 30, 10_800],
    [24 * 3650, 86_400],
  ];
  for (const [hours, seconds] of cases)
    assert.equal(stepFor(hours * 3_600_000), seconds * 1000, `${hours} h`);
});

test("a range begins at the begin of a step, so that the same second is always in the same one", () => {
  assert.equal(wish({ from: "61999", to: "120000", step: "60" }).fromMs, 60_000);
});

const release = (number: number, startedAt: number): ReleaseSummary => ({
  number,
  kind: "deploy",
  outcome: "healthy",
  commit: "c",
  message: "",
  who: "aki",
  from: "cli",
  startedAt,
  finishedAt: undefined,
  clusters: [],
  cause: undefined,
  held: false,
});

test("steps without requests are zeros, and have no percentiles", () => {
  const counts = [
    { at: 60_000, class: "2xx", bucket: 8, requests: 3 },
    { at: 60_000, class: "5xx", bucket: 16, requests: 1 },
    { at: 180_000, class: "499", bucket: -1, requests: 2 },
  ];
  const series = seriesAnswer({ service: "web", fromMs: 60_000, toMs: 240_000, stepMs: 60_000 }, counts, [
    release(3, 240_000),
    release(2, 100_000),
    release(1, 60_000),
    release(0, 59_999),
  ]);
  assert.deepEqual(series.times, [60_000, 120_000, 180_000]);
  assert.deepEqual(series.requests, [4, 0, 2]);
  assert.deepEqual(series.errors, [1, 0, 0]);
  assert.deepEqual(series.p50, [2, null, null]);
  assert.deepEqual(series.p99, [4, null, null]);
  assert.deepEqual(series.classes["499"], [0, 0, 2]);
  assert.deepEqual(series.classes["3xx"], [0, 0, 0]);
  assert.equal(series.classes["other"], undefined);
  assert.deepEqual(
    series.markers.map(({ release: number }) => number),
    [1, 2],
  );
});
