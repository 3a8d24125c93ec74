/**
 * Decoding as the API server does it: JSON against the Go types. A wrong type cannot be decoded at all (400 with Go's
 * words); an unknown field is dropped, and told as an error or a warning by `fieldValidation`.
 */
import { quantityProblem } from "../quantity.ts";
import type { KubeObject, Quantity } from "../resources/meta.ts";
import { type FieldSchema, schemaOf } from "../schema/schema.ts";

/**
 * The unknown fields of an object, as the server words them: `unknown field "spec.replicsa"`. Empty for a kind that
 * the schema table does not hold. The caller joins them: `strict decoding error: ` + problems.join(", ").
 */
export function strictProblems(object: KubeObject): readonly string[] {
  const schema = schemaOf(object.apiVersion, object.kind);
  if (schema === undefined) return [];
  const found: string[] = [];
  walk(object, schema, "", (path) => found.push(`unknown field "${path}"`));
  return found;
}

/** The object without the fields that the schema does not know; the same object when it has none. */
export function pruneUnknown<T extends KubeObject>(object: T): T {
  const schema = schemaOf(object.apiVersion, object.kind);
  return schema === undefined ? object : (walk(object, schema, "", () => {}) as T);
}

/** Returns the value without unknown fields and reports their paths. */
function walk(value: unknown, schema: FieldSchema, path: string, report: (path: string) => void): unknown {
  if (typeof value !== "object" || value === null || schema.type === "any") return value;
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items === undefined || items.fieldNames.length + (items.values === undefined ? 0 : 1) === 0)
      return value;
    let isChanged = false;
    const next = value.map((item, index) => {
      const walked = walk(item, items, `${path}[${index}]`, report);
      isChanged ||= walked !== item;
      return walked;
    });
    return isChanged ? next : value;
  }
  let result: Record<string, unknown> | undefined;
  for (const [name, child] of Object.entries(value)) {
    const childPath = path === "" ? name : `${path}.${name}`;
    const field = schema.field(name);
    if (field === undefined) {
      if (schema.type !== "object") continue;
      report(childPath);
      result ??= { ...value };
      delete result[name];
      continue;
    }
    const walked = walk(child, field, childPath, report);
    if (walked === child) continue;
    result ??= { ...value };
    result[name] = walked;
  }
  return result ?? value;
}

/**
 * Why the object cannot be decoded into its kind, or undefined: a full message for a 400, like
 * `Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field
 * DeploymentSpec.spec.replicas of type int32`.
 */
export function decodeProblem(object: KubeObject): string | undefined {
  const schema = schemaOf(object.apiVersion, object.kind);
  if (schema === undefined) return undefined;
  const problem = findMismatch(object, schema, object.kind, "");
  if (problem === undefined) return undefined;
  const version = object.apiVersion.split("/").at(-1);
  return `${object.kind} in version "${version}" cannot be handled as a ${object.kind}: ${problem}`;
}

/** The first value whose type does not fit. `owner` is the Go struct that holds the field, `path` leads to it. */
function findMismatch(value: unknown, schema: FieldSchema, owner: string, path: string): string | undefined {
  // Go leaves a field as it is when JSON says null.
  if (value === null || value === undefined || schema.type === "any") return undefined;
  const mismatch = (): string =>
    `json: cannot unmarshal ${jsonType(value)} into Go struct field ${owner}.${path} of type ${goType(schema)}`;
  switch (schema.type) {
    case "string":
      return stringProblem(value, schema, mismatch);
    case "integer":
      return integerProblem(value, schema, owner, path, mismatch);
    case "number":
      return typeof value === "number" ? undefined : mismatch();
    case "boolean":
      return typeof value === "boolean" ? undefined : mismatch();
    case "list":
      if (!Array.isArray(value)) return mismatch();
      return firstProblem(value.values(), (item) =>
        schema.items === undefined ? undefined : findMismatch(item, schema.items, owner, path),
      );
    case "map":
    case "object": {
      if (typeof value !== "object" || Array.isArray(value)) return mismatch();
      const struct = schema.type === "map" ? owner : structName(schema);
      return firstProblem(Object.entries(value).values(), ([name, child]) => {
        const field = schema.field(name);
        if (field === undefined) return undefined;
        const childPath = schema.type === "map" ? path : path === "" ? name : `${path}.${name}`;
        return findMismatch(child, field, struct, childPath);
      });
    }
  }
}

function firstProblem<T>(items: Iterable<T>, check: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const problem = check(item);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function stringProblem(value: unknown, schema: FieldSchema, mismatch: () => string): string | undefined {
  switch (schema.format) {
    case "quantity":
      if (typeof value !== "string" && typeof value !== "number") return mismatch();
      return quantityProblem(value as Quantity);
    case "int-or-string":
      if (typeof value === "number") return Number.isInteger(value) ? undefined : mismatch();
      return typeof value === "string" ? undefined : mismatch();
    case "date-time":
    case "micro-time":
      if (typeof value !== "string") return mismatch();
      return timeProblem(value, schema.format);
    case "byte":
      return typeof value === "string" ? base64Problem(value) : mismatch();
    default:
      return typeof value === "string" ? undefined : mismatch();
  }
}

const RANGE: Readonly<Record<string, number>> = { int32: 2 ** 31, int64: 2 ** 63 };

function integerProblem(
  value: unknown,
  schema: FieldSchema,
  owner: string,
  path: string,
  mismatch: () => string,
): string | undefined {
  if (typeof value !== "number") return mismatch();
  const range = RANGE[schema.format ?? "int64"] ?? 2 ** 63;
  if (Number.isInteger(value) && value >= -range && value < range) return undefined;
  return `json: cannot unmarshal number ${value} into Go struct field ${owner}.${path} of type ${goType(schema)}`;
}

function timeProblem(value: string, format: "date-time" | "micro-time"): string | undefined {
  const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(value);
  if (isTime && !Number.isNaN(Date.parse(value))) return undefined;
  const layout = format === "date-time" ? "2006-01-02T15:04:05Z07:00" : "2006-01-02T15:04:05.000000Z07:00";
  return `parsing time ${JSON.stringify(value)} as "${layout}": cannot parse ${JSON.stringify(value)}`;
}

/** Go names the first byte that is wrong; whitespace counts as wrong here, line breaks do not. */
function base64Problem(value: string): string | undefined {
  const text = value.replace(/[\r\n]/g, "");
  if (/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return undefined;
  const bad = /[^A-Za-z0-9+/]/.exec(text)?.index ?? text.length - (text.length % 4);
  return `illegal base64 data at input byte ${bad}`;
}

function jsonType(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : typeof value;
}

function structName(schema: FieldSchema): string {
  return schema.definitionName?.split(".").at(-1) ?? "";
}

/** `int32`, `map[string]string`, `[]v1.Container`: how Go names the type of a field. */
function goType(schema: FieldSchema): string {
  if (schema.definitionName !== undefined) {
    const [version, name] = schema.definitionName.split(".").slice(-2) as [string, string];
    return `${version}.${name}`;
  }
  switch (schema.type) {
    case "list":
      return `[]${schema.items === undefined ? "interface {}" : goType(schema.items)}`;
    case "map":
      return `map[string]${schema.values === undefined ? "interface {}" : goType(schema.values)}`;
    case "boolean":
      return "bool";
    case "integer":
      return schema.format ?? "int64";
    case "number":
      return "float64";
    case "string":
      return schema.format === "byte" ? "[]uint8" : "string";
    case "object":
    case "any":
      return "interface {}";
  }
}
