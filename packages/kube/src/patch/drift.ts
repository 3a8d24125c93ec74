/**
 * What became of an applied configuration: which of its fields are different now, and what others have added, each
 * with whoever owns it by `metadata.managedFields`. Pure; lists are compared by their merge keys, as server-side
 * apply does (KEP-555), so an inserted container moves nothing.
 *
 * Fields that only the server fills in (defaults, status, its own bookkeeping) are nobody's difference. Quantities that
 * say the same (`0.5` and `500m`) are equal, and a zero value that was applied equals a field that is absent, because
 * Go's serialization leaves it out.
 */
import { canonicalQuantity, quantityProblem } from "../quantity.ts";
import type { KubeObject } from "../resources/meta.ts";
import type { FieldSchema } from "../schema/schema.ts";
import { childrenOf, difference, type FieldSet, isMember, mergingOf } from "./field-set.ts";
import { type Owned, ownersOf, schemaFor } from "./managed-fields.ts";
import { isEqual, isObject } from "./value.ts";

export interface FieldOwner {
  /** As managedFields names it: `kubectl-edit`, `helm`, `kube-controller-manager`. */
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  /** RFC 3339; when this manager last wrote any of its fields. */
  readonly time: string | undefined;
}

export interface FieldDifference {
  /** `spec.template.spec.containers[web].image`. */
  readonly path: string;
  /** Undefined when it was not part of what was applied. */
  readonly applied: unknown;
  /** Undefined when it is gone. */
  readonly live: unknown;
  /** Undefined when nobody else owns it: it was removed, or a webhook changed it while it was applied. */
  readonly by: FieldOwner | undefined;
}

export interface DriftOptions {
  /** The field manager under which `applied` was applied. */
  readonly manager: string;
  /** Managers whose additions are the platform's work, like `kube-controller-manager`. */
  readonly ignored?: ReadonlySet<string>;
}

/** In the order of the applied object, then what others have added. */
export function fieldDrift(
  applied: KubeObject,
  live: KubeObject,
  options: DriftOptions,
): readonly FieldDifference[] {
  const schema = schemaFor(applied);
  const owners = ownersOf(live);
  const others = owners.filter(({ manager }) => manager !== options.manager);
  const ours = owners.filter(({ manager }) => manager === options.manager);
  const found: FieldDifference[] = [];
  const note = (path: readonly string[], was: unknown, is: unknown): void => {
    found.push({ path: printPath(path), applied: was, live: is, by: ownerAt(others, path) });
  };
  compareApplied(applied, live, schema, [], note);
  for (const owner of others) {
    if (owner.subresource !== undefined || options.ignored?.has(owner.manager) === true) continue;
    let added = owner.fields;
    for (const { fields } of ours) added = difference(added, fields);
    for (const path of topmost(added)) {
      // What is compared above is told there; what a manager claims may also be gone by now.
      const is = valueAt(live, schema, path);
      if (isServersOwn(path) || is === undefined || valueAt(applied, schema, path) !== undefined) continue;
      if (!found.some(({ path: known }) => known === printPath(path))) {
        found.push({ path: printPath(path), applied: undefined, live: is, by: toOwner(owner) });
      }
    }
  }
  return found;
}

function compareApplied(
  applied: unknown,
  live: unknown,
  schema: FieldSchema,
  path: readonly string[],
  note: (path: readonly string[], applied: unknown, live: unknown) => void,
): void {
  // Identity is the same or we would not be comparing, and one manager's bookkeeping is nobody's business.
  if (path.length === 1 && ["f:apiVersion", "f:kind", "f:status"].includes(path[0] as string)) return;
  const merging = mergingOf(applied, schema);
  if (merging === "leaf" || merging !== mergingOf(live, schema)) {
    if (!isSameValue(applied, live)) note(path, applied, live);
    return;
  }
  const now = new Map<string, unknown>();
  for (const [element, value] of childrenOf(live, merging, schema)) now.set(element, value);
  for (const [element, value, childSchema] of childrenOf(applied, merging, schema)) {
    compareApplied(value, now.get(element), childSchema, [...path, element], note);
  }
}

function isSameValue(applied: unknown, live: unknown): boolean {
  if (live === undefined) return isZero(applied);
  if (isEqual(applied, live)) return true;
  if (isQuantity(applied) && isQuantity(live)) return canonicalQuantity(applied) === canonicalQuantity(live);
  // Inside an atomic value, the server still fills in defaults and leaves out zeros.
  if (isObject(applied) && isObject(live)) {
    return Object.entries(applied).every(([key, value]) => value === null || isSameValue(value, live[key]));
  }
  if (Array.isArray(applied) && Array.isArray(live)) {
    return applied.length === live.length && applied.every((item, index) => isSameValue(item, live[index]));
  }
  return false;
}

function isZero(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === 0 || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return isObject(value) && Object.values(value).every(isZero);
}

function isQuantity(value: unknown): value is string | number {
  return (typeof value === "string" || typeof value === "number") && quantityProblem(value) === undefined;
}

function ownerAt(owners: readonly Owned[], path: readonly string[]): FieldOwner | undefined {
  const owner = owners.find(({ fields, subresource }) => subresource !== "status" && holds(fields, path));
  return owner === undefined ? undefined : toOwner(owner);
}

/** Is the field itself, or something below it, in the set? */
function holds(fields: FieldSet | undefined, path: readonly string[]): boolean {
  let node = fields;
  for (const element of path) {
    node = node?.[element];
    if (node === undefined) return false;
  }
  return true;
}

function toOwner({ manager, operation, time }: Owned): FieldOwner {
  return { manager, operation, time };
}

/** The members nearest to the root, each as a path: an added container is one line, not one for each of its fields. */
function topmost(fields: FieldSet | undefined): readonly (readonly string[])[] {
  const paths: (readonly string[])[] = [];
  const visit = (node: FieldSet, path: readonly string[]): void => {
    for (const element of Object.keys(node)) {
      if (element === ".") continue;
      const child = node[element] as FieldSet;
      // Labels and annotations are told one by one: whoever adds the first of them also owns the map.
      const isNotes = element === "f:annotations" || element === "f:labels";
      if (isMember(child) && !isNotes) paths.push([...path, element]);
      else visit(child, [...path, element]);
    }
  };
  if (fields !== undefined) visit(fields, []);
  return paths;
}

/** What the API server, its controllers and kubectl keep for themselves. */
function isServersOwn(path: readonly string[]): boolean {
  const [first, second, third] = path;
  if (first === "f:status") return true;
  if (first !== "f:metadata") return false;
  if (["f:ownerReferences", "f:generateName", "f:selfLink"].includes(second ?? "")) return true;
  return (
    second === "f:annotations" &&
    (third === "f:deployment.kubernetes.io/revision" ||
      third === "f:kubectl.kubernetes.io/last-applied-configuration")
  );
}

function valueAt(object: unknown, schema: FieldSchema, path: readonly string[]): unknown {
  let value = object;
  let at = schema;
  for (const element of path) {
    const merging = mergingOf(value, at);
    if (merging === "leaf") return undefined;
    const found = [...childrenOf(value, merging, at)].find(([key]) => key === element);
    if (found === undefined) return undefined;
    value = found[1];
    at = found[2];
  }
  return value;
}

function printPath(path: readonly string[]): string {
  return path.map(printElement).join("").replace(/^\./, "");
}

/** `.image`, `[web]` for a key of one field, `[80,TCP]` for more. */
function printElement(element: string): string {
  const text = element.slice(2);
  if (element.startsWith("f:")) return /^[\w-]+$/.test(text) ? `.${text}` : `["${text}"]`;
  if (!element.startsWith("k:")) return `[${text}]`;
  return `[${Object.values(JSON.parse(text) as Record<string, unknown>).join(",")}]`;
}
