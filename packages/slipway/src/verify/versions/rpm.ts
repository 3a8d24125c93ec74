/**
 * Versions of RPM packages, `[epoch:]version[-release]`.
 * Source: rpm-version(7): runs of digits or letters in turn, separators ignored, digits above letters, `~` before
 * everything, `^` after the end but before anything more.
 */
import { compareNumbers } from "./debian.ts";

export function compareRpm(a: string, b: string): number {
  const [left, right] = [parts(a), parts(b)];
  const version = left.epoch - right.epoch || compareText(left.version, right.version);
  // A version without a release stands for all of its releases, as in a dependency.
  if (version !== 0 || left.release === undefined || right.release === undefined) return version;
  return compareText(left.release, right.release);
}

function parts(text: string): { epoch: number; version: string; release: string | undefined } {
  const match = /^(?:(\d+):)?([^-]*)(?:-(.*))?$/s.exec(text);
  return { epoch: Number(match?.[1] ?? 0), version: match?.[2] ?? text, release: match?.[3] };
}

function compareText(a: string, b: string): number {
  const [left, right] = [runsOf(a), runsOf(b)];
  for (let at = 0; ; at += 1) {
    const [x, y] = [left[at], right[at]];
    if (x === y) {
      if (x === undefined) return 0;
      continue;
    }
    if (x === "~" || y === "~") return x === "~" ? -1 : 1;
    if (x === "^" || y === "^") {
      if (x === undefined || y === undefined) return x === undefined ? -1 : 1;
      return x === "^" ? -1 : 1;
    }
    if (x === undefined || y === undefined) return x === undefined ? -1 : 1;
    const [isX, isY] = [/^\d/.test(x), /^\d/.test(y)];
    if (isX !== isY) return isX ? 1 : -1;
    const difference = isX ? compareNumbers(x, y) : x < y ? -1 : 1;
    if (difference !== 0) return difference;
  }
}

const runsOf = (text: string): readonly string[] => text.match(/\d+|[A-Za-z]+|~|\^/g) ?? [];
