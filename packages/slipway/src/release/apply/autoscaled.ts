/**
 * Deployments and StatefulSets whose number of pods a HorizontalPodAutoscaler of the cluster decides, be it part of the
 * release or not: a manifest that says 3 must not take 12 pods down to 3 while the autoscaler thinks again. Their
 * `spec.replicas` is left out of the apply; `hand-over.ts` sees to it that the count survives that.
 *
 * One that is not there yet keeps its number: without one it would begin with a single pod.
 */
import { type AnyObject, isReason, type KubeClient, StatusError } from "@slipway/kube";

const COUNTED = ["Deployment", "StatefulSet"];

const keyOf = ({ kind, metadata }: AnyObject): string =>
  `${kind} ${metadata.namespace ?? "default"}/${metadata.name}`;

const replicasIn = (object: AnyObject): number | undefined =>
  (object["spec"] as { replicas?: number } | undefined)?.replicas;

/** `Deployment namespace/name` of those among `objects` that an autoscaler of the cluster scales now. */
export async function autoscaledIn(
  client: KubeClient,
  objects: readonly AnyObject[],
): Promise<ReadonlySet<string>> {
  const counted = objects.filter((one) => COUNTED.includes(one.kind) && replicasIn(one) !== undefined);
  const namespaces = [...new Set(counted.map(({ metadata }) => metadata.namespace ?? "default"))];
  const targets = new Set((await Promise.all(namespaces.map((one) => targetsIn(client, one)))).flat());
  const scaled = await Promise.all(
    counted
      .filter((one) => targets.has(keyOf(one)))
      .map(async (one) => ((await isThere(client, one)) ? [keyOf(one)] : [])),
  );
  return new Set(scaled.flat());
}

async function targetsIn(client: KubeClient, namespace: string): Promise<readonly string[]> {
  try {
    // autoscaling/v1 is served by every version, and has all that is asked here.
    const type = { apiVersion: "autoscaling/v1", kind: "HorizontalPodAutoscaler" };
    const { items } = await client.list<AnyObject>(type, { namespace });
    return items.flatMap((hpa) => {
      const { scaleTargetRef: target } = (hpa["spec"] ?? {}) as {
        scaleTargetRef?: { kind?: string; name?: string };
      };
      return target?.name === undefined
        ? []
        : [`${target.kind} ${hpa.metadata.namespace ?? "default"}/${target.name}`];
    });
  } catch (error) {
    // No such kind, or no right to see it: preflight says so, and the manifest's number is all there is.
    if (error instanceof StatusError && [403, 404].includes(error.httpCode)) return [];
    throw error;
  }
}

async function isThere(client: KubeClient, { apiVersion, kind, metadata }: AnyObject): Promise<boolean> {
  const { name, namespace } = metadata;
  return client.get({ apiVersion, kind, name, namespace }).then(
    () => true,
    (error: unknown) => {
      if (isReason(error, "NotFound")) return false;
      throw error;
    },
  );
}

/** The object as it is applied: without the number that is not its to decide. */
export function leaveReplicas(object: AnyObject, scaled: ReadonlySet<string>): AnyObject {
  if (!scaled.has(keyOf(object))) return object;
  const { replicas: _replicas, ...spec } = object["spec"] as Record<string, unknown>;
  return { ...object, spec };
}
