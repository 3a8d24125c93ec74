/**
 * Requests counted by minute, series, class, probe and bucket of time, while they are written. The rows of a commit
 * are a difference: whoever reads adds up the rows of a key. So a late line corrects its minute by being added, and a
 * source that turns out to be of another release is taken out there and put in here (relabel.ts). `compact` in tidy.ts
 * makes one row of those of a key.
 */
import { type AccessBatch, NO_TIME } from "../../access/batch.ts";
import { bucketOf, BUCKETS as TIME_BUCKETS } from "../../counts/histogram.ts";
import type { Rows } from "./columns.ts";

/** By position. 499 is neither the service's fault nor, for sure, the client's: it is counted by itself. */
export const CLASSES = ["other", "1xx", "2xx", "3xx", "4xx", "5xx", "499"] as const;

/** Requests without a time. */
export const NO_BUCKET = 255;

const MINUTE_MS = 60_000;
const BUCKETS = TIME_BUCKETS + 1;
/** Cells of one minute of one series: class × probe × bucket, the last bucket for those without a time. */
const CELLS = CLASSES.length * 2 * BUCKETS;

/** Cells take 32 kB for a minute; a sparse log of a whole year must not take them for each of its minutes at once. */
const MAX_MINUTES = 512;

function classOf(status: number): number {
  if (status === 499) return 6;
  return status >= 100 && status < 600 ? (status / 100) | 0 : 0;
}

interface Minute {
  readonly minute: number;
  readonly series: number;
  readonly n: Uint32Array;
  readonly bytes: Float64Array;
}

export interface RollupInput {
  seriesOf(source: number): number;
  /** By id of the user agent. */
  isProbe(userAgent: number): boolean;
}

export class Rollup {
  readonly #input: RollupInput;
  readonly #minutes = new Map<string, Minute>();
  #rows: number[][] = [];

  constructor(input: RollupInput) {
    this.#input = input;
  }

  add(batch: AccessBatch): void {
    const { ts, source, status, time, bytes, userAgent, length } = batch;
    let current: Minute | undefined;
    let lastSource = -1;
    for (let row = 0; row < length; row += 1) {
      const minute = Math.floor((ts[row] as number) / MINUTE_MS);
      const from = source[row] as number;
      if (current === undefined || from !== lastSource || minute !== current.minute) {
        current = this.#minuteOf(minute, this.#input.seriesOf(from));
        lastSource = from;
      }
      const ms = time[row] as number;
      const bucket = ms === NO_TIME ? BUCKETS - 1 : bucketOf(ms);
      const probe = this.#input.isProbe(userAgent[row] as number) ? 1 : 0;
      const cell = (classOf(status[row] as number) * 2 + probe) * BUCKETS + bucket;
      current.n[cell] = (current.n[cell] as number) + 1;
      current.bytes[cell] = (current.bytes[cell] as number) + (bytes[row] as number);
    }
  }

  /** What was added since the last call. */
  take(): Rows {
    this.#drain();
    const rows = this.#rows;
    this.#rows = [];
    return rollupRows(rows);
  }

  #minuteOf(minute: number, series: number): Minute {
    const key = `${minute}/${series}`;
    const known = this.#minutes.get(key);
    if (known !== undefined) return known;
    if (this.#minutes.size >= MAX_MINUTES) this.#drain();
    const made = { minute, series, n: new Uint32Array(CELLS), bytes: new Float64Array(CELLS) };
    this.#minutes.set(key, made);
    return made;
  }

  #drain(): void {
    for (const { minute, series, n, bytes } of this.#minutes.values()) {
      for (let cell = 0; cell < CELLS; cell += 1) {
        const count = n[cell] as number;
        if (count === 0) continue;
        const bucket = cell % BUCKETS;
        const key = (cell - bucket) / BUCKETS;
        const told = bucket === BUCKETS - 1 ? NO_BUCKET : bucket;
        this.#rows.push([minute * MINUTE_MS, series, key >> 1, key & 1, told, count, bytes[cell] as number]);
      }
    }
    this.#minutes.clear();
  }
}

/** minute, series, class, probe, bucket, n, bytes. */
function rollupRows(rows: readonly (readonly number[])[]): Rows {
  const column = (index: number): number[] => rows.map((row) => row[index] as number);
  return {
    table: "rollup_new",
    length: rows.length,
    columns: [
      { kind: "time", values: Float64Array.from(column(0)) },
      { kind: "u32", values: Uint32Array.from(column(1)) },
      { kind: "u8", values: Uint8Array.from(column(2)) },
      { kind: "boolean", values: Uint8Array.from(column(3)) },
      { kind: "u8", values: Uint8Array.from(column(4)) },
      { kind: "i64", values: Float64Array.from(column(5)) },
      { kind: "i64", values: Float64Array.from(column(6)) },
    ],
  };
}
