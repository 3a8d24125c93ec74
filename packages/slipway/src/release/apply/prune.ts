/**
 * Prune by inventory: what the release before had and this one has not. Never by a selector over the namespace. Done
 * only after the new release has been verified.
 *
 * Deleting a Namespace, a PersistentVolumeClaim or a CustomResourceDefinition deletes data, so those stay, unless the
 * object in the cluster carries the annotation `slipway.dev/prune: allow`: put there by the manifest of an earlier
 * release or by hand, in any case by somebody who meant this very object. The namespace that holds the release's own
 * history stays always.
 *
 * Hash-named ConfigMaps and Secrets stay as long as a kept release names them, because going back needs them. And what
 * the new release itself refers to stays, whatever preflight was told to overlook: its next pod could not be made.
 */
import { type AnyObject, isReason, type KubeClient, type KubeObject, type ObjectRef } from "@slipway/kube";
import { groupOf } from "../manifests/api-versions.ts";
import { SERVICE_LABEL } from "../manifests/render.ts";
import { discoveryOf, servedRef } from "../manifests/served.ts";
import { keyOf, referenceKey, referencesOf } from "../preflight/references.ts";

export const PRUNE_ANNOTATION = "slipway.dev/prune";
const HOLDS_DATA = new Set([
  "Namespace",
  "PersistentVolumeClaim",
  "PersistentVolume",
  "CustomResourceDefinition",
]);
const KEPT_WITH_HISTORY = new Set(["ConfigMap", "Secret"]);

export function toPrune(input: {
  readonly before: readonly AnyObject[];
  readonly after: readonly AnyObject[];
  /** Objects of the other releases that stay in the history. */
  readonly kept: readonly AnyObject[];
}): readonly ObjectRef[] {
  const referred = new Set(input.after.flatMap(referencesOf).map(referenceKey));
  const kept = new Set(input.kept.filter((object) => KEPT_WITH_HISTORY.has(object.kind)).map(identityOf));
  return gone(input.before, input.after)
    .filter((object) => !kept.has(identityOf(object)) && !referred.has(keyOf(object)))
    .map(refOf)
    .reverse();
}

/** Those of `before` that `after` no longer has, each once, whether or not they are to be deleted. */
export function gone(before: readonly AnyObject[], after: readonly AnyObject[]): readonly AnyObject[] {
  const there = new Set(after.map(identityOf));
  const going = new Map<string, AnyObject>();
  for (const object of before) {
    const identity = identityOf(object);
    if (!there.has(identity)) going.set(identity, object);
  }
  return [...going.values()];
}

/** Whether an object that left the release may be deleted at the end of a verified one: ours, and no data. */
export function isPrunable(live: KubeObject, service: string, ownNamespace: string): boolean {
  // Somebody made it theirs since: it is no longer ours to delete.
  return live.metadata.labels?.[SERVICE_LABEL] === service && isDataToDelete(live, ownNamespace) !== false;
}

/** Undefined for what holds no data; false for what does and stays. */
export function isDataToDelete(live: KubeObject, ownNamespace: string): boolean | undefined {
  if (!HOLDS_DATA.has(live.kind ?? "")) return undefined;
  if (live.kind === "Namespace" && live.metadata.name === ownNamespace) return false;
  return live.metadata.annotations?.[PRUNE_ANNOTATION] === "allow";
}

/** Group, kind, namespace and name: a new API version of the same object is the same object. */
export function identityOf(object: AnyObject): string {
  return `${groupOf(object)} ${object.kind} ${object.metadata.namespace ?? ""}/${object.metadata.name}`;
}

export function refOf(object: AnyObject): ObjectRef {
  const { apiVersion, kind, metadata } = object;
  return metadata.namespace === undefined
    ? { apiVersion, kind, name: metadata.name }
    : { apiVersion, kind, name: metadata.name, namespace: metadata.namespace };
}

/**
 * Deletes what still belongs to this service; returns what was deleted and what could not be. What holds data is
 * deleted only with `ownNamespace` given, which says that this is the end of a verified release.
 */
export async function prune(
  client: KubeClient,
  refs: readonly ObjectRef[],
  service: string,
  ownNamespace?: string,
): Promise<{ readonly deleted: readonly string[]; readonly failed: readonly string[] }> {
  const discovery = discoveryOf(client);
  const deleted: string[] = [];
  const failed: string[] = [];
  for (const written of refs) {
    let ref = written;
    try {
      ref = await servedRef(discovery, written);
      const live = await client.get(ref);
      // Somebody made it theirs since: it is no longer ours to delete.
      if (live.metadata.labels?.[SERVICE_LABEL] !== service) continue;
      if (
        ownNamespace === undefined ? HOLDS_DATA.has(ref.kind) : isDataToDelete(live, ownNamespace) === false
      )
        continue;
      await client.delete(ref, {
        propagationPolicy: "Background",
        ...(live.metadata.uid === undefined ? {} : { preconditions: { uid: live.metadata.uid } }),
      });
      deleted.push(`${ref.kind} ${ref.name}`);
    } catch (error) {
      if (isReason(error, "NotFound")) continue;
      failed.push(`${ref.kind} ${ref.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { deleted, failed };
}
