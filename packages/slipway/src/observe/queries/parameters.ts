/** The values of a query's parameters: what was given, checked; defaults; times like `-1h` and `now` made absolute. */
import { parseDuration, SlipwayError } from "@slipway/base";
import type { CellValue, QueryParameters } from "../warehouse/warehouse.ts";
import type { NamedQuery, QueryParameter } from "./query-file.ts";

/** Times are rounded down to this, so that the same question within it has the same answer from the cache. */
const ROUND_MS = 1_000;

/**
 * Every declared parameter with its value; times as ISO 8601 in UTC. Throws QUERY_PARAMETER for one that is unknown,
 * missing or of the wrong kind.
 */
export function resolveParameters(
  query: Pick<NamedQuery, "name" | "parameters"> & Partial<Pick<NamedQuery, "file">>,
  given: Readonly<Record<string, unknown>>,
  now: number,
): QueryParameters {
  const problem = (name: string, message: string): SlipwayError =>
    new SlipwayError({
      code: "QUERY_PARAMETER",
      where: `queries/${query.name}/${name}`,
      message,
      hint: `Parameters: ${Object.keys(query.parameters).join(", ") || "none"}. ${where(query)}`,
      exitCode: 2,
    });
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(query.parameters, name)) throw problem(name, "the query has no such parameter");
  }
  const resolved: Record<string, CellValue> = {};
  for (const [name, parameter] of Object.entries(query.parameters)) {
    const value = given[name] ?? parameter.default;
    if (value === undefined) throw problem(name, "has no default: give it a value");
    const read = readValue(parameter, value, now);
    if (typeof read === "object") throw problem(name, read.problem);
    resolved[name] = read;
  }
  return resolved;
}

/** Where it says what its parameters are: SQL of somebody's own has no file. */
function where({ name, file = "" }: { readonly name: string; readonly file?: string }): string {
  if (file === "") return "Each is given as --param name=value.";
  return `\`slipway queries show ${name}\` tells more.`;
}

/** A value as typed on a command line is text. */
function readValue(
  parameter: QueryParameter,
  value: unknown,
  now: number,
): string | number | boolean | { readonly problem: string } {
  const shown = JSON.stringify(value);
  switch (parameter.type) {
    case "time": {
      const at = timeOf(value, now);
      return at === undefined
        ? { problem: `${shown} is no time: write now, -90m, -7d, 2026-01-31 or 2026-01-31T09:00:00Z` }
        : new Date(at).toISOString();
    }
    case "number": {
      const number = typeof value === "number" ? value : Number(value === "" ? Number.NaN : value);
      if (!Number.isFinite(number)) return { problem: `${shown} is no number` };
      const { min = -Infinity, max = Infinity } = parameter;
      if (number < min || number > max) return { problem: `${number} is out of bounds: ${bounds(min, max)}` };
      return number;
    }
    case "boolean":
      if (value === true || value === "true") return true;
      if (value === false || value === "false") return false;
      return { problem: `${shown} is neither true nor false` };
    case "text": {
      const text = String(value);
      if (parameter.oneOf !== undefined && !parameter.oneOf.includes(text))
        return { problem: `${shown} is none of ${parameter.oneOf.join(", ")}` };
      return text;
    }
  }
}

function bounds(min: number, max: number): string {
  if (max === Infinity) return `at least ${min}`;
  return min === -Infinity ? `at most ${max}` : `${min} to ${max}`;
}

/** ms since the epoch; undefined when it is no time. A date without a zone is UTC. */
export function timeOf(value: unknown, now: number): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined;
  if (typeof value !== "string") return undefined;
  const rounded = Math.floor(now / ROUND_MS) * ROUND_MS;
  if (value === "now") return rounded;
  const back = /^-(.+)$/.exec(value)?.[1];
  if (back !== undefined) {
    try {
      return rounded - parseDuration(back);
    } catch {
      return undefined;
    }
  }
  if (!/^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/.test(value))
    return undefined;
  const hasZone = /(?:Z|[+-]\d{2}:?\d{2})$/.test(value) && value.length > 10;
  const at = Date.parse(
    value.length === 10 ? `${value}T00:00:00Z` : hasZone ? value : `${value.replace(" ", "T")}Z`,
  );
  return Number.isNaN(at) ? undefined : at;
}
