/**
 * How long after they were written lines are stored. By the time that the runtime put before them: what a service writes
 * itself may be of any zone, and of any time. Of a passage its newest line counts, of several passages the latest: an
 * agent that is far behind must not be hidden by the others.
 */
const NEWLINE = 0x0a;
const STAMP_BYTES = 40;
/** What was stored before tells nothing of now. */
const WINDOW_S = 30;

/** When the last of these whole lines was written; undefined when it does not begin with a time. */
export function writtenAt(lines: Uint8Array): number | undefined {
  const begin = lines.lastIndexOf(NEWLINE, -2) + 1;
  const [stamp = ""] = Buffer.from(lines.subarray(begin, begin + STAMP_BYTES))
    .toString("latin1")
    .split(" ", 1);
  const at = Date.parse(stamp);
  return Number.isNaN(at) ? undefined : at;
}

export class Lateness {
  /** By the second in which they were stored, the longest of each. */
  readonly #longest = new Map<number, number>();

  add(writtenMs: number, now: number): void {
    const second = Math.floor(now / 1000);
    this.#longest.set(second, Math.max(this.#longest.get(second) ?? 0, now - writtenMs));
    for (const one of this.#longest.keys()) if (!isRecent(one, now)) this.#longest.delete(one);
  }

  /** Of the last half minute, ms; 0 when nothing was stored. */
  longest(now: number): number {
    return Math.max(0, ...[...this.#longest].map(([second, ms]) => (isRecent(second, now) ? ms : 0)));
  }
}

/** A second ahead of the clock was before it was set back. */
function isRecent(second: number, now: number): boolean {
  return second <= now / 1000 && now / 1000 - second < WINDOW_S;
}
