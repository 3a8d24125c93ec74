import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { LogEntry } from "../../../server/api.ts";
import { createTail, OVERLAP_MS } from "./tail.ts";

const line = (ts: number, text: string): LogEntry => ({
  ts,
  text,
  cluster: "tokyo",
  service: "web",
  pod: "web-1",
  container: "web",
  release: 1,
  stream: "stdout",
  severity: "",
  status: undefined,
});
const textsOf = (entries: readonly LogEntry[]): string[] => entries.map(({ text }) => text);

test("what was told is not told again, what came late is", () => {
  const tail = createTail(1000);
  assert.deepEqual(textsOf(tail.take([line(1000, "a"), line(3000, "c")])), ["a", "c"]);
  assert.equal(tail.fromMs(4000), 1000);
  assert.deepEqual(textsOf(tail.take([line(1000, "a"), line(2000, "b"), line(3000, "c")])), ["b"]);
  assert.deepEqual(tail.take([line(1000, "a"), line(2000, "b"), line(3000, "c")]), []);
});

test("the same words at the same moment twice are two lines", () => {
  const tail = createTail(0);
  assert.equal(tail.take([line(5, "x")]).length, 1);
  assert.equal(tail.take([line(5, "x"), line(5, "x"), line(5, "x")]).length, 2);
});

test("it looks back for a while and forgets what is before", () => {
  const tail = createTail(0);
  for (let ts = 0; ts < 100_000; ts += 100) {
    tail.fromMs(ts);
    tail.take([line(ts, String(ts))]);
  }
  assert.equal(tail.fromMs(100_000), 99_900 - OVERLAP_MS);
});

test("a node whose clock is ahead, and a cluster whose lines come late, hide nothing of the others", () => {
  const tail = createTail(0);
  const [ahead, late] = [line(70_000, "ahead"), line(45_000, "late")];
  assert.deepEqual(textsOf(tail.take([line(59_000, "usual"), ahead])), ["usual", "ahead"]);
  const from = tail.fromMs(60_000);
  assert.ok(late.ts >= from);
  assert.deepEqual(textsOf(tail.take([late, line(60_000, "next"), ahead])), ["late", "next"]);
  // And a clock that is set back silences nothing.
  assert.equal(tail.fromMs(40_000), 40_000 - OVERLAP_MS);
});

test("whatever comes late by less than the overlap, each line is told once", () => {
  const lines = fc.array(fc.record({ ts: fc.nat(20_000), late: fc.nat(OVERLAP_MS - 1) }), { maxLength: 60 });
  fc.assert(
    fc.property(lines, (all) => {
      const tail = createTail(0);
      const told: string[] = [];
      for (let now = 0; now <= 60_000; now += 500) {
        const from = tail.fromMs(now);
        const stored = all
          .map(({ ts, late }, index) => ({ ts, at: ts + late, text: String(index) }))
          .filter(({ ts, at }) => at <= now && ts >= from)
          .sort((a, b) => a.ts - b.ts);
        told.push(...textsOf(tail.take(stored.map(({ ts, text }) => line(ts, text)))));
      }
      assert.deepEqual(
        told.map(Number).sort((a, b) => a - b),
        all.map((_, index) => index),
      );
    }),
  );
});
