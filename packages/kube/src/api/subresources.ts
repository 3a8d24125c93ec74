/**
 * The subresources that are not simply a part of the object: scale, binding and eviction. Each function turns a
 * request into the object that is to be stored, or refuses it in Kubernetes' words.
 */
import type { DeleteOptions } from "../client/client.ts";
import { type StatusError, statusError } from "../client/status-error.ts";
import type { KubeObject } from "../resources/meta.ts";
import type { Pod } from "../resources/pod.ts";
import type { Deployment, PodDisruptionBudget, ReplicaSet } from "../resources/workload.ts";
import { formatLabelSelector, matchesLabels } from "../selector/labels.ts";
import type { Reader } from "../store/store.ts";
import { badRequest, conflict, forbidden, internalError, notFound, tooManyRequests } from "./errors.ts";
import { compact, timestamp, withMetadata } from "./object.ts";

/** autoscaling/v1 Scale: the same small object for everything that has replicas. */
export interface Scale extends KubeObject {
  readonly apiVersion: "autoscaling/v1";
  readonly kind: "Scale";
  readonly spec?: { readonly replicas?: number };
  readonly status?: { readonly replicas: number; readonly selector?: string };
}

export function scaleOf(object: Deployment | ReplicaSet): Scale {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  return {
    apiVersion: "autoscaling/v1",
    kind: "Scale",
    metadata: compact({ name, namespace, uid, resourceVersion, creationTimestamp }) as Scale["metadata"],
    spec: { replicas: object.spec.replicas ?? 1 },
    status: { replicas: object.status?.replicas ?? 0, selector: formatLabelSelector(object.spec.selector) },
  };
}

/** The workload with the replicas of a Scale; a resourceVersion in the Scale is a precondition. */
export function withScale(object: Deployment | ReplicaSet, scale: KubeObject): KubeObject {
  const { replicas = 0 } = (scale as Scale).spec ?? {};
  if (!Number.isInteger(replicas))
    throw badRequest(`Scale: spec.replicas should be an integer, got ${replicas}`);
  if (replicas < 0) throw negativeReplicas(object.metadata.name, replicas);
  const { resourceVersion } = scale.metadata;
  const scaled = { ...object, spec: { ...object.spec, replicas } };
  return withMetadata(scaled, resourceVersion === undefined ? {} : { resourceVersion });
}

function negativeReplicas(name: string, replicas: number): StatusError {
  const field = "spec.replicas";
  const message = `Invalid value: ${replicas}: must be greater than or equal to 0`;
  return statusError(422, "Invalid", `Scale.autoscaling "${name}" is invalid: ${field}: ${message}`, {
    name,
    group: "autoscaling",
    kind: "Scale",
    causes: [{ reason: "FieldValueInvalid", message, field }],
  });
}

interface Binding extends KubeObject {
  readonly target?: { readonly name?: string };
}

/** The pod with its node. Final: a pod is never moved. */
export function bind(pod: Pod, binding: KubeObject, now: number): Pod {
  const { name, uid, deletionTimestamp } = pod.metadata;
  const node = (binding as Binding).target?.name;
  if (node === undefined || node === "") throw badRequest("Binding: target.name: Required value");
  if (binding.metadata.uid !== undefined && binding.metadata.uid !== uid) {
    const why = `Precondition failed: UID in precondition: ${binding.metadata.uid}, UID in object meta: ${uid}`;
    throw conflict("Pod", name, why);
  }
  if (deletionTimestamp !== undefined) {
    throw conflict("Pod", name, `pod ${name} is being deleted, cannot be assigned to a host`);
  }
  if (pod.spec.nodeName !== undefined && pod.spec.nodeName !== "") {
    throw conflict("Pod", name, `pod ${name} is already assigned to node "${pod.spec.nodeName}"`);
  }
  const others = (pod.status?.conditions ?? []).filter((condition) => condition.type !== "PodScheduled");
  const scheduled = { type: "PodScheduled", status: "True", lastTransitionTime: timestamp(now) } as const;
  return {
    ...pod,
    spec: { ...pod.spec, nodeName: node },
    status: { ...pod.status, conditions: [...others, scheduled] },
  };
}

/**
 * Whether a pod may be evicted: the budget with the eviction counted in, undefined when no budget is concerned.
 * Throws 429 when the budget has none left, which clients take as "try again later".
 */
export function takeFromBudget(reader: Reader, pod: Pod, now: number): PodDisruptionBudget | undefined {
  if (isFreeToGo(pod)) return undefined;
  const { name, namespace = "", labels } = pod.metadata;
  const budgets = reader
    .list("PodDisruptionBudget", namespace)
    .filter((budget) => matchesLabels(budget.spec.selector, labels));
  if (budgets.length > 1) {
    const why =
      "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
    throw internalError(why);
  }
  const budget = budgets[0];
  if (budget === undefined || isBrokenAnyway(pod, budget)) return undefined;
  const { status } = budget;
  const observed = status?.observedGeneration ?? 0;
  if (status === undefined || observed < (budget.metadata.generation ?? 0)) {
    throw cannotEvict(
      `The disruption budget ${budget.metadata.name} is still being processed by the server.`,
    );
  }
  if (status.disruptionsAllowed < 0)
    throw forbidden("PodDisruptionBudget", budget.metadata.name, "pdb disruptions allowed is negative");
  if (status.disruptionsAllowed === 0) {
    throw cannotEvict(
      `The disruption budget ${budget.metadata.name} needs ${status.desiredHealthy} healthy pods and has ${status.currentHealthy} currently`,
    );
  }
  const disruptedPods = { ...status.disruptedPods, [name]: timestamp(now) };
  return {
    ...budget,
    status: { ...status, disruptionsAllowed: status.disruptionsAllowed - 1, disruptedPods },
  };
}

function isFreeToGo(pod: Pod): boolean {
  const phase = pod.status?.phase;
  return (
    phase === "Succeeded" ||
    phase === "Failed" ||
    phase === "Pending" ||
    pod.metadata.deletionTimestamp !== undefined
  );
}

/** A pod that is not ready serves nobody; it may go while enough others are healthy. */
function isBrokenAnyway(pod: Pod, budget: PodDisruptionBudget): boolean {
  const isReady = pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True");
  const { currentHealthy = 0, desiredHealthy = 0 } = budget.status ?? {};
  return isReady !== true && desiredHealthy > 0 && currentHealthy >= desiredHealthy;
}

function cannotEvict(message: string): StatusError {
  return tooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", [
    { reason: "DisruptionBudget", message },
  ]);
}

interface Eviction extends KubeObject {
  readonly deleteOptions?: DeleteOptions;
}

export function evictionOptions(eviction: KubeObject): DeleteOptions {
  return (eviction as Eviction).deleteOptions ?? {};
}

export function requirePod(reader: Reader, object: KubeObject): Pod {
  const { name, namespace = "" } = object.metadata;
  const pod = reader.get("Pod", namespace, name);
  if (pod === undefined) throw notFound("Pod", name);
  return pod;
}
