/**
 * Whether an object has what is expected of it, as kuttl and chainsaw compare: of a map only the keys that are named, of
 * a list whose elements have names the elements of those names, of any other list all elements in order. `contains()`
 * asks for elements anywhere in a list.
 *
 * What a spec file writes becomes a `Pattern` when it is collected: plain data, without functions and expressions.
 */
export type Pattern =
  | { readonly is: "equal"; readonly value: string | number | boolean | null }
  | { readonly is: "matching"; readonly source: string; readonly flags: string }
  | { readonly is: "absent" }
  | { readonly is: "map"; readonly keys: readonly (readonly [string, Pattern])[] }
  | { readonly is: "list"; readonly elements: readonly Pattern[] }
  | { readonly is: "named"; readonly elements: readonly (readonly [string, Pattern])[] }
  | { readonly is: "contains"; readonly elements: readonly Pattern[] };

const CONTAINS = Symbol.for("slipway.verify.contains");

/** Elements that a list must have somewhere, in any order and among others. */
export function contains(...elements: readonly unknown[]): object {
  return { [CONTAINS]: elements };
}

/** Throws a TypeError with the path of what cannot be expected. `undefined` expects the key to be absent. */
export function patternOf(expected: unknown, path = ""): Pattern {
  if (expected === undefined) return { is: "absent" };
  if (expected === null || typeof expected === "string" || typeof expected === "boolean") {
    return { is: "equal", value: expected };
  }
  if (typeof expected === "number" && Number.isFinite(expected)) return { is: "equal", value: expected };
  if (expected instanceof RegExp) {
    // A flag like `g` would make the second test of an expression start where the first ended.
    return { is: "matching", source: expected.source, flags: expected.flags.replace(/[gy]/g, "") };
  }
  if (Array.isArray(expected)) return listPattern(expected, path);
  if (typeof expected !== "object")
    throw new TypeError(`${path || "the object"}: a ${typeof expected} cannot be expected`);
  const wanted = (expected as { [CONTAINS]?: readonly unknown[] })[CONTAINS];
  if (wanted !== undefined) {
    if (wanted.length === 0)
      throw new TypeError(`${path || "the object"}: contains() of nothing says nothing`);
    return {
      is: "contains",
      elements: wanted.map((element, index) => patternOf(element, `${path}[${index}]`)),
    };
  }
  const keys = Object.entries(expected).map(([key, value]): [string, Pattern] => [
    key,
    patternOf(value, path === "" ? key : `${path}.${key}`),
  ]);
  return { is: "map", keys };
}

function listPattern(expected: readonly unknown[], path: string): Pattern {
  const names = expected.map(nameOf);
  const elements = expected.map((element, index) => patternOf(element, `${path}[${index}]`));
  const isNamed =
    names.length > 0 && names.every((name) => name !== undefined) && new Set(names).size === names.length;
  return isNamed
    ? { is: "named", elements: elements.map((element, index) => [names[index] as string, element]) }
    : { is: "list", elements };
}

function nameOf(element: unknown): string | undefined {
  const name =
    typeof element === "object" && element !== null ? (element as { name?: unknown }).name : undefined;
  return typeof name === "string" ? name : undefined;
}

export interface Difference {
  /** `spec.ports[http].port` */
  readonly path: string;
  /** Of both: at most a line. */
  readonly expected: string;
  readonly found: string;
}

/** Every difference, in the order of the pattern; none: it matches. */
export function differences(pattern: Pattern, actual: unknown, path = ""): readonly Difference[] {
  const differs = (expected: string): readonly Difference[] => [{ path, expected, found: shown(actual) }];
  switch (pattern.is) {
    case "absent":
      return actual === undefined ? [] : differs("nothing");
    case "equal":
      return actual === pattern.value ? [] : differs(shown(pattern.value));
    case "matching": {
      const text = typeof actual === "number" || typeof actual === "boolean" ? String(actual) : actual;
      const isMatch = typeof text === "string" && new RegExp(pattern.source, pattern.flags).test(text);
      return isMatch ? [] : differs(`/${pattern.source}/${pattern.flags}`);
    }
    case "map":
      if (!isMap(actual)) return differs("a map");
      return pattern.keys.flatMap(([key, wanted]) =>
        differences(wanted, actual[key], path === "" ? key : `${path}.${key}`),
      );
    case "list":
      if (!Array.isArray(actual)) return differs("a list");
      return [
        ...(actual.length === pattern.elements.length
          ? []
          : [{ path, expected: `${pattern.elements.length} elements`, found: `${actual.length}` }]),
        ...pattern.elements
          .slice(0, actual.length)
          .flatMap((wanted, index) => differences(wanted, actual[index], `${path}[${index}]`)),
      ];
    case "named":
      if (!Array.isArray(actual)) return differs("a list");
      return pattern.elements.flatMap(([name, wanted]) => {
        const element: unknown = actual.find((one) => nameOf(one) === name);
        if (element !== undefined) return differences(wanted, element, `${path}[${name}]`);
        const names = actual.map(nameOf).join(", ");
        return [{ path: `${path}[${name}]`, expected: "an element of this name", found: names || "none" }];
      });
    case "contains":
      if (!Array.isArray(actual)) return differs("a list");
      return pattern.elements.flatMap((wanted, index) => {
        const tries = actual.map((one) => differences(wanted, one, `${path}[…]`));
        if (tries.some((one) => one.length === 0)) return [];
        const nearest = tries.toSorted((a, b) => a.length - b.length)[0];
        return (
          nearest ?? [
            { path: `${path}[…]`, expected: `element ${index + 1} of contains()`, found: "an empty list" },
          ]
        );
      });
  }
}

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const LONGEST = 120;

function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value);
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST - 1)}…`;
}

export const renderDifferences = (all: readonly Difference[]): string =>
  all
    .map(({ path, expected, found }) => `${path || "the object"}: expected ${expected}, found ${found}`)
    .join("\n");
