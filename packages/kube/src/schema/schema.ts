/**
 * Kubernetes types as data: what fields an object has, what they hold, and how lists and maps merge. Strategic
 * merge patch, server-side apply, strict decoding and the OpenAPI documents all read this one table.
 *
 * `schemaOf("apps/v1", "Deployment")` gives the root of a tree of `FieldSchema`; `field`, `items` and `values` walk
 * it. Nodes are made when first visited and kept, so a walk costs a map lookup per step.
 *
 * @example
 * schemaOf("v1", "Service")?.field("spec")?.field("ports")?.listKeys; // ["port", "protocol"]
 */
import table from "./table.json" with { type: "json" };
import type { Definition, Property, SchemaTable } from "./types.ts";

/** `any` is free-form JSON (FieldsV1, RawExtension), and every field of a kind that the table does not hold. */
export type FieldType = "string" | "integer" | "number" | "boolean" | "object" | "map" | "list" | "any";

export interface FieldSchema {
  readonly type: FieldType;
  /** `int32`, `int64`, `byte`, `double`, `date-time`, `micro-time`, `int-or-string`, `quantity`. */
  readonly format: string | undefined;
  /** The named type behind an `object`, or behind a scalar like Quantity. */
  readonly definitionName: string | undefined;
  /** A property of an object, the value of a map; undefined when an object has no such field. */
  field(name: string): FieldSchema | undefined;
  /** The names of an object's properties. */
  readonly fieldNames: readonly string[];
  readonly required: readonly string[];
  readonly items: FieldSchema | undefined;
  readonly values: FieldSchema | undefined;
  /** Server-side apply owns it as a whole: a scalar, or an object, map or list marked atomic. */
  readonly isAtomic: boolean;
  /** How server-side apply merges a list. */
  readonly listType: "atomic" | "set" | "map";
  readonly listKeys: readonly string[];
  readonly default: string | number | boolean | undefined;
  /** How strategic merge patch merges: a list with `merge`, an object with `retainKeys`, … */
  readonly strategy: readonly string[];
  readonly mergeKey: string | undefined;
}

export const schemaTable: SchemaTable = table as unknown as SchemaTable;

const nameByKind = new Map<string, string>();
for (const [name, definition] of Object.entries(schemaTable.definitions)) {
  for (const { group, version, kind } of definition.gvk ?? []) {
    nameByKind.set(`${group === "" ? version : `${group}/${version}`} ${kind}`, name);
  }
}

/** The definition's name in the table, like `io.k8s.api.apps.v1.Deployment`. */
export function definitionNameOf(apiVersion: string, kind: string): string | undefined {
  return nameByKind.get(`${apiVersion} ${kind}`);
}

const roots = new Map<string, FieldSchema>();

/** The schema of a kind, or undefined when the table does not hold it. */
export function schemaOf(apiVersion: string, kind: string): FieldSchema | undefined {
  const name = definitionNameOf(apiVersion, kind);
  if (name === undefined) return undefined;
  let root = roots.get(name);
  if (root === undefined) {
    root = compile({ ref: name });
    roots.set(name, root);
  }
  return root;
}

/**
 * Follows property names from a schema; list elements and map values are `*`.
 * `walkSchema(deployment, ["spec", "template", "spec", "containers", "*", "image"])`
 */
export function walkSchema(start: FieldSchema, path: readonly string[]): FieldSchema | undefined {
  let node: FieldSchema | undefined = start;
  for (const step of path) {
    if (node === undefined) return undefined;
    node = step === "*" && node.type === "list" ? node.items : node.field(step);
  }
  return node;
}

const NONE: readonly string[] = [];

/** For what no table describes: maps merge by key, lists are replaced, as Kubernetes treats a schemaless resource. */
export const anySchema: FieldSchema = {
  type: "any",
  format: undefined,
  definitionName: undefined,
  field: () => anySchema,
  fieldNames: NONE,
  required: NONE,
  items: undefined,
  values: undefined,
  isAtomic: false,
  listType: "atomic",
  listKeys: NONE,
  default: undefined,
  strategy: NONE,
  mergeKey: undefined,
};

function compile(property: Property): FieldSchema {
  const definition = property.ref === undefined ? undefined : schemaTable.definitions[property.ref];
  const type = fieldType(property, definition);
  const { listType, listKeys } = listMerge(property);
  const fields = new Map<string, FieldSchema>();
  const properties = definition?.properties ?? {};
  const values = once(() => (property.map === undefined ? undefined : compile(property.map)));
  const items = once(() => (property.items === undefined ? undefined : compile(property.items)));
  const mapType = property.mapType ?? definition?.mapType;

  const field = (name: string): FieldSchema | undefined => {
    if (type === "map") return values();
    if (type !== "object") return type === "any" ? anySchema : undefined;
    const known = fields.get(name);
    if (known !== undefined) return known;
    if (!Object.hasOwn(properties, name)) return undefined;
    const made = compile(properties[name] as Property);
    fields.set(name, made);
    return made;
  };
  return {
    type,
    format: formatOf(property, definition),
    definitionName: property.ref,
    field,
    fieldNames: Object.keys(properties),
    required: definition?.required ?? NONE,
    get items() {
      return items();
    },
    get values() {
      return values();
    },
    isAtomic: isAtomic(type, mapType, listType),
    listType,
    listKeys,
    default: property.default,
    strategy: property.strategy ?? NONE,
    mergeKey: property.mergeKey,
  };
}

function fieldType(property: Property, definition: Definition | undefined): FieldType {
  const type = definition?.type ?? property.type ?? "object";
  if (type === "array") return "list";
  if (type !== "object") return type;
  if (definition?.properties !== undefined) return "object";
  return property.map === undefined ? "any" : "map";
}

function formatOf(property: Property, definition: Definition | undefined): string | undefined {
  if (property.ref?.endsWith(".resource.Quantity")) return "quantity";
  if (property.ref?.endsWith(".v1.MicroTime")) return "micro-time";
  return property.format ?? definition?.format;
}

/** Without a list type of its own, a list merges as its patch strategy says; that is Kubernetes' own fallback. */
function listMerge(property: Property): Pick<FieldSchema, "listType" | "listKeys"> {
  if (property.listType !== undefined) {
    return { listType: property.listType, listKeys: property.listKeys ?? NONE };
  }
  if (!property.strategy?.includes("merge")) return { listType: "atomic", listKeys: NONE };
  return property.mergeKey === undefined
    ? { listType: "set", listKeys: NONE }
    : { listType: "map", listKeys: [property.mergeKey] };
}

function isAtomic(type: FieldType, mapType: string | undefined, listType: string): boolean {
  switch (type) {
    case "object":
    case "map":
      return mapType === "atomic";
    case "list":
      return listType === "atomic";
    case "any":
    case "string":
    case "integer":
    case "number":
    case "boolean":
      return true;
  }
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
