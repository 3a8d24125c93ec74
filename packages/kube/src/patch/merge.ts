/** JSON merge patch, RFC 7386: objects merge, null deletes, everything else replaces. */
import { isEqual, isObject, type JsonObject, ownValue, setKey } from "./value.ts";

export function applyMergePatch<T = unknown>(target: unknown, patch: unknown): T {
  return merge(target, patch) as T;
}

function merge(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const result: Record<string, unknown> = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else setKey(result, key, merge(ownValue(result, key), value));
  }
  return result;
}

/**
 * The merge patch that turns `from` into `to`; undefined when they are equal. Nulls inside `to` cannot be expressed
 * by a merge patch and come out as absent.
 */
export function createMergePatch(from: JsonObject, to: JsonObject): JsonObject | undefined {
  const patch: Record<string, unknown> = {};
  for (const key of Object.keys(from)) {
    if (from[key] !== undefined && ownValue(to, key) === undefined) setKey(patch, key, null);
  }
  for (const [key, value] of Object.entries(to)) {
    const before = ownValue(from, key);
    if (value === undefined || isEqual(before, value)) continue;
    // A nested patch says what changed; a value that was no object before is sent whole.
    const nested = isObject(before) && isObject(value) ? createMergePatch(before, value) : value;
    setKey(patch, key, nested);
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}
