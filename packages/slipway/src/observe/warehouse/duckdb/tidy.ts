/** What is due: days to seal, files to drop. Decided from numbers; carried out by `duckdb.ts`. */

import type { SealedKind } from "./schema.ts";
import type { SealedFile } from "./sealed.ts";

export interface HotDay {
  readonly kind: SealedKind;
  /** Begin of the day in UTC, ms. */
  readonly from: number;
  readonly rows: number;
}

export interface Keep {
  /** Since the newest row, and since it was sealed: what was imported yesterday is not dropped for being old. */
  readonly keepForMs: number;
  readonly maxBytes: number;
  /** A day is sealed so long after its end: most late lines have come by then. */
  readonly graceMs: number;
}

export const DAY_MS = 86_400_000;
/** So many late rows of a day that is sealed already are worth another file at once. */
const MANY_ROWS = 100_000;
/** Fewer wait so long, so that a trickle does not make a file each minute. */
const TRICKLE_MS = 20 * 3_600_000;
/** A log with dates from everywhere must not make a file for each of its days. */
const MAX_DAYS = 8;

export interface Seal {
  readonly kind: SealedKind;
  /** Of the newest row: `2026-11-28`. */
  readonly day: string;
  /** Rows from here on, before there; ms. Undefined: all that is older. */
  readonly from: number | undefined;
  readonly to: number;
}

export function sealsDue(
  hot: readonly HotDay[],
  sealed: readonly SealedFile[],
  keep: Keep,
  now: number,
): Seal[] {
  const due = hot
    .filter(({ from }) => from + DAY_MS + keep.graceMs <= now)
    .filter((one) => {
      const last = Math.max(...sealed.filter(isPartOf(one)).map(({ sealedAt }) => sealedAt), -Infinity);
      return one.rows >= MANY_ROWS || now - last >= TRICKLE_MS;
    });
  return [...new Set(due.map(({ kind }) => kind))].flatMap((kind) => {
    const days = due.filter((one) => one.kind === kind).sort((a, b) => a.from - b.from);
    const older = days.slice(0, Math.max(0, days.length - MAX_DAYS));
    const each = days.slice(older.length).map(({ from }): Seal => sealOf(kind, from, from));
    const last = older.at(-1);
    return last === undefined ? each : [sealOf(kind, undefined, last.from), ...each];
  });
}

function sealOf(kind: SealedKind, from: number | undefined, lastDay: number): Seal {
  return { kind, day: dayOf(lastDay), from, to: lastDay + DAY_MS };
}

function isPartOf(hot: HotDay): (file: SealedFile) => boolean {
  return ({ kind, oldest, newest }) => kind === hot.kind && oldest < hot.from + DAY_MS && newest >= hot.from;
}

export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** Oldest first; files that are older than wanted, and then as many as make the warehouse small enough. */
export function filesToDrop(
  sealed: readonly SealedFile[],
  hotBytes: number,
  keep: Keep,
  now: number,
): readonly SealedFile[] {
  const isOld = ({ newest, sealedAt }: SealedFile): boolean =>
    newest + keep.keepForMs < now && sealedAt + keep.keepForMs < now;
  const old = sealed.filter(isOld);
  const rest = sealed.filter((one) => !isOld(one)).sort((a, b) => a.newest - b.newest);
  let bytes = hotBytes + rest.reduce((sum, one) => sum + one.bytes, 0);
  const tooMuch: SealedFile[] = [];
  for (const one of rest) {
    if (bytes <= keep.maxBytes) break;
    tooMuch.push(one);
    bytes -= one.bytes;
  }
  return [...old, ...tooMuch];
}
