/**
 * The prefix that kubelet's runtime puts before each line: `2026-01-02T03:04:05.000000000Z stdout F text`. Lines that
 * were too long for the runtime's buffer come in parts: `P` until `F`.
 */
import type { Times } from "./time.ts";

/** Its answer stands in its fields until the next call. */
export class CriPrefix {
  /** ms since the epoch. */
  ts = 0;
  isStderr = false;
  isPartial = false;
  /** Where the text begins. */
  start = 0;

  /** False when the line has no such prefix. */
  read(times: Times, text: string, start: number, end: number): boolean {
    const space = text.indexOf(" ", start);
    if (space < 0 || space + 10 > end + 1) return false;
    this.isStderr = text.startsWith("stderr ", space + 1);
    if (!this.isStderr && !text.startsWith("stdout ", space + 1)) return false;
    const tag = space + 8;
    const kind = text.charCodeAt(tag);
    if (kind !== FULL && kind !== PARTIAL) return false;
    this.isPartial = kind === PARTIAL;
    // Further tags may follow: `F:a:b `. Some runtimes leave out the space before an empty text.
    let after = tag + 1;
    while (after < end && text.charCodeAt(after) !== SPACE) {
      if (after === tag + 1 && text.charCodeAt(after) !== COLON) return false;
      after += 1;
    }
    this.ts = times.iso(text, start, space);
    this.start = Math.min(after + 1, end);
    return !Number.isNaN(this.ts);
  }
}

const FULL = 70;
const PARTIAL = 80;
const SPACE = 32;
const COLON = 58;
