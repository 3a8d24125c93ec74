/**
 * Preflight: every ConfigMap, Secret and ServiceAccount that a pod of the release needs exists, in the release or in
 * the cluster. A missing one would otherwise show only as a pod that never starts.
 */
import { SlipwayError } from "@slipway/base";
import { type AnyObject, isReason, type PodSpec } from "@slipway/kube";
import type { Target } from "./model.ts";
import { podSpecOf } from "./workload.ts";

interface Reference {
  readonly kind: "ConfigMap" | "Secret" | "ServiceAccount";
  readonly name: string;
}

/** What a pod cannot start without; references marked `optional` are left out. */
function requiredReferences(spec: PodSpec): readonly Reference[] {
  const found = new Map<string, Reference>();
  const add = (kind: Reference["kind"], ref: { name?: string; optional?: boolean } | undefined): void => {
    if (ref?.name === undefined || ref.name === "" || ref.optional === true) return;
    found.set(`${kind}/${ref.name}`, { kind, name: ref.name });
  };
  for (const container of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) {
    for (const variable of container.env ?? []) {
      add("ConfigMap", variable.valueFrom?.configMapKeyRef);
      add("Secret", variable.valueFrom?.secretKeyRef);
    }
    for (const source of container.envFrom ?? []) {
      add("ConfigMap", source.configMapRef);
      add("Secret", source.secretRef);
    }
  }
  for (const volume of spec.volumes ?? []) {
    add("ConfigMap", volume.configMap);
    if (volume.secret !== undefined) {
      add("Secret", {
        name: volume.secret.secretName,
        ...(volume.secret.optional === undefined ? {} : { optional: volume.secret.optional }),
      });
    }
  }
  if (spec.serviceAccountName !== undefined && spec.serviceAccountName !== "default") {
    add("ServiceAccount", { name: spec.serviceAccountName });
  }
  return [...found.values()];
}

export async function missingReferences(
  target: Target,
  objects: readonly AnyObject[],
): Promise<readonly SlipwayError[]> {
  const isInRelease = (ref: Reference, namespace: string): boolean =>
    objects.some(
      (object) =>
        object.kind === ref.kind &&
        object.metadata.name === ref.name &&
        (object.metadata.namespace ?? "default") === namespace,
    );
  const problems: SlipwayError[] = [];
  for (const object of objects) {
    const spec = podSpecOf(object);
    if (spec === undefined) continue;
    const namespace = object.metadata.namespace ?? "default";
    for (const ref of requiredReferences(spec)) {
      if (isInRelease(ref, namespace)) continue;
      if (await exists(target, { apiVersion: "v1", ...ref, namespace })) continue;
      problems.push(
        new SlipwayError({
          code: "REFERENCE_MISSING",
          where: `${target.name}/${object.kind} ${object.metadata.name}`,
          message: `needs ${ref.kind} "${ref.name}", which is neither in the manifests nor in the cluster`,
          hint: "Add it, correct its name, or mark the reference optional. Nothing was changed.",
          exitCode: 2,
        }),
      );
    }
  }
  return problems;
}

function exists(target: Target, ref: Parameters<Target["client"]["get"]>[0]): Promise<boolean> {
  return target.client.get(ref).then(
    () => true,
    (error: unknown) => {
      if (isReason(error, "NotFound")) return false;
      throw error;
    },
  );
}
