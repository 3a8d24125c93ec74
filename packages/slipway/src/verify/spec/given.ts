/**
 * What a word was given, held against what it can mean: spec files are run without their types, and `t.user(undefined).absent()`,
 * of a variable that is not set, or `t.package(/nginx/).absent()` would hold because nothing has such a name.
 */
import { specError } from "../collect.ts";

/** A text, which may be empty: of a value that is compared. */
export function text(what: string, given: unknown): string {
  if (typeof given === "string") return given;
  throw specError(`${what} expects a text, got ${shown(given)}`);
}

/** A text that is not empty: of a thing that is looked for. */
export function name(what: string, given: unknown, hint?: string): string {
  if (typeof given === "string" && given !== "") return given;
  throw specError(`${what} expects a name, got ${shown(given)}`, hint);
}

/** The name of a user or group, or its id. */
export const account = (what: string, given: unknown): string =>
  typeof given === "number" && Number.isInteger(given) && given >= 0 ? String(given) : name(what, given);

export function fullPath(what: string, given: unknown): string {
  if (typeof given === "string" && given.startsWith("/")) return given;
  throw specError(`${what} is named by its full path, got ${shown(given)}`);
}

/** A variable without a value would be the text "undefined". */
export function textMap(what: string, given: unknown): Readonly<Record<string, string>> {
  if (given === undefined) return {};
  const isOther = Array.isArray(given) || given instanceof RegExp || given instanceof Map;
  if (typeof given !== "object" || given === null || isOther)
    throw specError(`${what} expects names with their values, like { A: "1" }, got ${shown(given)}`);
  return Object.fromEntries(
    Object.entries(given).map(([key, value]) => {
      const isPlain = typeof value === "number" || typeof value === "boolean";
      return [key, isPlain ? String(value) : text(`${what}: ${key}`, value)];
    }),
  );
}

export function flag(what: string, given: unknown): boolean {
  if (given === undefined || typeof given === "boolean") return given === true;
  throw specError(`${what} is true or false, got ${shown(given)}`);
}

/** The same for what may be left out. */
export const ifGiven = <T>(
  read: (what: string, given: unknown) => T,
  what: string,
  given: unknown,
): T | undefined => (given === undefined ? undefined : read(what, given));

function shown(given: unknown): string {
  if (given === undefined) return "nothing";
  if (typeof given === "function" || given instanceof RegExp) return String(given).split("\n")[0] ?? "";
  return JSON.stringify(given) ?? String(given);
}
