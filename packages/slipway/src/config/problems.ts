/** Turns zod's issues into errors as Slipway words them: place, colon, fact; then what to do. */
import { nearest, SlipwayError } from "@slipway/base";
import type * as z from "zod";
import { configSchema } from "./schema.ts";

export function configError(file: string, error: z.ZodError): SlipwayError {
  const problems = error.issues.flatMap((issue) => describe(issue, []));
  const [first, ...rest] = problems;
  // Of several problems each carries its own advice; below them all it would seem to belong to the last.
  const told = ({ message, hint }: Problem): string =>
    rest.length === 0 || hint === undefined ? message : `${message} (${hint.replace(/\.$/, "")})`;
  const more = rest.map((problem) => `\n${[file, ...problem.path].join("/")}: ${told(problem)}`).join("");
  return new SlipwayError({
    code: first?.code ?? "CONFIG_INVALID",
    where: [file, ...(first?.path ?? [])].join("/"),
    message: `${first === undefined ? "is not valid" : told(first)}${more}`,
    hint: rest.length === 0 ? first?.hint : undefined,
    exitCode: 2,
  });
}

interface Problem {
  readonly code: string;
  readonly path: readonly string[];
  readonly message: string;
  readonly hint?: string;
}

function describe(issue: z.core.$ZodIssue, prefix: readonly string[]): Problem[] {
  const path = [...prefix, ...issue.path.map(String)];
  if (issue.code === "unrecognized_keys") {
    const known = knownKeys(path);
    return issue.keys.map((key) => {
      const guess = nearest(key, known);
      return {
        code: "CONFIG_UNKNOWN_KEY",
        path,
        message: `unknown key "${key}"`,
        hint: guess === undefined ? `Known here: ${known.join(", ") || "none"}.` : `Did you mean "${guess}"?`,
      };
    });
  }
  if (issue.code === "invalid_union") {
    // The branch that got furthest is what the author meant: an unknown key beside a right one, or a wrong type.
    const isOther = (inner: z.core.$ZodIssue): boolean =>
      isMissing(inner) || (inner.code === "invalid_type" && inner.path.length === 0);
    const branches = issue.errors.filter((errors) => !errors.some(isOther));
    const best = branches.sort((a, b) => a.length - b.length)[0];
    if (best !== undefined && best.length > 0) return best.flatMap((inner) => describe(inner, path));
    return [{ code: "CONFIG_INVALID", path, ...noBranch(issue, path) }];
  }
  if (issue.code === "invalid_type") {
    const lacks = isMissing(issue);
    return [
      {
        code: lacks ? "CONFIG_MISSING_KEY" : "CONFIG_WRONG_TYPE",
        path,
        message: lacks
          ? `is missing; it should be ${article(issue.expected)}`
          : `${issue.message.startsWith("should") ? issue.message : `should be ${article(issue.expected)}`}${got(issue)}`,
      },
    ];
  }
  if (issue.code === "invalid_key") {
    // The last part of the path is the key itself, which may hold slashes.
    const message = `the name "${path.at(-1)}" ${issue.issues[0]?.message ?? "is not valid"}`;
    return [{ code: "CONFIG_INVALID", path: path.slice(0, -1), message }];
  }
  const isPlain = typeof issue.input !== "object";
  return [{ code: "CONFIG_INVALID", path, message: `${factOf(issue)}${isPlain ? got(issue) : ""}` }];
}

/** Of a choice between objects, the key that decides may be the one that is misspelt. */
function noBranch(issue: z.core.$ZodIssue, path: readonly string[]): Pick<Problem, "message" | "hint"> {
  const { input, message } = issue;
  if (typeof input !== "object" || input === null || Array.isArray(input)) return { message };
  const known = knownKeys(path);
  const unknown = Object.keys(input).filter((key) => !known.includes(key));
  if (unknown.length === 0) return { message };
  const guess = unknown.map((key) => nearest(key, known)).find((key) => key !== undefined);
  return {
    message: `${message}, got { ${unknown.join(", ")} }`,
    ...(guess === undefined ? {} : { hint: `Did you mean "${guess}"?` }),
  };
}

/** Our own schema's messages say what should be; zod's are translated. */
function factOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "too_big":
    case "too_small": {
      if (issue.message.startsWith("should")) return issue.message;
      if (issue.code === "too_small" && issue.origin !== "number" && issue.minimum === 1)
        return "should not be empty";
      const bound = issue.code === "too_big" ? `at most ${issue.maximum}` : `at least ${issue.minimum}`;
      if (issue.origin === "array") return `should have ${bound} entries`;
      return issue.origin === "string" ? `should have ${bound} characters` : `should be ${bound}`;
    }
    case "invalid_value":
      return `should be ${issue.values.map((value) => JSON.stringify(value)).join(" or ")}`;
    default:
      return issue.message;
  }
}

/** A key that is not there at all, be its type simple or a choice. */
function isMissing(issue: z.core.$ZodIssue): boolean {
  if (issue.code === "invalid_type") return issue.message.includes("received undefined");
  return issue.code === "invalid_union" && issue.path.length > 0 && issue.input === undefined;
}

function got(issue: z.core.$ZodIssue): string {
  if (!("input" in issue) || issue.input === undefined) return "";
  if (typeof issue.input === "function") return ", got a function";
  const text = JSON.stringify(issue.input);
  return `, got ${text.length <= 80 ? text : `${text.slice(0, 79)}…`}`;
}

function article(expected: string): string {
  const words: Readonly<Record<string, string>> = {
    record: "an object",
    object: "an object",
    array: "a list",
    int: "a whole number",
    string: "a text",
  };
  return words[expected] ?? `a ${expected}`;
}

/** Walks the schema along a path to say which keys it knows there. */
function knownKeys(path: readonly string[]): string[] {
  let shapes: Schema[] = [configSchema as unknown as Schema];
  for (const key of path) shapes = shapes.flatMap(unwrap).flatMap((shape) => step(shape, key));
  return [...new Set(shapes.flatMap(unwrap).flatMap((shape) => Object.keys(shape.def.shape ?? {})))].sort();
}

interface Schema {
  readonly def: {
    readonly type: string;
    readonly shape?: Readonly<Record<string, Schema>>;
    readonly innerType?: Schema;
    readonly options?: readonly Schema[];
    readonly valueType?: Schema;
    readonly element?: Schema;
  };
}

function unwrap(schema: Schema): Schema[] {
  const { innerType, options } = schema.def;
  if (innerType !== undefined) return unwrap(innerType);
  return options === undefined ? [schema] : options.flatMap(unwrap);
}

function step(schema: Schema, key: string): Schema[] {
  const { shape, valueType, element } = schema.def;
  const next = shape?.[key] ?? valueType ?? element;
  return next === undefined ? [] : [next];
}
