/**
 * garbage-collector: deletes what has no owner left, and carries out the two other ways to delete an owner:
 * foreground (dependents first; finalizer `foregroundDeletion`) and orphan (dependents stay; finalizer `orphan`).
 * Keys are `Kind/namespace/name`, since it is the one controller that looks at every kind.
 */
import {
  type AnyObject,
  type KubeObject,
  type OwnerReference,
  resourceTypeOf,
  resourceTypes,
} from "@slipway/kube";
import type { Command, Controller, Decision, Key, Snapshot } from "../controller.ts";

const FOREGROUND = "foregroundDeletion";
const ORPHAN = "orphan";

export const garbageController: Controller = {
  name: "garbage-collector-controller",
  watches: resourceTypes.filter(({ kind }) => kind !== "Event").map(({ kind }) => ({ kind, keys: keysOf })),
  decide,
};

const garbageKey = (object: KubeObject): Key =>
  `${object.kind}/${object.metadata.namespace ?? ""}/${object.metadata.name}`;

function keysOf(object: KubeObject, previous: KubeObject | undefined, snapshot: Snapshot): readonly Key[] {
  const { uid, deletionTimestamp, finalizers, ownerReferences } = object.metadata;
  const current = snapshot.get(object.kind, object.metadata.namespace ?? "", object.metadata.name);
  const isGone = current === undefined || current.metadata.uid !== uid;
  const dependents = (): readonly Key[] => (uid === undefined ? [] : snapshot.ownedBy(uid).map(garbageKey));
  if (isGone) {
    // Those it owned may be garbage now; its owners may be waiting for it to go.
    return [...dependents(), ...ownersOf(object, snapshot).map(garbageKey)];
  }
  const keys: Key[] = [];
  const refsChanged = previous?.metadata.ownerReferences !== ownerReferences;
  if (refsChanged && (ownerReferences ?? []).length > 0) keys.push(garbageKey(object));
  const isGarbageWork = finalizers?.includes(FOREGROUND) === true || finalizers?.includes(ORPHAN) === true;
  if (deletionTimestamp !== undefined && isGarbageWork) keys.push(garbageKey(object));
  if (refsChanged) {
    // Released by an update: the former owner may have waited for exactly that.
    keys.push(...(previous === undefined ? [] : ownersOf(previous, snapshot).map(garbageKey)));
  }
  return keys;
}

function ownersOf(object: KubeObject, snapshot: Snapshot): readonly KubeObject[] {
  return (object.metadata.ownerReferences ?? []).flatMap((reference) => {
    const owner = ownerOf(object, reference, snapshot);
    return typeof owner === "object" ? [owner] : [];
  });
}

/** `unknown` for kinds that this cluster does not serve: what cannot be looked up is never called garbage. */
function ownerOf(
  object: KubeObject,
  reference: OwnerReference,
  snapshot: Snapshot,
): KubeObject | "absent" | "unknown" {
  const type = resourceTypeOf(reference.kind);
  if (type === undefined) return "unknown";
  const namespace = type.namespaced ? (object.metadata.namespace ?? "") : "";
  const owner = snapshot.get(reference.kind, namespace, reference.name);
  return owner !== undefined && owner.metadata.uid === reference.uid ? owner : "absent";
}

function decide(snapshot: Snapshot, key: Key): Decision {
  const [kind, namespace, name] = key.split("/") as [string, string, string];
  const object = snapshot.get(kind, namespace, name);
  if (object === undefined) return { commands: [] };
  const { deletionTimestamp, finalizers = [] } = object.metadata;
  if (deletionTimestamp !== undefined && finalizers.includes(ORPHAN)) {
    return { commands: orphanDependents(object, snapshot) };
  }
  if (deletionTimestamp !== undefined && finalizers.includes(FOREGROUND)) {
    return { commands: deleteDependents(object, snapshot) };
  }
  if (deletionTimestamp !== undefined) return { commands: [] };
  return { commands: judge(object, snapshot) };
}

function orphanDependents(owner: KubeObject, snapshot: Snapshot): readonly Command[] {
  const released = snapshot
    .ownedBy(owner.metadata.uid ?? "")
    .map((dependent): Command => withoutOwners(dependent, ({ uid }) => uid === owner.metadata.uid));
  return [...released, withoutFinalizer(owner, ORPHAN)];
}

function deleteDependents(owner: KubeObject, snapshot: Snapshot): readonly Command[] {
  const dependents = snapshot.ownedBy(owner.metadata.uid ?? "");
  const blocking = dependents.filter((dependent) =>
    dependent.metadata.ownerReferences?.some(
      ({ uid, blockOwnerDeletion }) => uid === owner.metadata.uid && blockOwnerDeletion === true,
    ),
  );
  const doomed = dependents.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const commands = doomed.flatMap((dependent) => judge(dependent, snapshot));
  return blocking.length === 0 ? [...commands, withoutFinalizer(owner, FOREGROUND)] : commands;
}

/** One living owner is enough to stay; the references to dead ones are then dropped. */
function judge(object: KubeObject, snapshot: Snapshot): readonly Command[] {
  const references = object.metadata.ownerReferences ?? [];
  if (references.length === 0) return [];
  const solid: OwnerReference[] = [];
  const waiting: OwnerReference[] = [];
  for (const reference of references) {
    const owner = ownerOf(object, reference, snapshot);
    if (owner === "absent") continue;
    const isWaiting =
      owner !== "unknown" &&
      owner.metadata.deletionTimestamp !== undefined &&
      owner.metadata.finalizers?.includes(FOREGROUND) === true;
    (isWaiting ? waiting : solid).push(reference);
  }
  if (solid.length === references.length) return [];
  if (solid.length > 0) return [withoutOwners(object, (reference) => !solid.includes(reference))];
  const hasDependents = snapshot.ownedBy(object.metadata.uid ?? "").length > 0;
  const { kind, metadata } = object;
  return [
    {
      do: "delete",
      kind,
      namespace: metadata.namespace ?? "",
      name: metadata.name,
      ...(metadata.uid === undefined ? {} : { uid: metadata.uid }),
      // An owner that waits for its dependents must wait for theirs too.
      propagationPolicy: waiting.length > 0 && hasDependents ? "Foreground" : "Background",
    },
  ];
}

function withoutOwners(object: KubeObject, isDropped: (reference: OwnerReference) => boolean): Command {
  const { ownerReferences: all = [], ...metadata } = object.metadata;
  const ownerReferences = all.filter((reference) => !isDropped(reference));
  return updated(object, ownerReferences.length === 0 ? metadata : { ...metadata, ownerReferences });
}

function withoutFinalizer(object: KubeObject, finalizer: string): Command {
  const { finalizers: all = [], ...metadata } = object.metadata;
  const finalizers = all.filter((other) => other !== finalizer);
  return updated(object, finalizers.length === 0 ? metadata : { ...metadata, finalizers });
}

/** Empty lists are left out, as Kubernetes leaves them out. */
function updated(object: KubeObject, metadata: KubeObject["metadata"]): Command {
  return { do: "update", object: { ...object, metadata } as AnyObject };
}
