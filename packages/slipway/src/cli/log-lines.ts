/** Lines of many logs as one: their order, what was seen already, and how they are shown. Pure. */

export interface LogLine {
  readonly cluster: string;
  readonly pod: string;
  readonly container: string;
  /** ms since the epoch. */
  readonly at: number;
  readonly text: string;
}

/**
 * A log that was opened again says once more what it had said since the beginning of that second, because the API takes
 * no finer time (`sinceTime`). Lines that came before are told by their time in nanoseconds, each as often as it came.
 * Their order tells nothing: a runtime writes stdout and stderr side by side.
 */
export class Seen {
  /** Since the epoch: stamps are in the node's own time, and some zones set their clocks back. */
  #second = Number.NEGATIVE_INFINITY;
  /** Of that second, which lines came. */
  #came = new Map<string, number>();
  /** Those that will come again. */
  #again = new Map<string, number>();

  /** The time from which on the log is to be read; undefined before the first line. */
  get since(): string | undefined {
    if (this.#second === Number.NEGATIVE_INFINITY) return undefined;
    return `${new Date(this.#second * 1000).toISOString().slice(0, 19)}Z`;
  }

  /** The log is read again from `since` on. */
  reopen(): void {
    this.#again = new Map(this.#came);
  }

  isNew(stamp: string): boolean {
    const again = this.#again.get(stamp) ?? 0;
    if (again > 0) {
      this.#again.set(stamp, again - 1);
      return false;
    }
    const second = Math.floor(Date.parse(stamp) / 1000);
    if (second < this.#second) return true;
    if (second > this.#second) [this.#second, this.#came] = [second, new Map()];
    this.#came.set(stamp, (this.#came.get(stamp) ?? 0) + 1);
    return true;
  }
}

/** A line of the API with `timestamps`, apart. One without a time, as old kubelets write of themselves, is of now. */
export function splitStamp(line: string): { readonly stamp: string | undefined; readonly text: string } {
  const end = line.indexOf(" ");
  const stamp = line.slice(0, end < 0 ? line.length : end);
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.test(stamp)) return { stamp: undefined, text: line };
  return { stamp, text: end < 0 ? "" : line.slice(end + 1) };
}

/** In order of time; lines of one log stay as they were. */
export function inOrder<T extends { readonly at: number }>(lines: readonly T[]): T[] {
  return lines.toSorted((a, b) => a.at - b.at);
}

/**
 * What was stored goes up to where the live logs begin: the API knows only the newest file of a container, and only pods
 * that are still there.
 */
export function olderThan<T extends LogLine>(stored: readonly T[], live: readonly LogLine[]): T[] {
  const begin = new Map<string, number>();
  for (const line of live) {
    const key = containerOf(line);
    begin.set(key, Math.min(begin.get(key) ?? Number.POSITIVE_INFINITY, line.at));
  }
  return stored.filter((line) => line.at < (begin.get(containerOf(line)) ?? Number.POSITIVE_INFINITY));
}

/** Of lines in order of time, the last ones of each container. */
export function lastOf<T extends LogLine>(lines: readonly T[], count: number | undefined): readonly T[] {
  if (count === undefined) return lines;
  const left = new Map<string, number>();
  return lines
    .toReversed()
    .filter((line) => {
      const more = left.get(containerOf(line)) ?? count;
      left.set(containerOf(line), more - 1);
      return more > 0;
    })
    .reverse();
}

function containerOf({ cluster, pod, container }: LogLine): string {
  return `${cluster}/${pod}/${container}`;
}

/** Live lines wait so long for earlier ones of other clusters. */
const ORDER_MS = 200;

/** Puts lines that come at about the same time into the order in which they were written. */
export class Reorder<T extends { readonly at: number }> {
  #waiting: { readonly line: T; readonly came: number }[] = [];

  add(line: T, now: number): void {
    this.#waiting.push({ line, came: now });
  }

  /** Those that have waited long enough; at the end, all of them. */
  take(now: number): T[] {
    const ready = this.#waiting.filter(({ came }) => now - came >= ORDER_MS);
    this.#waiting = this.#waiting.filter(({ came }) => now - came < ORDER_MS);
    return inOrder(ready.map(({ line }) => line));
  }
}

/** Colours that are readable on black and on white, red left out: it would look like an error. */
const COLOURS = [32, 33, 34, 35, 36, 92, 94, 95, 96] as const;

/** A pod keeps its colour, whatever else is shown. */
export function colourOf(pod: string): number {
  let hash = 0;
  for (const letter of pod) hash = (hash * 31 + letter.charCodeAt(0)) >>> 0;
  return COLOURS[hash % COLOURS.length] as number;
}

export function renderLine({ cluster, pod, text }: LogLine, isColoured: boolean): string {
  const from = `${cluster} ${pod}`;
  return isColoured ? `\x1b[${colourOf(pod)}m${from}\x1b[0m  ${text}` : `${from}  ${text}`;
}
