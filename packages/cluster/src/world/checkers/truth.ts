/**
 * Facts about a world, read plainly from the store and written independently of the controllers: a checker that
 * asked the controllers' own functions would believe their bugs.
 */
import type { Deployment, IntOrString, KubeObject, Pod, Reader, ReplicaSet } from "@slipway/kube";

export function ownerUid(object: KubeObject): string | undefined {
  return object.metadata.ownerReferences?.find(({ controller }) => controller === true)?.uid;
}

export function replicaSetsOf(reader: Reader, deployment: Deployment): readonly ReplicaSet[] {
  return reader
    .list("ReplicaSet", deployment.metadata.namespace)
    .filter((replicaSet) => ownerUid(replicaSet) === deployment.metadata.uid);
}

/** Neither ended nor being deleted. */
export function activePodsOf(reader: Reader, replicaSet: ReplicaSet): readonly Pod[] {
  const { uid, namespace } = replicaSet.metadata;
  return reader.list("Pod", namespace).filter((pod) => isActivePod(pod) && ownerUid(pod) === uid);
}

export function isActivePod({ metadata, status }: Pod): boolean {
  return (
    metadata.deletionTimestamp === undefined && status?.phase !== "Failed" && status?.phase !== "Succeeded"
  );
}

export function isReadyPod(pod: Pod): boolean {
  return pod.status?.conditions?.find(({ type }) => type === "Ready")?.status === "True";
}

export function isAvailablePod(pod: Pod, minReadySeconds: number, now: number): boolean {
  const ready = pod.status?.conditions?.find(({ type }) => type === "Ready");
  if (ready?.status !== "True") return false;
  return minReadySeconds === 0 || Date.parse(ready.lastTransitionTime ?? "") + minReadySeconds * 1000 <= now;
}

/** Floor and ceiling of a rolling update. */
export function boundsOf({ spec }: Deployment): {
  readonly floor: number;
  readonly ceiling: number;
  readonly replicas: number;
} {
  const replicas = spec.replicas ?? 1;
  const { maxSurge = "25%", maxUnavailable = "25%" } = spec.strategy?.rollingUpdate ?? {};
  const surge = part(maxSurge, replicas, true);
  const unavailable = part(maxUnavailable, replicas, false);
  const mayLack = surge === 0 && unavailable === 0 ? 1 : unavailable;
  return { replicas, ceiling: replicas + surge, floor: Math.max(0, replicas - mayLack) };
}

function part(value: IntOrString, of: number, up: boolean): number {
  if (typeof value === "number") return value;
  const hundredths = Number(value.replace("%", "")) * of;
  const whole = (hundredths - (hundredths % 100)) / 100;
  return up && hundredths % 100 > 0 ? whole + 1 : whole;
}

export function revisionIn(object: KubeObject): number {
  return Number(object.metadata.annotations?.["deployment.kubernetes.io/revision"] ?? 0);
}

/** The ReplicaSet whose pods are made from the Deployment's template, by the image of the first container. */
export function isOfTemplate(replicaSet: ReplicaSet, deployment: Deployment): boolean {
  const image = ({ spec }: ReplicaSet | Deployment): string | undefined =>
    spec.template.spec.containers[0]?.image;
  return image(replicaSet) === image(deployment);
}
