/**
 * Ranges of versions, `>=1.22 <2 || 3.1`, compared as each package manager compares. npm's own ranges (`^1.2`, `~1.2`,
 * `1.x`, `1 - 2`) are read by npm's `semver`.
 */
import semver from "semver";
import type { PackageManager } from "../check.ts";
import { compareAlpine } from "./alpine.ts";
import { compareDebian } from "./debian.ts";
import { compareRpm } from "./rpm.ts";

const COMPARE = { dpkg: compareDebian, apk: compareAlpine, rpm: compareRpm } as const;

/** Whether it is a range for at least one manager. */
export const isRange = (range: string): boolean =>
  range.split("||").every((part) => part.trim() !== "") &&
  (comparators(range) !== undefined || semver.validRange(range) !== null);

/** Undefined: the range says nothing in this manager's versions. */
export function isInRange(manager: PackageManager, version: string, range: string): boolean | undefined {
  if (manager === "npm") {
    const valid = semver.validRange(range);
    if (valid === null || semver.valid(version) === null) return undefined;
    return semver.satisfies(version, valid, { includePrerelease: false });
  }
  const alternatives = comparators(range);
  if (alternatives === undefined) return undefined;
  const compare = COMPARE[manager];
  return alternatives.some((all) =>
    all.every(({ operator, version: bound }) => holds(compare(version, bound), operator)),
  );
}

type Operator = ">=" | "<=" | ">" | "<" | "=";

function holds(order: number, operator: Operator): boolean {
  switch (operator) {
    case ">=":
      return order >= 0;
    case "<=":
      return order <= 0;
    case ">":
      return order > 0;
    case "<":
      return order < 0;
    case "=":
      return order === 0;
  }
}

function comparators(
  range: string,
): readonly (readonly { readonly operator: Operator; readonly version: string }[])[] | undefined {
  const alternatives = range.split("||").map((part) => {
    const found = [...part.matchAll(/(>=|<=|>|<|=)?\s*([^\s<>=|]+)\s*/g)];
    const length = found.reduce((sum, match) => sum + match[0].length, 0);
    const isWhole = found.length > 0 && length === part.trimStart().length;
    const parsed = found.map(([, operator = "=", version = ""]) => ({
      operator: operator as Operator,
      version,
    }));
    return isWhole && parsed.every(({ version }) => /^\d/.test(version)) ? parsed : undefined;
  });
  return alternatives.includes(undefined) ? undefined : alternatives.map((one) => one ?? []);
}
