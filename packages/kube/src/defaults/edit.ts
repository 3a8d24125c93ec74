/**
 * Small steps for defaulting. Each returns the value it was given when there is nothing to fill in, so that an object
 * with all defaults comes back as itself and unchanged parts stay shared.
 */
export type Fields = { readonly [name: string]: unknown };

/** Sets the fields that are absent or null, and strings that are empty: for Kubernetes an empty string is "not set". */
export function fill(object: Fields, defaults: Fields): Fields {
  let result: Record<string, unknown> | undefined;
  for (const name in defaults) {
    const value = object[name];
    const isEmptyString = value === "" && typeof defaults[name] === "string" && defaults[name] !== "";
    if (value !== undefined && value !== null && !isEmptyString) continue;
    result ??= { ...object };
    result[name] = defaults[name];
  }
  return result ?? object;
}

/** Changes one field if it is there and an object. */
export function edit(object: Fields, name: string, change: (value: Fields) => Fields): Fields {
  const value = object[name];
  if (typeof value !== "object" || value === null || Array.isArray(value)) return object;
  const changed = change(value as Fields);
  return changed === value ? object : { ...object, [name]: changed };
}

/** Changes each object of a list, if it is there. */
export function editEach(object: Fields, name: string, change: (value: Fields) => Fields): Fields {
  const list = object[name];
  if (!Array.isArray(list)) return object;
  let isChanged = false;
  const changed = list.map((item: unknown) => {
    if (typeof item !== "object" || item === null) return item;
    const next = change(item as Fields);
    isChanged ||= next !== item;
    return next;
  });
  return isChanged ? { ...object, [name]: changed } : object;
}

/** Applies steps one after the other. */
export function inTurn(object: Fields, ...steps: readonly ((value: Fields) => Fields)[]): Fields {
  return steps.reduce((value, step) => step(value), object);
}
