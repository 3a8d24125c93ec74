/**
 * Who owns which field. An object's `metadata.managedFields` has one entry per manager, operation, apiVersion and
 * subresource (for Apply the version does not count). Writes other than apply take what they change and lose nothing
 * to others but what others change. Follows structured-merge-diff `merge` and apiserver `managedfields`.
 */
import type { KubeObject, ManagedFieldsEntry } from "../resources/meta.ts";
import { anySchema, type FieldSchema, schemaOf } from "../schema/schema.ts";
import {
  type Comparison,
  compareFields,
  difference,
  type FieldSet,
  sortedFields,
  union,
} from "./field-set.ts";
import { isEqual, isObject } from "./value.ts";

export interface Owner {
  readonly manager: string;
  readonly operation: "Apply" | "Update";
  readonly apiVersion: string;
  readonly subresource: string | undefined;
}

export interface Owned extends Owner {
  readonly time: string | undefined;
  readonly fields: FieldSet | undefined;
}

/**
 * Nobody owns these: identity and what the server itself keeps. `metadata` is not among them as a whole, since labels,
 * annotations, owner references and finalizers have owners.
 */
const UNOWNED: FieldSet = {
  "f:apiVersion": {},
  "f:kind": {},
  "f:metadata": {
    ".": {},
    "f:clusterName": {},
    "f:creationTimestamp": {},
    "f:generation": {},
    "f:managedFields": {},
    "f:name": {},
    "f:namespace": {},
    "f:resourceVersion": {},
    "f:selfLink": {},
    "f:uid": {},
  },
};

export function withoutUnowned(set: FieldSet | undefined): FieldSet | undefined {
  if (set === undefined) return undefined;
  const { "f:managedFields": _entries, ...metadata } = set["f:metadata"] ?? {};
  // The entries themselves are a list with parts of their own: they go as a tree, the rest by name.
  const trimmed = "f:metadata" in set ? { ...set, "f:metadata": metadata } : set;
  const left = difference(trimmed, UNOWNED);
  return left !== undefined && Object.keys(left).length === 0 ? undefined : left;
}

export function schemaFor(object: Pick<KubeObject, "apiVersion" | "kind">): FieldSchema {
  return schemaOf(object.apiVersion, object.kind) ?? anySchema;
}

export function isSameOwner(a: Owner, b: Owner): boolean {
  return (
    a.manager === b.manager &&
    a.operation === b.operation &&
    (a.operation === "Apply" || a.apiVersion === b.apiVersion) &&
    a.subresource === b.subresource
  );
}

export function ownersOf(object: KubeObject | undefined): readonly Owned[] {
  return (object?.metadata.managedFields ?? []).map((entry) => ({
    manager: entry.manager,
    operation: entry.operation,
    apiVersion: entry.apiVersion,
    subresource: entry.subresource === "" ? undefined : entry.subresource,
    time: entry.time,
    fields: entry.fieldsV1 as FieldSet,
  }));
}

/** The entries in the server's order: Apply before Update, then by time, manager, version, subresource. */
export function entriesOf(owners: readonly Owned[]): readonly ManagedFieldsEntry[] {
  const rank = ({ operation, time = "", manager, apiVersion, subresource = "" }: Owned): string =>
    [operation, time, manager, apiVersion, subresource].join("\0");
  return owners
    .filter(({ fields }) => fields !== undefined && Object.keys(fields).length > 0)
    .map((owned) => ({ owned, key: rank(owned) }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ owned }) => ({
      manager: owned.manager,
      operation: owned.operation,
      apiVersion: owned.apiVersion,
      ...(owned.time === undefined ? {} : { time: owned.time }),
      fieldsType: "FieldsV1",
      fieldsV1: sortedFields(owned.fields as FieldSet),
      ...(owned.subresource === undefined ? {} : { subresource: owned.subresource }),
    }));
}

export function withManagedFields<T extends KubeObject>(object: T, owners: readonly Owned[]): T {
  const { managedFields: _old, ...metadata } = object.metadata;
  const managedFields = entriesOf(owners);
  return { ...object, metadata: managedFields.length === 0 ? metadata : { ...metadata, managedFields } };
}

/** RFC 3339 with whole seconds, as Kubernetes writes `Time`. */
export function formatTime(now: number): string {
  return `${new Date(now).toISOString().slice(0, 19)}Z`;
}

/**
 * What an object is compared with when it is new. Parts that every object of a kind has, though empty, are there
 * before, so that nobody owns `.spec` itself; they are the fields that are values, not pointers, in the Go types.
 */
export function emptyObject(object: KubeObject): KubeObject {
  const { apiVersion, kind } = object;
  const name = object.metadata.name;
  const parts: Record<string, unknown> = { spec: {}, status: {} };
  const spec = (object as { spec?: unknown }).spec;
  if (isObject(spec) && isObject(spec["template"])) {
    parts["spec"] = { strategy: {}, template: { metadata: {}, spec: { containers: [] } } };
  }
  if (kind === "Pod") parts["spec"] = { containers: [] };
  if (kind === "Service") parts["status"] = { loadBalancer: {} };
  if (kind === "Event") Object.assign(parts, { involvedObject: {}, source: {} });
  return { apiVersion, kind, metadata: { name }, ...parts } as KubeObject;
}

export interface Write {
  /** Undefined on create. */
  readonly before: KubeObject | undefined;
  /** As it is about to be stored, defaults included. */
  readonly after: KubeObject;
  readonly manager: string;
  readonly operation?: "Update";
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly subresource?: string | undefined;
}

/**
 * `after` with the managedFields that a create, replace or patch by `manager` leaves behind: it owns what it changed,
 * and others no longer own that, nor what is gone. Entries that `after` brings itself (a client moved ownership) are
 * taken for the old ones; an empty list, or one empty entry, wipes them.
 */
export function trackManagedFields<T extends KubeObject>(
  write: Omit<Write, "after"> & { readonly after: T },
): T {
  const { before, after, manager, now, subresource } = write;
  if (isReset(after)) return withManagedFields(after, []);
  const sent = after.metadata.managedFields ?? [];
  const owners = ownersOf(sent.length > 0 ? after : before);
  const change = compareFields(comparable(before ?? emptyObject(after)), comparable(after), schemaFor(after));
  const self: Owner = { manager, operation: "Update", apiVersion: after.apiVersion, subresource };
  const mine = owners.find((owner) => isSameOwner(owner, self));
  const taken = withoutUnowned(union(change.added, change.modified));
  const fields = union(difference(mine?.fields, change.removed), taken);
  const isUnchanged = isEqual(mine?.fields ?? {}, fields ?? {});
  const others = owners.filter((owner) => owner !== mine).map((owner) => without(owner, change));
  const time = isUnchanged ? mine?.time : formatTime(now);
  return withManagedFields(after, withoutExcess([...others, { ...self, time, fields }]));
}

const MAX_UPDATE_OWNERS = 10;

/** Clients that invent a manager per write would make the list grow for ever: the oldest share one entry. */
function withoutExcess(owners: readonly Owned[]): readonly Owned[] {
  const updaters = owners
    .filter(({ operation, fields }) => operation === "Update" && fields !== undefined)
    .sort((a, b) => ((a.time ?? "") < (b.time ?? "") ? -1 : 1));
  if (updaters.length <= MAX_UPDATE_OWNERS) return owners;
  const oldest = updaters.slice(0, updaters.length - MAX_UPDATE_OWNERS + 1);
  const merged = new Map<string, Owned>();
  for (const { apiVersion, time, fields } of oldest) {
    merged.set(apiVersion, {
      manager: "ancient-changes",
      operation: "Update",
      apiVersion,
      subresource: undefined,
      time,
      fields: union(merged.get(apiVersion)?.fields, fields),
    });
  }
  return [...owners.filter((owner) => !oldest.includes(owner)), ...merged.values()];
}

function isReset(object: KubeObject): boolean {
  const entries = object.metadata.managedFields;
  if (entries === undefined || entries === null) return false;
  if (entries.length === 0) return true;
  return entries.length === 1 && Object.keys(entries[0] as object).length === 0;
}

/** The object without what never has an owner, which spares comparing it. */
export function comparable(object: KubeObject): unknown {
  const { managedFields: _entries, resourceVersion: _version, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/** What an owner keeps when somebody else made this change. */
export function without(owner: Owned, change: Comparison): Owned {
  const lost = union(union(change.added, change.modified), change.removed);
  return lost === undefined ? owner : { ...owner, fields: difference(owner.fields, lost) };
}
