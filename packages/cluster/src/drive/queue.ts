/**
 * A work queue as client-go has it: a key that is added many times before its turn is done once; failures come
 * back later and later (5 ms doubling to 1000 s); a key may ask to come back after a time.
 */
import type { Clock } from "@slipway/base";

const FIRST_BACKOFF_MS = 5;
const LONGEST_BACKOFF_MS = 1_000_000;

export class WorkQueue {
  readonly #clock: Clock;
  readonly #onReady: () => void;
  readonly #waiting = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #timers = new Map<string, AbortController>();

  constructor(clock: Clock, onReady: () => void) {
    this.#clock = clock;
    this.#onReady = onReady;
  }

  get size(): number {
    return this.#waiting.size;
  }

  add(key: string): void {
    this.#waiting.add(key);
    this.#onReady();
  }

  /** The oldest waiting key; its timer is void now, since the decision about to be made sets a new one. */
  take(): string | undefined {
    const [key] = this.#waiting;
    if (key === undefined) return undefined;
    this.#waiting.delete(key);
    this.#timers.get(key)?.abort();
    this.#timers.delete(key);
    return key;
  }

  addAfter(key: string, ms: number): void {
    this.#timers.get(key)?.abort();
    const timer = new AbortController();
    this.#timers.set(key, timer);
    this.#clock.sleep(ms, timer.signal).then(
      () => {
        this.#timers.delete(key);
        this.add(key);
      },
      () => {}, // Aborted: a newer decision has replaced this timer, or the queue was closed.
    );
  }

  failed(key: string): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.addAfter(key, Math.min(FIRST_BACKOFF_MS * 2 ** failures, LONGEST_BACKOFF_MS));
  }

  succeeded(key: string): void {
    this.#failures.delete(key);
  }

  /** Whether any key is between failures: the driver is not idle then, although nothing is waiting. */
  get isRetrying(): boolean {
    return this.#failures.size > 0;
  }

  close(): void {
    this.#waiting.clear();
    for (const timer of this.#timers.values()) timer.abort();
    this.#timers.clear();
  }
}
