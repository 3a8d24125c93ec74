import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  inOrder,
  type LogLine,
  lastOf,
  olderThan,
  Reorder,
  renderLine,
  Seen,
  splitStamp,
} from "./log-lines.ts";

test("a log that is opened again says each line once, whenever it was cut off", () => {
  // Within a second in any order, and several of one time.
  const lines = fc.array(fc.tuple(fc.nat(1), fc.nat(3)), { maxLength: 30 }).map((steps) => {
    let second = 10;
    return steps.map(([step, fraction]) => {
      second += step;
      return `2026-01-01T00:00:${second}${fraction === 0 ? "" : `.${fraction}`}Z`;
    });
  });
  fc.assert(
    fc.property(lines, fc.array(fc.nat(30), { maxLength: 6 }), (stamps, cuts) => {
      const seen = new Seen();
      const told: string[] = [];
      // Each opening gives what there is from the second of the last line on, up to some line.
      for (const cut of [...cuts, stamps.length]) {
        seen.reopen();
        const from = (seen.since ?? "").slice(0, 19);
        const written = stamps.slice(0, Math.max(cut, told.length));
        for (const stamp of written) if (stamp.slice(0, 19) >= from && seen.isNew(stamp)) told.push(stamp);
      }
      assert.deepEqual(told, stamps);
    }),
  );
});

test("a file that was rotated away while nobody followed hides no line of the next one", () => {
  const seen = new Seen();
  for (const stamp of ["2026-01-01T00:00:05.1Z", "2026-01-01T00:00:05.2Z"]) assert.ok(seen.isNew(stamp));
  seen.reopen();
  assert.equal(seen.since, "2026-01-01T00:00:05Z");
  assert.ok(seen.isNew("2026-01-01T00:00:05.3Z"));
});

test("a node whose clock is set to its own zone is asked for the time of the API", () => {
  const seen = new Seen();
  assert.ok(seen.isNew("2026-01-01T09:00:05.123456789+09:00"));
  assert.equal(seen.since, "2026-01-01T00:00:05Z");
  // The hour that comes twice when summer time ends is later the second time.
  assert.ok(seen.isNew("2026-10-25T02:59:59.9+02:00"));
  assert.ok(seen.isNew("2026-10-25T02:00:00.1+01:00"));
  assert.equal(seen.since, "2026-10-25T01:00:00Z");
  seen.reopen();
  assert.equal(seen.isNew("2026-10-25T02:00:00.1+01:00"), false);
});

test("the time before a line", () => {
  assert.deepEqual(splitStamp("2026-01-01T00:00:05.1Z a  b"), {
    stamp: "2026-01-01T00:00:05.1Z",
    text: "a  b",
  });
  assert.deepEqual(splitStamp("2026-01-01T00:00:05Z"), { stamp: "2026-01-01T00:00:05Z", text: "" });
  assert.deepEqual(splitStamp("failed to open log"), { stamp: undefined, text: "failed to open log" });
});

const line = (pod: string, at: number): LogLine => ({
  cluster: "osaka",
  pod,
  container: "web",
  at,
  text: `${at}`,
});

test("what was stored ends where the live log of that container begins", () => {
  const stored = [line("a", 1), line("a", 5), line("gone", 6)];
  assert.deepEqual(
    inOrder([...olderThan(stored, [line("a", 4), line("b", 2)]), line("a", 4), line("b", 2)]).map(
      ({ pod, at }) => [pod, at],
    ),
    [
      ["a", 1],
      ["b", 2],
      ["a", 4],
      ["gone", 6],
    ],
  );
});

test("the last lines of each container are the newest of what was stored and of what is live", () => {
  const all = [line("a", 1), line("b", 2), line("a", 3), line("a", 4), line("gone", 5)];
  assert.deepEqual(
    lastOf(all, 2).map(({ at }) => at),
    [2, 3, 4, 5],
  );
  assert.deepEqual(lastOf(all, 0), []);
  assert.deepEqual(lastOf(all, undefined), all);
});

test("lines that come late are put before those that wait", () => {
  const order = new Reorder<LogLine>();
  order.add(line("a", 20), 1000);
  order.add(line("b", 10), 1150);
  assert.deepEqual(order.take(1100), []);
  assert.deepEqual(
    order.take(1350).map(({ at }) => at),
    [10, 20],
  );
});

test("a pod keeps its colour", () => {
  assert.equal(renderLine(line("a", 1), false), "osaka a  1");
  assert.match(renderLine(line("a", 1), true), /^\x1b\[\d\dm.*\x1b\[0m {2}1$/);
  assert.equal(renderLine(line("a", 1), true).slice(0, 5), renderLine(line("a", 2), true).slice(0, 5));
});
