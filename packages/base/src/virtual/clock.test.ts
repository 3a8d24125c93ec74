import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "../clock.ts";
import { VirtualClock } from "./clock.ts";

test("advancing wakes sleepers in order of time, and those they start on the way", async () => {
  const clock = new VirtualClock();
  const seen: string[] = [];
  const note = (name: string) => () => seen.push(`${name}@${clock.monotonic()}`);
  void clock.sleep(30).then(note("late"));
  void clock.sleep(10).then(async () => {
    note("early")();
    await clock.sleep(10);
    note("chained")();
  });
  await clock.advance(25);
  assert.deepEqual(seen, ["early@10", "chained@20"]);
  await clock.advance(5);
  assert.deepEqual(seen, ["early@10", "chained@20", "late@30"]);
});

test("an aborted sleep rejects with the reason and wakes nobody", async () => {
  const clock = new VirtualClock();
  const stop = new AbortController();
  const sleeping = assert.rejects(clock.sleep(1000, stop.signal), /enough/);
  stop.abort(new Error("enough"));
  await sleeping;
  await assert.rejects(clock.sleep(1, stop.signal), /enough/);
});

test("until says what was awaited and what was seen last", async () => {
  const clock = new VirtualClock();
  const waiting = assert.rejects(
    until("the pod", () => false, { clock, timeoutMs: 100, everyMs: 10, describe: () => "Pending" }),
    /waited 100 ms for: the pod; last seen: Pending/,
  );
  await clock.advance(200);
  await waiting;
  assert.equal(await until("now", () => 3), 3);
});
