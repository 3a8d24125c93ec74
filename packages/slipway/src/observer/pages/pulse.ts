/** Wakes who waits for something to have happened. */
import type { Clock } from "@slipway/base";

export interface Pulse {
  beat(): void;
  /** Resolves with the next beat, after `atMostMs`, or when `signal` aborts. */
  next(atMostMs: number, signal: AbortSignal): Promise<void>;
}

export function createPulse(clock: Clock): Pulse {
  let waiting = new Set<() => void>();
  return {
    beat() {
      const waking = waiting;
      waiting = new Set();
      for (const wake of waking) wake();
    },
    async next(atMostMs, signal) {
      const done = new AbortController();
      const wake = (): void => done.abort();
      waiting.add(wake);
      await clock.sleep(atMostMs, AbortSignal.any([signal, done.signal])).catch(() => undefined);
      waiting.delete(wake);
    },
  };
}
