import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "@slipway/base";
import { createUsage, type Measurement } from "./usage.ts";

/** A container that uses half a core, and one that starts later and uses a whole one. */
function machine() {
  const clock = new VirtualClock();
  const start = clock.now();
  let measured = 0;
  const usage = createUsage(async () => {
    measured += 1;
    const ran = (from: number): number => (clock.now() - start - from) / 1000;
    const steady = { podUid: "a", name: "web", id: "1", startedAtMs: start, memoryBytes: 1000 };
    const young = { podUid: "b", name: "web", id: "2", startedAtMs: start + 100_000, memoryBytes: 500 };
    return [
      { ...steady, cpuSeconds: 0.5 * ran(0) },
      ...(ran(100_000) >= 0 ? [{ ...young, cpuSeconds: ran(100_000) }] : []),
    ];
  }, clock);
  return { clock, usage, measured: () => measured };
}

const coresOf = ({ containers }: Measurement): string =>
  containers.map(({ podUid, cores }) => `${podUid}=${cores}`).join(" ");

test("who asks first waits a second, and who asks at the same time gets the same", async () => {
  const { clock, usage, measured } = machine();
  const [one, other] = [usage(), usage()];
  await clock.advance(999);
  assert.equal(measured(), 1);
  await clock.advance(1);
  assert.equal(coresOf(await one), "a=0.5");
  assert.equal(await one, await other);
  assert.equal(measured(), 2);
});

test("who asks again gets the figures since the time before, at once", async () => {
  const { clock, usage } = machine();
  void usage();
  await clock.advance(10_000);
  const again = await usage();
  assert.deepEqual([coresOf(again), again.windowMs], ["a=0.5", 10_000]);
  await clock.advance(5_000);
  assert.equal((await usage()).windowMs, 5_000);
});

test("after a long pause it is measured anew, and a young container counts from its start", async () => {
  const { clock, usage } = machine();
  void usage();
  await clock.advance(102_000);
  const later = usage();
  await clock.advance(1_000);
  assert.equal((await later).windowMs, 1_000);
  const young = machine();
  void young.usage();
  await young.clock.advance(60_000);
  await young.usage();
  await young.clock.advance(42_000);
  assert.equal(coresOf(await young.usage()), "a=0.5 b=1");
});
