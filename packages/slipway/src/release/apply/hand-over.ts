/**
 * A Deployment that gets a HorizontalPodAutoscaler leaves `spec.replicas` out from then on. Server-side apply takes a
 * field away that its only owner no longer names, and the default in its place is 1: all pods but one would go at
 * that moment. So the number is first put into other hands, as the Kubernetes documentation describes it
 * ("Transferring ownership between managers"), and stays what it is until the autoscaler says otherwise.
 */
import { type AnyObject, findObject, type KubeClient, type KubeObject } from "@slipway/kube";

const HAND_OVER_MANAGER = "slipway-replicas";

/** The replicas that an apply of `object` by `manager` would lose; undefined when it would lose none. */
export function replicasLeft(live: KubeObject, object: AnyObject, manager: string): number | undefined {
  if (object.kind !== "Deployment" && object.kind !== "StatefulSet") return undefined;
  if ((object["spec"] as { replicas?: number } | undefined)?.replicas !== undefined) return undefined;
  const owners = (live.metadata.managedFields ?? []).filter(({ fieldsV1 }) => {
    const spec = (fieldsV1 as Record<string, Record<string, unknown> | undefined> | undefined)?.["f:spec"];
    return spec?.["f:replicas"] !== undefined;
  });
  const [owner] = owners;
  const isOursAlone = owners.length === 1 && owner?.manager === manager && owner.operation === "Apply";
  return isOursAlone ? (live as { spec?: { replicas?: number } }).spec?.replicas : undefined;
}

/** The object as its dry run must be sent, to come to what the apply after a hand-over comes to. */
export function withReplicas(object: AnyObject, replicas: number | undefined): AnyObject {
  return replicas === undefined
    ? object
    : { ...object, spec: { ...(object["spec"] as Record<string, unknown>), replicas } };
}

export async function handOverReplicas(
  client: KubeClient,
  object: AnyObject,
  manager: string,
): Promise<void> {
  if (object.kind !== "Deployment" && object.kind !== "StatefulSet") return;
  if ((object["spec"] as { replicas?: number } | undefined)?.replicas !== undefined) return;
  const { apiVersion, kind, metadata } = object;
  const { name, namespace } = metadata;
  const live = await findObject(client, { apiVersion, kind, name, namespace });
  const replicas = live === undefined ? undefined : replicasLeft(live, object, manager);
  if (replicas === undefined) return;
  const only = { apiVersion, kind, metadata: { name, namespace }, spec: { replicas } } as AnyObject;
  await client.apply(only, { fieldManager: HAND_OVER_MANAGER });
}
