/** Turns zod's issues into errors as Slipway words them: place, colon, fact; then what to do. */
import { nearest, SlipwayError } from "@slipway/base";
import type { z } from "zod";
import { configSchema } from "./schema.ts";

export function configError(file: string, error: z.ZodError): SlipwayError {
  const problems = error.issues.flatMap((issue) => describe(issue, []));
  const [first, ...rest] = problems;
  const more = rest.map(({ path, message }) => `\n${[file, ...path].join("/")}: ${message}`).join("");
  return new SlipwayError({
    code: first?.code ?? "CONFIG_INVALID",
    where: [file, ...(first?.path ?? [])].join("/"),
    message: `${first?.message ?? "is not valid"}${more}`,
    hint: first?.hint,
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
    const branches = issue.errors.filter(
      (errors) =>
        !errors.some(
          (inner) => inner.code === "invalid_type" && inner.message.includes("received undefined"),
        ),
    );
    const best = branches.sort((a, b) => a.length - b.length)[0];
    if (best !== undefined && best.length > 0) return best.flatMap((inner) => describe(inner, path));
    return [{ code: "CONFIG_INVALID", path, message: issue.message }];
  }
  if (issue.code === "invalid_type") {
    const isMissing = issue.message.includes("received undefined");
    return [
      {
        code: isMissing ? "CONFIG_MISSING_KEY" : "CONFIG_WRONG_TYPE",
        path,
        message: isMissing
          ? `is missing; it should be ${article(issue.expected)}`
          : `should be ${article(issue.expected)}${got(issue)}`,
      },
    ];
  }
  return [{ code: "CONFIG_INVALID", path, message: issue.message }];
}

function got(issue: z.core.$ZodIssue): string {
  return "input" in issue && issue.input !== undefined ? `, got ${JSON.stringify(issue.input)}` : "";
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
