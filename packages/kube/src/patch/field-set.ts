/**
 * Sets of fields, kept in the very form in which `managedFields` carries them (FieldsV1), so that nothing is
 * translated on a write. A set is a tree: `f:name` is a field, `k:{"name":"a"}` an element of a keyed list, `v:"x"` an
 * element of a set. A node without children is a member; one with children is a member only if it has the child `.`.
 *
 * `{"f:spec":{"f:replicas":{},"f:ports":{".":{}}}}` holds `.spec.replicas` and `.spec.ports`, but not `.spec`.
 *
 * `undefined` is the empty set. Follows sigs.k8s.io/structured-merge-diff `fieldpath`.
 */
import { anySchema, type FieldSchema } from "../schema/schema.ts";
import { isObject, type JsonObject } from "./value.ts";

export interface FieldSet {
  readonly [element: string]: FieldSet;
}

const MEMBER: FieldSet = {};
const SELF = ".";

/** The node itself is in the set, not only something below it. */
export function isMember(node: FieldSet | undefined): boolean {
  if (node === undefined) return false;
  for (const key in node) return key === SELF || Object.hasOwn(node, SELF);
  return true;
}

function build(isIn: boolean, children: Record<string, FieldSet> | undefined): FieldSet | undefined {
  if (children === undefined) return isIn ? MEMBER : undefined;
  return isIn ? { [SELF]: MEMBER, ...children } : children;
}

type Combine = (a: FieldSet | undefined, b: FieldSet | undefined) => FieldSet | undefined;

function combineChildren(a: FieldSet, b: FieldSet, combine: Combine): Record<string, FieldSet> | undefined {
  let children: Record<string, FieldSet> | undefined;
  const add = (key: string): void => {
    const child = combine(a[key], b[key]);
    if (child === undefined) return;
    children ??= {};
    children[key] = child;
  };
  for (const key in a) if (key !== SELF) add(key);
  for (const key in b) if (key !== SELF && !(key in a)) add(key);
  return children;
}

export function union(a: FieldSet | undefined, b: FieldSet | undefined): FieldSet | undefined {
  if (a === undefined || a === b) return b;
  if (b === undefined) return a;
  return build(isMember(a) || isMember(b), combineChildren(a, b, union));
}

/** The members of `a` that are not members of `b`. */
export function difference(a: FieldSet | undefined, b: FieldSet | undefined): FieldSet | undefined {
  if (a === undefined || b === undefined) return a;
  return build(isMember(a) && !isMember(b), combineChildren(a, b, difference));
}

export function intersection(a: FieldSet | undefined, b: FieldSet | undefined): FieldSet | undefined {
  if (a === undefined || b === undefined) return undefined;
  return build(isMember(a) && isMember(b), combineChildren(a, b, intersection));
}

/** How server-side apply looks at a value: one leaf, or something that merges by parts. */
export type Merging = "leaf" | "fields" | "set" | "map";

export function mergingOf(value: unknown, schema: FieldSchema): Merging {
  if (schema.isAtomic) return "leaf";
  if (isObject(value)) return schema.type === "list" ? "leaf" : "fields";
  if (!Array.isArray(value) || schema.type !== "list" || schema.listType === "atomic") return "leaf";
  return schema.listType;
}

/** The path element of a list element: its keys, with the schema's defaults for those it leaves out. */
function elementOf(item: unknown, index: number, schema: FieldSchema): string {
  if (schema.listType === "set") return `v:${JSON.stringify(item)}`;
  if (!isObject(item)) return `i:${index}`;
  const keys: Record<string, unknown> = {};
  let found = 0;
  for (const key of schema.listKeys.length > 1 ? [...schema.listKeys].sort() : schema.listKeys) {
    const value = item[key] ?? schema.items?.field(key)?.default;
    if (value === undefined) continue;
    keys[key] = value;
    found += 1;
  }
  return found === 0 ? `i:${index}` : `k:${JSON.stringify(keys)}`;
}

/** Children of a value that merges by parts, as path element → value and schema. Nulls count as absent. */
export function* childrenOf(
  value: unknown,
  merging: Exclude<Merging, "leaf">,
  schema: FieldSchema,
): Generator<readonly [element: string, value: unknown, schema: FieldSchema]> {
  if (merging === "fields") {
    for (const [name, child] of Object.entries(value as JsonObject)) {
      if (child !== null && child !== undefined) yield [`f:${name}`, child, schema.field(name) ?? anySchema];
    }
    return;
  }
  let index = 0;
  for (const item of value as readonly unknown[]) {
    yield [elementOf(item, index, schema), item, schema.items ?? anySchema];
    index += 1;
  }
}

/**
 * The fields that an applied configuration sets. Fields of a struct are owned through what is in them; keys of a map
 * and elements of a list are also owned themselves, so that they vanish as a whole when they are no longer applied.
 */
export function fieldsOf(value: unknown, schema: FieldSchema, isOwnPart = false): FieldSet | undefined {
  const merging = mergingOf(value, schema);
  if (merging === "leaf") return MEMBER;
  let children: Record<string, FieldSet> | undefined;
  const ownsParts = merging !== "fields" || schema.type !== "object";
  for (const [element, child, childSchema] of childrenOf(value, merging, schema)) {
    const node = fieldsOf(child, childSchema, ownsParts);
    if (node === undefined) continue;
    children ??= {};
    children[element] = node;
  }
  return build(isOwnPart || children === undefined, children);
}

/** Every field of a value, itself and all that is on the way included: what appears or vanishes with it. */
function allFieldsOf(value: unknown, schema: FieldSchema): FieldSet {
  const merging = mergingOf(value, schema);
  if (merging === "leaf") return MEMBER;
  let children: Record<string, FieldSet> | undefined;
  for (const [element, child, childSchema] of childrenOf(value, merging, schema)) {
    children ??= { [SELF]: MEMBER };
    children[element] = allFieldsOf(child, childSchema);
  }
  return children ?? MEMBER;
}

export interface Comparison {
  readonly added: FieldSet | undefined;
  readonly modified: FieldSet | undefined;
  readonly removed: FieldSet | undefined;
}

const SAME: Comparison = { added: undefined, modified: undefined, removed: undefined };
const MODIFIED: Comparison = { ...SAME, modified: MEMBER };

/** What changed from `before` to `after`. Parts that are the same value in memory are not looked at. */
export function compareFields(before: unknown, after: unknown, schema: FieldSchema): Comparison {
  if (before === after) return SAME;
  if (before === undefined || before === null) {
    return after === undefined || after === null ? SAME : { ...SAME, added: allFieldsOf(after, schema) };
  }
  if (after === undefined || after === null) return { ...SAME, removed: allFieldsOf(before, schema) };
  const merging = mergingOf(before, schema);
  if (merging === "leaf" || merging !== mergingOf(after, schema)) {
    return isSameJson(before, after) ? SAME : MODIFIED;
  }
  return compareParts(before, after, merging, schema);
}

function compareParts(
  before: unknown,
  after: unknown,
  merging: Exclude<Merging, "leaf">,
  schema: FieldSchema,
): Comparison {
  const old = new Map<string, unknown>();
  for (const [element, value] of childrenOf(before, merging, schema)) old.set(element, value);
  const parts = { added: undefined, modified: undefined, removed: undefined } as {
    -readonly [K in keyof Comparison]: Record<string, FieldSet> | undefined;
  };
  const note = (kind: keyof Comparison, element: string, node: FieldSet | undefined): void => {
    if (node === undefined) return;
    parts[kind] ??= {};
    parts[kind][element] = node;
  };
  for (const [element, value, childSchema] of childrenOf(after, merging, schema)) {
    const change = compareFields(old.get(element), value, childSchema);
    old.delete(element);
    note("added", element, change.added);
    note("modified", element, change.modified);
    note("removed", element, change.removed);
  }
  for (const [element, value] of old) {
    const childSchema =
      merging === "fields" ? (schema.field(element.slice(2)) ?? anySchema) : (schema.items ?? anySchema);
    note("removed", element, allFieldsOf(value, childSchema));
  }
  return parts;
}

function isSameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => isSameJson(item, b[index]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => isSameJson(a[key], b[key]));
}

/** The members as Kubernetes prints paths: `.spec.ports[port=80,protocol="TCP"].name`. */
export function pathsOf(set: FieldSet | undefined): readonly string[] {
  const paths: string[] = [];
  const visit = (node: FieldSet, path: string): void => {
    const elements = Object.keys(node)
      .filter((key) => key !== SELF)
      .sort();
    for (const element of elements) {
      if (isMember(node[element])) paths.push(path + printElement(element));
    }
    for (const element of elements) visit(node[element] as FieldSet, path + printElement(element));
  };
  if (set !== undefined) visit(set, "");
  return paths;
}

function printElement(element: string): string {
  const text = element.slice(2);
  switch (element[0]) {
    case "f":
      return `.${text}`;
    case "k": {
      const keys = Object.entries(JSON.parse(text) as Record<string, unknown>);
      return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(",")}]`;
    }
    case "v":
      return `[=${text}]`;
    default:
      return `[${text}]`;
  }
}

/** Sorts the elements at every level, as the server writes them. */
export function sortedFields(set: FieldSet): FieldSet {
  const keys = Object.keys(set);
  if (keys.length === 0) return MEMBER;
  return Object.fromEntries(keys.sort().map((key) => [key, sortedFields(set[key] as FieldSet)]));
}
