/**
 * What a DELETE means for an object, as `rest.BeforeDelete` and the registry decide it: some objects vanish at
 * once; pods get their grace period and wait for the kubelet; finalizers hold anything back. Pure: `planDeletion`
 * says what to store, `isReleased` whether an update has taken away the last thing that held an object.
 */
import type { DeleteOptions } from "../client/client.ts";
import type { StatusError } from "../client/status-error.ts";
import type { Namespace } from "../resources/cluster.ts";
import type { KubeObject } from "../resources/meta.ts";
import type { Pod } from "../resources/pod.ts";
import { preconditionFailed } from "./errors.ts";
import { isSame, timestamp, withMetadata } from "./object.ts";

export type Deletion =
  | { readonly kind: "remove" }
  | { readonly kind: "update"; readonly object: KubeObject }
  /** A deletion is under way already and this request adds nothing to it. */
  | { readonly kind: "pending" };

export function planDeletion(object: KubeObject, options: DeleteOptions, now: number): Deletion {
  checkPreconditions(object, options);
  if (object.kind === "Namespace") return planNamespaceDeletion(object as Namespace, now);
  const finalizers = finalizersFor(object, options);
  const deletion = object.metadata.deletionTimestamp;
  if (deletion !== undefined) return shortenGrace(object, options, finalizers, deletion);

  const graceSeconds = object.kind === "Pod" ? podGrace(object as Pod, options) : 0;
  if (graceSeconds === 0 && finalizers.length === 0) return { kind: "remove" };
  return {
    kind: "update",
    object: marked(object, finalizers, graceSeconds, timestamp(now + graceSeconds * 1000)),
  };
}

/** True when an object that is being deleted waits for nothing any more. */
export function isReleased(object: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = object.metadata;
  if (deletionTimestamp === undefined || deletionGracePeriodSeconds !== 0 || finalizers.length > 0)
    return false;
  return object.kind !== "Namespace" || ((object as Namespace).spec?.finalizers ?? []).length === 0;
}

function checkPreconditions(object: KubeObject, options: DeleteOptions): void {
  const { uid, resourceVersion } = options.preconditions ?? {};
  const { kind, metadata } = object;
  const refuse = (what: string, asked: string, found: string | undefined, hint: string): StatusError => {
    const why = `the ${what} in the precondition (${asked}) does not match the ${what} in record (${found}). ${hint}`;
    return preconditionFailed(kind, metadata.name, why);
  };
  if (uid !== undefined && uid !== metadata.uid) {
    throw refuse("UID", uid, metadata.uid, "The object might have been deleted and then recreated");
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    const found = metadata.resourceVersion;
    throw refuse("ResourceVersion", resourceVersion, found, "The object might have been modified");
  }
}

/** The namespace controller empties it, then takes the finalizer `kubernetes` out of its spec. */
function planNamespaceDeletion(namespace: Namespace, now: number): Deletion {
  const held = [...(namespace.spec?.finalizers ?? []), ...(namespace.metadata.finalizers ?? [])];
  if (held.length === 0) return { kind: "remove" };
  if (namespace.metadata.deletionTimestamp !== undefined) return { kind: "pending" };
  const object: Namespace = {
    ...withMetadata(namespace, { deletionTimestamp: timestamp(now) }),
    status: { ...namespace.status, phase: "Terminating" },
  };
  return { kind: "update", object };
}

/** Dependents first: `foregroundDeletion`; keep them: `orphan`. The garbage collector acts on both. */
function finalizersFor(object: KubeObject, options: DeleteOptions): readonly string[] {
  const present = object.metadata.finalizers ?? [];
  if (options.propagationPolicy === undefined) return present;
  const others = present.filter((finalizer) => finalizer !== "foregroundDeletion" && finalizer !== "orphan");
  if (options.propagationPolicy === "Orphan") return [...others, "orphan"];
  if (options.propagationPolicy === "Foreground") return [...others, "foregroundDeletion"];
  return others;
}

/** Nothing runs yet, or no longer: nothing to wait for. */
function podGrace(pod: Pod, options: DeleteOptions): number {
  const asked = options.gracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30;
  const phase = pod.status?.phase;
  if (pod.spec.nodeName === undefined || pod.spec.nodeName === "") return 0;
  if (phase === "Succeeded" || phase === "Failed") return 0;
  return asked < 0 ? 1 : asked;
}

function shortenGrace(
  object: KubeObject,
  options: DeleteOptions,
  finalizers: readonly string[],
  deletion: string,
): Deletion {
  const before = object.metadata.deletionGracePeriodSeconds ?? 0;
  const asked = options.gracePeriodSeconds ?? before;
  const graceSeconds = Math.max(0, Math.min(asked, before));
  if (graceSeconds === 0 && finalizers.length === 0) return { kind: "remove" };
  const at = timestamp(Date.parse(deletion) - (before - graceSeconds) * 1000);
  const changed = graceSeconds !== before || !isSame(finalizers, object.metadata.finalizers ?? []);
  return changed
    ? { kind: "update", object: marked(object, finalizers, graceSeconds, at) }
    : { kind: "pending" };
}

function marked(
  object: KubeObject,
  finalizers: readonly string[],
  deletionGracePeriodSeconds: number,
  deletionTimestamp: string,
): KubeObject {
  const { generation } = object.metadata;
  const isFirst = object.metadata.deletionTimestamp === undefined;
  return withMetadata(object, {
    deletionTimestamp,
    deletionGracePeriodSeconds,
    ...(finalizers.length > 0 || object.metadata.finalizers !== undefined ? { finalizers } : {}),
    ...(generation !== undefined && isFirst ? { generation: generation + 1 } : {}),
  });
}
