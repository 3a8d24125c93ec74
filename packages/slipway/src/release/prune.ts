/**
 * Prune by inventory: what the release before had and this one has not. Never by a selector over the namespace, and
 * never a Namespace, a PersistentVolumeClaim or a CustomResourceDefinition: deleting those deletes data. Done only
 * after the new release has been verified.
 *
 * Hash-named ConfigMaps and Secrets stay as long as a kept release names them, because going back needs them.
 */
import { type AnyObject, isReason, type KubeClient, type ObjectRef } from "@slipway/kube";
import { SERVICE_LABEL } from "./render.ts";

const NEVER = new Set(["Namespace", "PersistentVolumeClaim", "PersistentVolume", "CustomResourceDefinition"]);
const KEPT_WITH_HISTORY = new Set(["ConfigMap", "Secret"]);

export function toPrune(input: {
  readonly before: readonly AnyObject[];
  readonly after: readonly AnyObject[];
  /** Objects of the other releases that stay in the history. */
  readonly kept: readonly AnyObject[];
}): readonly ObjectRef[] {
  const after = new Set(input.after.map(identity));
  const kept = new Set(input.kept.filter((object) => KEPT_WITH_HISTORY.has(object.kind)).map(identity));
  return input.before
    .filter(
      (object) => !NEVER.has(object.kind) && !after.has(identity(object)) && !kept.has(identity(object)),
    )
    .map(refOf)
    .reverse();
}

/** Group, kind, namespace and name: a new API version of the same object is the same object. */
function identity(object: AnyObject): string {
  const group = object.apiVersion.includes("/") ? object.apiVersion.split("/")[0] : "";
  return `${group} ${object.kind} ${object.metadata.namespace ?? ""}/${object.metadata.name}`;
}

export function refOf(object: AnyObject): ObjectRef {
  const { apiVersion, kind, metadata } = object;
  return metadata.namespace === undefined
    ? { apiVersion, kind, name: metadata.name }
    : { apiVersion, kind, name: metadata.name, namespace: metadata.namespace };
}

/** Deletes what still belongs to this service; returns what was deleted and what could not be. */
export async function prune(
  client: KubeClient,
  refs: readonly ObjectRef[],
  service: string,
): Promise<{ readonly deleted: readonly string[]; readonly failed: readonly string[] }> {
  const deleted: string[] = [];
  const failed: string[] = [];
  for (const ref of refs) {
    try {
      const live = await client.get(ref);
      // Somebody made it theirs since: it is no longer ours to delete.
      if (live.metadata.labels?.[SERVICE_LABEL] !== service) continue;
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
