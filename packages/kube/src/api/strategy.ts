/**
 * What each kind keeps, resets and counts when it is written: the `PrepareForCreate` and `PrepareForUpdate` of
 * Kubernetes' registry strategies. Here `status` and `spec` are kept apart, and `generation` is counted.
 */
import type { ResourceType } from "../resources/kinds.ts";
import type { AnyObject, KubeObject, ObjectMeta } from "../resources/meta.ts";
import type { Pod, PodStatus } from "../resources/pod.ts";
import type { Job } from "../resources/workload.ts";
import { compact, isSame, withMetadata } from "./object.ts";
import { qosClassOf } from "./qos.ts";

/** Kinds whose `metadata.generation` counts changes of the spec. */
const COUNTED = new Set(["Deployment", "ReplicaSet", "Job", "PodDisruptionBudget", "EndpointSlice"]);

/** PUT without a resourceVersion is refused for these; for all others it overwrites. */
export const CONDITIONAL = new Set(["Lease", "PodDisruptionBudget"]);

export function hasStatus(type: ResourceType): boolean {
  return type.subresources.includes("status");
}

/** The object as a create stores it: the server's metadata in place of the client's, and no status yet. */
export function prepareCreate(
  type: ResourceType,
  object: KubeObject,
  given: { readonly name: string; readonly uid: string; readonly creationTimestamp: string },
): AnyObject {
  const {
    resourceVersion: _version,
    deletionTimestamp: _deletion,
    deletionGracePeriodSeconds: _grace,
    generation: _generation,
    ...kept
  } = object.metadata;
  const metadata: ObjectMeta = {
    ...kept,
    ...given,
    ...(COUNTED.has(type.kind) ? { generation: 1 } : {}),
  };
  const created = { ...object, metadata } as AnyObject;
  switch (type.kind) {
    case "Pod":
      return { ...created, status: newPodStatus(object as Pod) };
    case "Namespace":
      return { ...created, ...NEW_NAMESPACE };
    case "Service":
      return { ...created, status: { loadBalancer: {} } };
    case "Node": // whoever registers a node says at once what it is and has
      return created;
    case "ReplicaSet":
      return { ...created, status: { replicas: 0 } };
    case "Job":
      return { ...withOwnSelector(created as AnyObject & Job), status: {} };
    default:
      return hasStatus(type) ? { ...created, status: {} } : created;
  }
}

/** A Job's pods are its own alone: the server labels them with its uid and selects by it. */
function withOwnSelector(job: AnyObject & Job): AnyObject {
  const { spec, metadata } = job;
  if (spec?.template === undefined || spec.selector !== undefined) return job;
  const labels = { "controller-uid": metadata.uid ?? "", "job-name": metadata.name };
  const template = {
    ...spec.template,
    metadata: { ...spec.template.metadata, labels: { ...spec.template.metadata?.labels, ...labels } },
  };
  const selector = { matchLabels: { "controller-uid": metadata.uid ?? "" } };
  return { ...job, spec: { ...spec, selector, template } } as AnyObject;
}

/** Without containers the pod is not valid, which is said later and better. */
function newPodStatus(pod: Pod): PodStatus {
  const isWhole = Array.isArray(pod.spec?.containers);
  return { phase: "Pending", ...(isWhole ? { qosClass: qosClassOf(pod.spec) } : {}) };
}

const NEW_NAMESPACE = { spec: { finalizers: ["kubernetes"] }, status: { phase: "Active" } };

/**
 * The object as an update stores it. On the main resource the status stays as it was; on `status` everything else
 * does; on `finalize` only a namespace's `spec.finalizers` change.
 */
export function prepareUpdate(
  type: ResourceType,
  old: KubeObject,
  sent: KubeObject,
  subresource: string | undefined,
): KubeObject {
  const before = old as AnyObject;
  const after = sent as AnyObject;
  if (subresource === "status") {
    // Besides the status, these two may be written here; leaving them out is not taken for removing them.
    const { annotations = old.metadata.annotations, finalizers = old.metadata.finalizers } = sent.metadata;
    const { managedFields } = sent.metadata;
    const changes = compact({ annotations, finalizers, managedFields });
    return compact({ ...withMetadata(before, changes), status: after["status"] });
  }
  if (subresource === "finalize") {
    return compact({
      ...withMetadata(before, { managedFields: sent.metadata.managedFields }),
      spec: after["spec"],
    });
  }
  const metadata = compact({ ...sent.metadata, ...serversOwn(old.metadata) }) as ObjectMeta;
  const kept = hasStatus(type) ? { status: before["status"] } : {};
  const updated = compact({ ...after, ...kept, metadata });
  if (type.kind === "Namespace") return compact({ ...updated, spec: before["spec"] });
  if (!COUNTED.has(type.kind) || !isNewGeneration(before, updated)) return updated;
  return withMetadata(updated, { generation: (old.metadata.generation ?? 0) + 1 });
}

/** Metadata that no client can change, whatever it sends. */
function serversOwn(metadata: ObjectMeta): Partial<ObjectMeta> {
  const { uid, creationTimestamp, deletionTimestamp, deletionGracePeriodSeconds, generation } = metadata;
  return {
    uid,
    creationTimestamp,
    deletionTimestamp,
    deletionGracePeriodSeconds,
    generation,
  } as Partial<ObjectMeta>;
}

/** A Deployment's annotations count as well, for they are copied to its ReplicaSets. */
function isNewGeneration(before: AnyObject, after: AnyObject): boolean {
  switch (after.kind) {
    case "Deployment":
      return (
        !isSame(before["spec"], after["spec"]) ||
        !isSame(before.metadata.annotations, after.metadata.annotations)
      );
    case "EndpointSlice":
      return (
        !isSame({ ...before, metadata: {} }, { ...after, metadata: {} }) ||
        !isSame(before.metadata.labels, after.metadata.labels)
      );
    default:
      return !isSame(before["spec"], after["spec"]);
  }
}
