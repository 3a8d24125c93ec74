/**
 * Objects as the API takes them in: one shape, compared by meaning, never changed afterwards.
 */
import type { KubeObject, ObjectMeta } from "../resources/meta.ts";

type Json = unknown;

/**
 * A deep, frozen copy without nulls and undefined, which Kubernetes' typed decoding drops as well (kubectl sends
 * `creationTimestamp: null` in every template). Frozen, because the store hands out what it holds: a caller that
 * writes to an answer gets a TypeError instead of a changed cluster.
 */
export function takeIn<T>(value: T, keepsNulls = false): T {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return Object.freeze(value.map((item) => takeIn(item, keepsNulls))) as T;
  const copy: Record<string, Json> = {};
  for (const key of Object.keys(value)) {
    const field = (value as Record<string, Json>)[key];
    if (field === undefined || (field === null && !keepsNulls)) continue;
    copy[key] = takeIn(field, keepsNulls);
  }
  return Object.freeze(copy) as T;
}

/** Freezes what is not frozen yet. Parts that were taken in before end the walk at once. */
export function freeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const field of Object.values(value)) freeze(field);
  return Object.freeze(value);
}

/** The object without fields that are undefined. */
export function compact<T extends object>(object: T): T {
  const result: Record<string, Json> = {};
  for (const key of Object.keys(object)) {
    const value = (object as Record<string, Json>)[key];
    if (value !== undefined) result[key] = value;
  }
  return result as T;
}

export function withMetadata<T extends KubeObject>(object: T, changes: Partial<ObjectMeta>): T {
  return { ...object, metadata: compact({ ...object.metadata, ...changes }) };
}

/** Equal by meaning: an absent field is one that is undefined or null, and order in maps does not count. */
export function isSame(a: Json, b: Json): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null)
    return (a ?? null) === (b ?? null);
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item, index) => isSame(item, b[index]));
  }
  const left = a as Record<string, Json>;
  const right = b as Record<string, Json>;
  for (const key of Object.keys(left)) if (!isSame(left[key], right[key])) return false;
  for (const key of Object.keys(right)) if (!(key in left) && (right[key] ?? null) !== null) return false;
  return true;
}

/** metav1.Time: RFC 3339 in UTC, whole seconds. */
export function timestamp(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
