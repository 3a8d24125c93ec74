/**
 * Server-side apply. A manager sends the fields it cares about; the server merges them into the live object, removes
 * what this manager applied before and applies no more (unless someone else owns it too), and refuses to change a
 * field that another manager owns unless forced.
 *
 * @example
 * const next = serverSideApply({ live, applied, manager: "slipway", force: false, now: clock.now() });
 */
import { type StatusError, statusError } from "../client/status-error.ts";
import { resourceTypeOf } from "../resources/kinds.ts";
import type { KubeObject } from "../resources/meta.ts";
import { anySchema, type FieldSchema } from "../schema/schema.ts";
import {
  childrenOf,
  compareFields,
  type FieldSet,
  fieldsOf,
  intersection,
  isMember,
  mergingOf,
  pathsOf,
  union,
} from "./field-set.ts";
import {
  comparable,
  emptyObject,
  formatTime,
  isSameOwner,
  type Owned,
  type Owner,
  ownersOf,
  schemaFor,
  withManagedFields,
  without,
  withoutUnowned,
} from "./managed-fields.ts";
import { isEqual, isObject, type JsonObject, setKey } from "./value.ts";

export interface Apply {
  /** Undefined when the object does not exist yet. */
  readonly live: KubeObject | undefined;
  readonly applied: KubeObject;
  readonly manager: string;
  readonly force?: boolean;
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly subresource?: string | undefined;
}

/**
 * The object to store, with its managedFields; `live` itself when nothing changes. Throws a StatusError: 409 Conflict
 * with one cause per field, 400 for a configuration that carries managedFields, 500 for one that repeats a list key.
 */
export function serverSideApply(apply: Apply): KubeObject {
  const { live, manager, subresource } = apply;
  if ((apply.applied.metadata.managedFields ?? []).length > 0) {
    throw statusError(400, "BadRequest", "metadata.managedFields must be nil");
  }
  const schema = schemaFor(apply.applied);
  const sent = relevantParts(apply.applied, subresource);
  const applied = withoutNulls(sent) as KubeObject;
  const duplicate = duplicateEntry(applied, schema, "");
  if (duplicate !== undefined) throw untypedPatch(applied, duplicate);
  const self: Owner = { manager, operation: "Apply", apiVersion: applied.apiVersion, subresource };
  const owners = live === undefined ? [] : liveOwners(live, apply.now);
  const mine = owners.find((owner) => isSameOwner(owner, self));
  const others = owners.filter((owner) => owner !== mine);
  // Identity counts as applied, so that `metadata` never looks as if it were applied no more.
  const everything = fieldsOf(applied, schema);
  const fields = withoutUnowned(everything);

  const base = live === undefined ? emptyObject(applied) : live;
  const merged = mergeValues(live === undefined ? {} : live, sent, schema);
  const kept = others.reduce<FieldSet | undefined>((all, owner) => union(all, owner.fields), everything);
  const next = (mine === undefined ? merged : prune(merged, mine.fields, kept, schema)) as KubeObject;

  const change = compareFields(comparable(base), comparable(next), schema);
  const touched = union(change.added, change.modified);
  if (apply.force !== true) refuseConflicts(others, touched);

  const isUnchanged = live !== undefined && isEqual(comparable(next), comparable(live));
  if (live !== undefined && isUnchanged && isEqual(mine?.fields, fields)) return live;
  const time = formatTime(apply.now);
  return withManagedFields(next, [
    ...others.map((owner) => without(owner, change)),
    { ...self, time, fields },
  ]);
}

/** An object that was never tracked belongs to whoever was there before the first apply. */
function liveOwners(live: KubeObject, now: number): readonly Owned[] {
  const owners = ownersOf(live);
  if (owners.length > 0) return owners;
  const { added } = compareFields(comparable(emptyObject(live)), comparable(live), schemaFor(live));
  const before: Owner = {
    manager: "before-first-apply",
    operation: "Update",
    apiVersion: live.apiVersion,
    subresource: undefined,
  };
  return [{ ...before, time: formatTime(now), fields: withoutUnowned(added) }];
}

/** Status belongs to its subresource: a main apply neither writes nor owns it, a status apply only that. */
function relevantParts(applied: KubeObject, subresource: string | undefined): KubeObject {
  const hasStatus = resourceTypeOf(applied.kind)?.subresources.includes("status") === true;
  if (!hasStatus) return applied;
  const { status, ...main } = applied as KubeObject & { status?: unknown };
  if (subresource !== "status") return main;
  const { apiVersion, kind, metadata } = applied;
  const { name, namespace } = metadata;
  return {
    apiVersion,
    kind,
    metadata: namespace === undefined ? { name } : { name, namespace },
    ...(status === undefined ? {} : { status }),
  } as KubeObject;
}

/** A null in a configuration owns nothing: kubectl sends `creationTimestamp: null` in every template. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  const result: Record<string, unknown> = {};
  for (const [key, child] of Object.entries(value)) {
    if (child !== null && child !== undefined) setKey(result, key, withoutNulls(child));
  }
  return result;
}

/** The first element of a list that is there twice, by its key: `.spec.ports: duplicate entries for key [port=80]`. */
function duplicateEntry(value: unknown, schema: FieldSchema, path: string): string | undefined {
  const merging = mergingOf(value, schema);
  if (merging === "leaf") return undefined;
  const seen = new Set<string>();
  for (const [element, child, childSchema] of childrenOf(value, merging, schema)) {
    const [printed] = pathsOf({ [element]: {} });
    if (seen.has(element)) return `${path}: duplicate entries for key ${printed}`;
    seen.add(element);
    const below = duplicateEntry(child, childSchema, `${path}${printed}`);
    if (below !== undefined) return below;
  }
  return undefined;
}

/** What the server says of a configuration that it cannot merge by its types. It is a 500 there, so it is one here. */
export function untypedPatch({ apiVersion, kind, metadata }: KubeObject, problem: string): StatusError {
  const groupVersion = apiVersion.includes("/") ? apiVersion : `/${apiVersion}`;
  const what = `(${metadata.namespace ?? ""}/${metadata.name}; ${groupVersion}, Kind=${kind})`;
  return statusError(500, "", `failed to create typed patch object ${what}: ${problem}`);
}

// --- merging ---

function mergeValues(live: unknown, applied: unknown, schema: FieldSchema): unknown {
  const merging = mergingOf(applied, schema);
  if (merging === "leaf" || merging !== mergingOf(live, schema)) return withoutNulls(applied);
  if (merging !== "fields") return mergeLists(live as unknown[], applied as unknown[], merging, schema);
  const result: Record<string, unknown> = { ...(live as JsonObject) };
  for (const [name, value] of Object.entries(applied as JsonObject)) {
    const childSchema = schema.field(name) ?? anySchema;
    if (value === undefined) continue;
    if (value !== null) setKey(result, name, mergeValues(result[name], value, childSchema));
    // A null takes away a value, or an empty part, but no part with something in it.
    else if (mergingOf(result[name], childSchema) === "leaf" || isEmpty(result[name])) delete result[name];
  }
  return result;
}

/** Applied elements in their order; those that only the live list has keep their place in between. */
function mergeLists(
  live: readonly unknown[],
  applied: readonly unknown[],
  merging: "set" | "map",
  schema: FieldSchema,
): readonly unknown[] {
  const ours = [...childrenOf(live, merging, schema)];
  const theirs = [...childrenOf(applied, merging, schema)];
  const liveByElement = new Map(ours.map(([element, value]) => [element, value]));
  const appliedElements = new Set(theirs.map(([element]) => element));
  const result: unknown[] = [];
  let position = 0;
  const takeLiveOnly = (): void => {
    for (; position < ours.length; position += 1) {
      const [element, value] = ours[position] as (typeof ours)[number];
      if (appliedElements.has(element)) return;
      result.push(value);
    }
  };
  for (const [element, value] of theirs) {
    takeLiveOnly();
    if (ours[position]?.[0] === element) position += 1;
    result.push(mergeValues(liveByElement.get(element), value, schema.items ?? anySchema));
  }
  for (; position < ours.length; position += 1) {
    const [element, value] = ours[position] as (typeof ours)[number];
    if (!appliedElements.has(element)) result.push(value);
  }
  return result;
}

// --- removing what is no longer applied ---

/**
 * `value` without what `last` (applied before) had and `kept` (applied now, or owned by others) has not. An element of
 * a list that goes takes everything in it along, also defaults that nobody owns. A field with fields of its own goes
 * once all of those are gone, so a default in it keeps it, and one that is empty (`emptyDir: {}`) stays until it is
 * applied as null: Kubernetes 1.20 does so, newer ones drop both. The older way is the stricter one (a probe that
 * changes its kind is refused as having two), and what this cluster takes should be taken everywhere.
 */
function prune(
  value: unknown,
  last: FieldSet | undefined,
  kept: FieldSet | undefined,
  schema: FieldSchema,
): unknown {
  if (last === undefined) return value;
  const merging = mergingOf(value, schema);
  if (merging === "leaf") return value;
  const isGone = (element: string): boolean => isMember(last[element]) && kept?.[element] === undefined;
  if (merging === "fields") {
    const result: Record<string, unknown> = {};
    for (const [name, child] of Object.entries(value as JsonObject)) {
      const element = `f:${name}`;
      const childSchema = schema.field(name) ?? anySchema;
      // Identity is in no set, so it is never taken for something that is no longer applied.
      if (mergingOf(child, childSchema) === "leaf") {
        if (!isGone(element)) setKey(result, name, child);
        continue;
      }
      const left = prune(child, last[element], kept?.[element], childSchema);
      const isEmptied = isEmpty(left) && !isEmpty(child) && kept?.[element] === undefined;
      if (!isEmptied) setKey(result, name, left);
    }
    return result;
  }
  return [...childrenOf(value, merging, schema)]
    .filter(([element]) => !isGone(element))
    .map(([element, child, childSchema]) => prune(child, last[element], kept?.[element], childSchema));
}

function isEmpty(value: unknown): boolean {
  return Object.keys(value as object).length === 0;
}

// --- conflicts ---

interface FieldConflict {
  readonly owner: Owner;
  readonly path: string;
}

function refuseConflicts(others: readonly Owned[], touched: FieldSet | undefined): void {
  const conflicts = others.flatMap((owner) =>
    pathsOf(intersection(owner.fields, touched)).map((path): FieldConflict => ({ owner, path })),
  );
  if (conflicts.length > 0) throw conflictError(conflicts);
}

function conflictError(conflicts: readonly FieldConflict[]): StatusError {
  const causes = conflicts.map(({ owner, path }) => ({
    reason: "FieldManagerConflict",
    message: `conflict with ${printOwner(owner)}`,
    field: path,
  }));
  return statusError(409, "Conflict", conflictMessage(conflicts), { causes });
}

function conflictMessage(conflicts: readonly FieldConflict[]): string {
  const [first] = conflicts as readonly [FieldConflict, ...FieldConflict[]];
  if (conflicts.length === 1) {
    return `Apply failed with 1 conflict: conflict with ${printOwner(first.owner)}: ${first.path}`;
  }
  const byOwner = Map.groupBy(conflicts, ({ owner }) => printOwner(owner));
  const lines = [...byOwner.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([owner, items]) => [`conflicts with ${owner}:`, ...items.map(({ path }) => `- ${path}`)]);
  return `Apply failed with ${conflicts.length} conflicts: ${lines.join("\n")}`;
}

function printOwner({ manager, operation, apiVersion, subresource }: Owner): string {
  const name = subresource === undefined ? `"${manager}"` : `"${manager}" with subresource "${subresource}"`;
  return operation === "Update" ? `${name} using ${apiVersion}` : name;
}
