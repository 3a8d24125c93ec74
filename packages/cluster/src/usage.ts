/**
 * How many cores containers use, from how much processor time they have used: two measurements with some time between.
 * Nobody measures while nobody asks. Who asks after a long pause waits a second for the second one; who asks again and
 * again gets the figures since the time before.
 */
import type { Clock } from "@slipway/base";
import type { ContainerUse } from "./runtimes/runtime.ts";

export interface MeasuredContainer {
  readonly podUid: string;
  readonly name: string;
  readonly cores: number;
  readonly memoryBytes: number;
}

export interface Measurement {
  /** ms since the epoch. */
  readonly at: number;
  /** What `cores` is the mean of, ms. */
  readonly windowMs: number;
  readonly containers: readonly MeasuredContainer[];
}

interface Reading {
  readonly monotonicMs: number;
  readonly uses: ReadonlyMap<string, ContainerUse>;
}

/** Ticks of 10 ms say little about less than this. */
const SHORTEST_MS = 1000;
/** A mean over more than this tells what was, and not what is. */
const LONGEST_MS = 60_000;
const KEEP_EVERY_MS = 5000;

export function createUsage(
  measure: () => Promise<readonly ContainerUse[]>,
  clock: Clock,
): () => Promise<Measurement> {
  let readings: readonly Reading[] = [];
  let running: Promise<Measurement> | undefined;

  const take = async (): Promise<Reading> => ({
    uses: new Map((await measure()).map((use) => [use.id, use])),
    monotonicMs: clock.monotonic(),
  });
  const look = async (): Promise<Measurement> => {
    const from = clock.monotonic() - LONGEST_MS;
    readings = readings.filter(({ monotonicMs }) => monotonicMs >= from);
    if (readings.length === 0) readings = [await take()];
    const first = readings[0] as Reading;
    const missing = SHORTEST_MS - (clock.monotonic() - first.monotonicMs);
    if (missing > 0) await clock.sleep(missing);
    const last = await take();
    const base =
      readings.findLast(({ monotonicMs }) => last.monotonicMs - monotonicMs >= SHORTEST_MS) ?? first;
    const newest = readings.at(-1) as Reading;
    if (last.monotonicMs - newest.monotonicMs >= KEEP_EVERY_MS) readings = [...readings, last];
    return between(base, last, clock.now());
  };
  return () => {
    running ??= look().finally(() => {
      running = undefined;
    });
    return running;
  };
}

function between(base: Reading, last: Reading, now: number): Measurement {
  const windowMs = last.monotonicMs - base.monotonicMs;
  const containers = [...last.uses.values()].map((use) => {
    const before = base.uses.get(use.id);
    // One that is younger than the window: since its start.
    const ms = before === undefined ? Math.max(SHORTEST_MS, now - use.startedAtMs) : windowMs;
    const seconds = use.cpuSeconds - (before?.cpuSeconds ?? 0);
    return {
      podUid: use.podUid,
      name: use.name,
      cores: Math.max(0, (1000 * seconds) / ms),
      memoryBytes: use.memoryBytes,
    };
  });
  return { at: now, windowMs, containers };
}
