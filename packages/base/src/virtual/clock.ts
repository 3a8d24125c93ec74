import type { Clock } from "../clock.ts";

/**
 * A clock that moves only when told to. `advance` runs everything that becomes due, in order of time and then
 * of registration, and lets promises settle between two sleepers, so that a test sees what real time would give.
 */
export class VirtualClock implements Clock {
  #now: number;
  readonly #start: number;
  #sleepers: { at: number; wake: () => void }[] = [];

  constructor(startMs: number = Date.UTC(2026, 0, 1)) {
    this.#now = startMs;
    this.#start = startMs;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now - this.#start;
  }

  /** When the next sleeper wakes, ms since the epoch; undefined when nobody sleeps. */
  get nextAtMs(): number | undefined {
    if (this.#sleepers.length === 0) return undefined;
    return this.#sleepers.reduce((first, { at }) => Math.min(first, at), Number.POSITIVE_INFINITY);
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const sleeper = { at: this.#now + Math.max(0, ms), wake: resolve };
      this.#sleepers.push(sleeper);
      signal?.addEventListener(
        "abort",
        () => {
          this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
          reject(signal.reason);
        },
        { once: true },
      );
    });
  }

  async advance(ms: number): Promise<void> {
    const target = this.#now + ms;
    await settle();
    for (;;) {
      const next = this.#sleepers.reduce<{ at: number; wake: () => void } | undefined>(
        (first, sleeper) => (first === undefined || sleeper.at < first.at ? sleeper : first),
        undefined,
      );
      if (next === undefined || next.at > target) break;
      this.#sleepers = this.#sleepers.filter((other) => other !== next);
      this.#now = next.at;
      next.wake();
      await settle();
    }
    this.#now = target;
    await settle();
  }
}

/** The event loop runs every promise callback that is due, however deep the chain, before the next immediate. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
