/**
 * Who belongs to whom. A controller owns what names it as controller and matches its selector; it *adopts* what
 * matches and has no controller, and *releases* what it owns and no longer matches (someone relabelled a pod to look
 * at it in peace). The same rules serve ReplicaSets over pods and Deployments over ReplicaSets.
 */
import type { KubeObject, LabelSelector, OwnerReference, StringMap } from "@slipway/kube";
import { matchesLabels } from "@slipway/kube";

export interface Claims<T extends KubeObject> {
  readonly owned: readonly T[];
  /** Objects as they should be written: with the owner reference added, or taken away. */
  readonly toAdopt: readonly T[];
  readonly toRelease: readonly T[];
}

interface Owner extends KubeObject {
  readonly spec: { readonly selector: LabelSelector };
}

export function claim<T extends KubeObject>(owner: Owner, candidates: readonly T[]): Claims<T> {
  const owned: T[] = [];
  const toAdopt: T[] = [];
  const toRelease: T[] = [];
  const matchesOwner = matcher(owner.spec.selector);
  const isOwnerLeaving = owner.metadata.deletionTimestamp !== undefined;
  for (const object of candidates) {
    const controller = controllerOf(object);
    if (controller !== undefined && controller.uid !== owner.metadata.uid) continue;
    const matches = matchesOwner(object.metadata.labels);
    if (controller !== undefined) {
      if (matches) owned.push(object);
      else if (!isOwnerLeaving) toRelease.push(withoutOwner(object, controller.uid));
    } else if (matches && !isOwnerLeaving && object.metadata.deletionTimestamp === undefined) {
      toAdopt.push(withOwner(object, controllerReference(owner)));
    }
  }
  return { owned, toAdopt, toRelease };
}

/** The selector made ready for many objects: a claim looks at every pod of the namespace, again and again. */
function matcher(selector: LabelSelector): (labels: StringMap | undefined) => boolean {
  const wanted = Object.entries(selector.matchLabels ?? {});
  const expressions = selector.matchExpressions ?? [];
  return (labels) => {
    for (const [key, value] of wanted) if (labels?.[key] !== value) return false;
    return expressions.length === 0 || matchesLabels({ matchExpressions: expressions }, labels);
  };
}

/** The owner reference with `controller: true`, of which there is at most one. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  const owners = object.metadata.ownerReferences;
  if (owners === undefined) return undefined;
  for (const owner of owners) if (owner.controller === true) return owner;
  return undefined;
}

export function controllerReference(owner: KubeObject): OwnerReference {
  const { name, uid } = owner.metadata;
  return {
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name,
    uid: uid ?? "",
    controller: true,
    blockOwnerDeletion: true,
  };
}

function withOwner<T extends KubeObject>(object: T, owner: OwnerReference): T {
  const others = (object.metadata.ownerReferences ?? []).filter(({ uid }) => uid !== owner.uid);
  return { ...object, metadata: { ...object.metadata, ownerReferences: [...others, owner] } };
}

function withoutOwner<T extends KubeObject>(object: T, uid: string): T {
  const { ownerReferences, ...rest } = object.metadata;
  const others = (ownerReferences ?? []).filter((owner) => owner.uid !== uid);
  return {
    ...object,
    metadata: { ...rest, ...(others.length === 0 ? {} : { ownerReferences: others }) },
  };
}
