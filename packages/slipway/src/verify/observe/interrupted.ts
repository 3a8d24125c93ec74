/** What was begun is waited for only as long as nobody interrupts the run. */
import type { Clock } from "@slipway/base";

/** Rejects with the signal's reason as soon as it aborts; what `work` then does is nobody's business any more. */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  let onAbort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    if (signal.aborted) work.catch(() => {}); // it fails on what is removed now
  }
}

/** The same clock, on which nobody sleeps longer than the run: what only waits and looks again ends with it. */
export function clockUntilAborted(clock: Clock, signal: AbortSignal | undefined): Clock {
  if (signal === undefined) return clock;
  return {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    sleep: (ms, own) => clock.sleep(ms, own === undefined ? signal : AbortSignal.any([own, signal])),
  };
}
