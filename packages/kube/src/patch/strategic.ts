/**
 * Strategic merge patch: a merge patch that knows the schema. Lists with a merge key merge by it instead of being
 * replaced, and directives say what JSON cannot:
 *
 * - `$patch: replace | delete | merge` in an object, or in an element of a keyed list;
 * - `$retainKeys: [a, b]` drops all other keys of that object (a Deployment's strategy, a volume's source);
 * - `$deleteFromPrimitiveList/finalizers: [x]` takes elements out of a list of scalars;
 * - `$setElementOrder/containers: [{name: a}, …]` orders the result; elements that only the server has keep their
 *   place relative to it.
 *
 * Follows k8s.io/apimachinery `util/strategicpatch`. One difference: upstream answers 500 for an element without its
 * merge key or for an unknown directive, we answer 400 with the same text, because it is the sender's mistake.
 */
import { statusError } from "../client/status-error.ts";
import { anySchema, type FieldSchema, schemaOf } from "../schema/schema.ts";
import { isEqual, isObject, type JsonObject, ownValue, setKey } from "./value.ts";

const PATCH = "$patch";
const RETAIN_KEYS = "$retainKeys";
const DELETE_FROM = "$deleteFromPrimitiveList/";
const SET_ORDER = "$setElementOrder/";

/**
 * Applies `patch` to an object of a kind; a kind without a schema is refused with 415, as for custom resources.
 * Throws a StatusError when the patch contradicts itself.
 */
export function applyStrategicPatch<T = unknown>(
  target: unknown,
  patch: unknown,
  apiVersion: string,
  kind: string,
): T {
  const schema = schemaOf(apiVersion, kind);
  if (schema === undefined) {
    throw statusError(
      415,
      "UnsupportedMediaType",
      "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
    );
  }
  if (!isObject(patch) || !isObject(target)) throw bad("invalid JSON document");
  return mergeObject(target, patch, schema) as T;
}

function bad(message: string): Error {
  return statusError(400, "BadRequest", message);
}

function mergeObject(original: JsonObject, patch: JsonObject, schema: FieldSchema): JsonObject {
  const directive = ownValue(patch, PATCH);
  if (directive === "replace") return withoutDirectives(patch) as JsonObject;
  if (directive === "delete") return {};
  if (directive !== undefined && directive !== "merge") throw unknownDirective(directive);

  const result: Record<string, unknown> = retainKeys(original, patch);
  for (const [key, value] of Object.entries(patch)) {
    if (key === PATCH || key === RETAIN_KEYS || key.startsWith(SET_ORDER)) continue;
    if (key.startsWith(DELETE_FROM)) {
      deleteScalars(result, key.slice(DELETE_FROM.length), value);
    } else if (value === null) {
      delete result[key];
    } else {
      const field = schema.field(key) ?? anySchema;
      setKey(result, key, mergeValue(ownValue(result, key), value, field, key));
    }
  }
  for (const [key, order] of Object.entries(patch)) {
    if (!key.startsWith(SET_ORDER)) continue;
    const name = key.slice(SET_ORDER.length);
    orderField(result, original, patch, name, order, schema.field(name) ?? anySchema);
  }
  return result;
}

function unknownDirective(directive: unknown): Error {
  return bad(`Unknown directive in patch: ${JSON.stringify(directive)}`);
}

function retainKeys(original: JsonObject, patch: JsonObject): Record<string, unknown> {
  const retained = ownValue(patch, RETAIN_KEYS);
  if (retained === undefined) return { ...original };
  if (!Array.isArray(retained)) throw bad("invalid patch format of retainKeys");
  // A patch that sets a field which it does not retain contradicts itself.
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith("$") || value === null || retained.includes(key)) continue;
    throw bad("invalid patch format of retainKeys");
  }
  return Object.fromEntries(Object.entries(original).filter(([key]) => retained.includes(key)));
}

function deleteScalars(result: Record<string, unknown>, name: string, values: unknown): void {
  const list = ownValue(result, name);
  if (list === undefined) return;
  if (!Array.isArray(values) || !Array.isArray(list)) throw bad("invalid patch format of primitive list");
  result[name] = list.filter((item) => !values.includes(item));
}

function mergeValue(original: unknown, patch: unknown, schema: FieldSchema, name: string): unknown {
  if (isObject(patch)) {
    if (!isObject(original)) return withoutDirectives(patch);
    return schema.strategy.includes("replace")
      ? withoutDirectives(patch)
      : mergeObject(original, patch, schema);
  }
  if (!Array.isArray(patch)) return patch;
  const mergesLists = schema.strategy.includes("merge");
  if (!mergesLists || !Array.isArray(original)) return withoutDirectives(patch);
  return mergeList(original, patch, schema, name);
}

function mergeList(
  original: readonly unknown[],
  patch: readonly unknown[],
  schema: FieldSchema,
  name: string,
): readonly unknown[] {
  const isOfObjects = isObject(patch[0] ?? original[0]);
  if (!isOfObjects) return orderElements([...new Set([...original, ...patch])], patch, original, undefined);
  const { mergeKey } = schema;
  if (mergeKey === undefined) throw bad(`cannot merge lists without merge key for ${name}`);
  const { kept, changes } = applyElementDirectives(original, patch, mergeKey);
  const merged = [...kept];
  for (const change of changes) {
    const key = keyOf(change, mergeKey);
    const index = merged.findIndex((item) => isObject(item) && isEqual(item[mergeKey], key));
    if (index === -1) merged.push(withoutDirectives(change));
    else merged[index] = mergeObject(merged[index] as JsonObject, change, schema.items ?? anySchema);
  }
  return orderElements(merged, changes, kept, mergeKey);
}

/** Takes `$patch` elements out of a list patch: deletions happen, a replacement empties the original. */
function applyElementDirectives(
  original: readonly unknown[],
  patch: readonly unknown[],
  mergeKey: string,
): { readonly kept: readonly unknown[]; readonly changes: readonly JsonObject[] } {
  let kept = original;
  const changes: JsonObject[] = [];
  for (const element of patch) {
    if (!isObject(element)) throw bad("invalid patch format of a list: elements are of different types");
    const directive = ownValue(element, PATCH);
    if (directive === undefined) {
      changes.push(element);
    } else if (directive === "replace") {
      kept = [];
      if (Object.hasOwn(element, mergeKey)) changes.push(withoutDirectives(element) as JsonObject);
    } else if (directive === "delete") {
      if (!Object.hasOwn(element, mergeKey)) throw bad("delete patch type with no merge key defined");
      kept = kept.filter((item) => !(isObject(item) && isEqual(item[mergeKey], element[mergeKey])));
    } else if (directive === "merge") {
      changes.push(element);
    } else {
      throw unknownDirective(directive);
    }
  }
  return { kept, changes };
}

function keyOf(element: JsonObject, mergeKey: string): unknown {
  if (Object.hasOwn(element, mergeKey)) return element[mergeKey];
  throw bad(`map: ${JSON.stringify(element)} does not contain declared merge key: ${mergeKey}`);
}

function orderField(
  result: Record<string, unknown>,
  original: JsonObject,
  patch: JsonObject,
  name: string,
  order: unknown,
  schema: FieldSchema,
): void {
  if (!Array.isArray(order)) throw bad("invalid patch format of setElementOrder list");
  checkOrder(ownValue(patch, name), order, schema.mergeKey);
  const merged = ownValue(result, name);
  if (!Array.isArray(merged)) return;
  const before = ownValue(original, name);
  result[name] = orderElements(merged, order, Array.isArray(before) ? before : [], schema.mergeKey);
}

/** Every element that the patch adds or changes must stand in the order list, in the same relative order. */
function checkOrder(patch: unknown, order: readonly unknown[], mergeKey: string | undefined): void {
  if (!Array.isArray(patch)) return;
  let position = 0;
  for (const element of patch) {
    if (isObject(element) && Object.hasOwn(element, PATCH)) continue;
    const found = order.findIndex((item, index) => index >= position && isSame(item, element, mergeKey));
    if (found === -1) throw bad("invalid patch format of setElementOrder list");
    position = found + 1;
  }
}

function isSame(a: unknown, b: unknown, mergeKey: string | undefined): boolean {
  if (mergeKey === undefined || !isObject(a) || !isObject(b)) return isEqual(a, b);
  return isEqual(a[mergeKey], b[mergeKey]);
}

/**
 * Elements named by `order` come in that order. The others, which only the server has, keep the server's order and go
 * in front of an ordered element only when they stood in front of it on the server.
 */
function orderElements(
  merged: readonly unknown[],
  order: readonly unknown[],
  serverOrder: readonly unknown[],
  mergeKey: string | undefined,
): readonly unknown[] {
  const place = (list: readonly unknown[], element: unknown): number =>
    list.findIndex((item) => isSame(item, element, mergeKey));
  const ordered = merged
    .filter((element) => place(order, element) !== -1)
    .sort((a, b) => place(order, a) - place(order, b));
  const serverOnly = merged
    .filter((element) => place(order, element) === -1)
    .sort((a, b) => place(serverOrder, a) - place(serverOrder, b));
  const result: unknown[] = [];
  while (serverOnly.length > 0 && ordered.length > 0) {
    const theirs = place(serverOrder, serverOnly[0]);
    const ours = place(serverOrder, ordered[0]);
    const isTheirsFirst = theirs !== -1 && ours !== -1 && theirs < ours;
    result.push(isTheirsFirst ? serverOnly.shift() : ordered.shift());
  }
  return [...result, ...ordered, ...serverOnly];
}

/** What a patch stands for where there is nothing to merge it with: its values, without directives and nulls. */
function withoutDirectives(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value
      .filter((item) => !(isObject(item) && (item[PATCH] === "delete" || isOnlyReplace(item))))
      .map(withoutDirectives);
  }
  if (!isObject(value)) return value;
  const result: Record<string, unknown> = {};
  for (const [key, child] of Object.entries(value)) {
    const isDirective =
      key === PATCH || key === RETAIN_KEYS || key.startsWith(DELETE_FROM) || key.startsWith(SET_ORDER);
    if (!isDirective && child !== null) setKey(result, key, withoutDirectives(child));
  }
  return result;
}

/** `{ "$patch": "replace" }` as an element of a list says how to merge and is no element itself. */
function isOnlyReplace(item: JsonObject): boolean {
  return item[PATCH] === "replace" && Object.keys(item).length === 1;
}
