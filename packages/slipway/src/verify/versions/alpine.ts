/**
 * Versions of Alpine packages: `1.2.3b_alpha1_p2-r4`.
 * Source: apk-package(5), "Package version": digits, one letter, suffixes in the order alpha, beta, pre, rc, (none),
 * cvs, svn, git, hg, p, then the package's revision. A part after the first that begins with 0 is compared as a fraction.
 */
import { compareNumbers } from "./debian.ts";

const SUFFIXES = ["alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg", "p"];

interface AlpineVersion {
  readonly digits: readonly string[];
  readonly letter: string;
  readonly suffixes: readonly { readonly rank: number; readonly number: string }[];
  readonly revision: string;
}

/** Undefined when the text is no version in Alpine's form. */
function parseAlpine(version: string): AlpineVersion | undefined {
  const match =
    /^(\d+(?:\.\d+)*)([a-z]?)((?:_(?:alpha|beta|pre|rc|cvs|svn|git|hg|p)\d*)*)(?:~[0-9a-f]+)?(?:-r(\d+))?$/.exec(
      version,
    );
  if (match === null) return undefined;
  const [, digits = "", letter = "", suffixes = "", revision = "0"] = match;
  return {
    digits: digits.split("."),
    letter,
    suffixes: [...suffixes.matchAll(/_([a-z]+)(\d*)/g)].map(([, name = "", number = ""]) => ({
      rank: SUFFIXES.indexOf(name),
      number: number === "" ? "0" : number,
    })),
    revision,
  };
}

export function compareAlpine(a: string, b: string): number {
  const [left, right] = [parseAlpine(a), parseAlpine(b)];
  if (left === undefined || right === undefined) return a < b ? -1 : a > b ? 1 : 0;
  const longest = Math.max(left.digits.length, right.digits.length);
  for (let at = 0; at < longest; at += 1) {
    const [x, y] = [left.digits[at], right.digits[at]];
    if (x === undefined || y === undefined) return x === undefined ? -1 : 1;
    const isFraction = at > 0 && (x.startsWith("0") || y.startsWith("0"));
    const difference = isFraction ? (x < y ? -1 : x > y ? 1 : 0) : compareNumbers(x, y);
    if (difference !== 0) return difference;
  }
  if (left.letter !== right.letter) return left.letter < right.letter ? -1 : 1;
  const none = { rank: SUFFIXES.indexOf(""), number: "0" };
  for (let at = 0; at < Math.max(left.suffixes.length, right.suffixes.length); at += 1) {
    const [x, y] = [left.suffixes[at] ?? none, right.suffixes[at] ?? none];
    const difference = x.rank - y.rank || compareNumbers(x.number, y.number);
    if (difference !== 0) return difference;
  }
  return compareNumbers(left.revision, right.revision);
}
