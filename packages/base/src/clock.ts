/**
 * Time as a value that is passed in. Decisions take `now` as a number and need no clock; only drivers and
 * adapters hold one. `virtual/clock.ts` is the simulated twin.
 */
export interface Clock {
  /** Wall time in milliseconds since the epoch; may jump. For timestamps that people and other programs read. */
  now(): number;
  /** Milliseconds since an arbitrary start; never jumps. For durations. */
  monotonic(): number;
  /** Resolves after `ms`, or rejects with the signal's reason as soon as it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      }, ms);
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
    }),
};

/**
 * Waits until `condition` returns something truthy and returns it. For tests and for start-up, where no event
 * can be awaited. Throws an error that says what was awaited, after 30 s by default, which a busy machine needs where
 * a quiet one needs none; `describe` may add what was seen last.
 */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  options: { clock?: Clock; timeoutMs?: number; everyMs?: number; describe?: () => string } = {},
): Promise<NonNullable<T>> {
  const clock = options.clock ?? systemClock;
  const timeoutMs = options.timeoutMs ?? 30_000;
  const deadline = clock.monotonic() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) return value as NonNullable<T>;
    if (clock.monotonic() >= deadline) {
      const seen = options.describe === undefined ? "" : `; last seen: ${options.describe()}`;
      throw new Error(`waited ${timeoutMs} ms for: ${what}${seen}`);
    }
    await clock.sleep(options.everyMs ?? 10);
  }
}
