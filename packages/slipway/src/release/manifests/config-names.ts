/**
 * ConfigMaps and Secrets under names that carry a hash of their content (`settings-4k8f2b9c`), with every reference
 * in the release rewritten. A changed value then rolls the pods like a changed image does, old pods keep the values
 * they were started with, and going back brings the old values back, since the old object is still there.
 *
 * An object that something outside the release reads by its name keeps it with the annotation
 * `slipway.dev/hash-suffix: "false"`.
 */
import { createHash } from "node:crypto";
import type { AnyObject, Container, PodSpec, Volume } from "@slipway/kube";
import { mapContainers, mapPodSpec } from "./workload.ts";

export const HASH_ANNOTATION = "slipway.dev/hash-suffix";

type Renames = ReadonlyMap<string, string>;

export function hashConfigNames(objects: readonly AnyObject[]): readonly AnyObject[] {
  const renames = new Map<string, string>();
  for (const object of objects) {
    if (!isHashed(object)) continue;
    renames.set(keyOf(object.kind, object.metadata.namespace, object.metadata.name), hashedName(object));
  }
  if (renames.size === 0) return objects;
  return objects.map((object) => rewrite(object, renames));
}

/** `settings` of `settings-4k8f2b9c7d`, by computing the hash again; undefined when the name carries none. */
export function plainNameOf(object: AnyObject): string | undefined {
  if (!isHashed(object)) return undefined;
  const plain = object.metadata.name.replace(/-[a-z0-9]{10}$/, "");
  const again = hashedName({ ...object, metadata: { ...object.metadata, name: plain } });
  return again === object.metadata.name ? plain : undefined;
}

function isHashed(object: AnyObject): boolean {
  if (object.kind !== "ConfigMap" && object.kind !== "Secret") return false;
  if (object.metadata.annotations?.[HASH_ANNOTATION] === "false") return false;
  // The token controller fills this Secret and the ServiceAccount names it.
  return object["type"] !== "kubernetes.io/service-account-token";
}

function hashedName(object: AnyObject): string {
  const { data, stringData, binaryData, type } = object as Record<string, unknown>;
  const hash = createHash("sha256")
    .update(canonicalJson({ kind: object.kind, data, stringData, binaryData, type }))
    .digest();
  // Ten characters of 5 bits each, from an alphabet that DNS labels accept and eyes tell apart.
  const alphabet = "bcdfghjklmnpqrstvwxz2456789b4f7k";
  const suffix = [...hash.subarray(0, 10)].map((byte) => alphabet[byte % 32]).join("");
  return `${object.metadata.name.slice(0, 242)}-${suffix}`;
}

/** JSON with sorted keys and without undefined, so that equal content has equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : inner,
  );
}

const keyOf = (kind: string, namespace: string | undefined, name: string): string =>
  `${kind} ${namespace ?? ""}/${name}`;

function rewrite(object: AnyObject, renames: Renames): AnyObject {
  const namespace = object.metadata.namespace;
  const named = (kind: "ConfigMap" | "Secret", name: string): string =>
    renames.get(keyOf(kind, namespace, name)) ?? name;
  if (isHashed(object)) {
    return {
      ...object,
      metadata: { ...object.metadata, name: named(object.kind as "ConfigMap", object.metadata.name) },
    };
  }
  if (object.kind === "ServiceAccount" || object.kind === "Ingress") return renameSecrets(object, named);
  return mapPodSpec(object, (spec) => rewritePodSpec(spec, named));
}

type Named = (kind: "ConfigMap" | "Secret", name: string) => string;

function rewritePodSpec(spec: PodSpec, named: Named): PodSpec {
  const withContainers = mapContainers(spec, (container) => rewriteContainer(container, named));
  return {
    ...withContainers,
    ...(spec.volumes === undefined
      ? {}
      : { volumes: spec.volumes.map((volume) => rewriteVolume(volume, named)) }),
    ...(spec.imagePullSecrets === undefined
      ? {}
      : {
          imagePullSecrets: spec.imagePullSecrets.map((secret) => ({
            ...secret,
            name: named("Secret", secret.name),
          })),
        }),
  };
}

function rewriteContainer(container: Container, named: Named): Container {
  const ref = <T extends { readonly name: string }>(kind: "ConfigMap" | "Secret", value: T): T => ({
    ...value,
    name: named(kind, value.name),
  });
  return {
    ...container,
    ...(container.env === undefined
      ? {}
      : {
          env: container.env.map((variable) => {
            const from = variable.valueFrom;
            if (from?.configMapKeyRef !== undefined) {
              const configMapKeyRef = ref("ConfigMap", from.configMapKeyRef);
              return { ...variable, valueFrom: { ...from, configMapKeyRef } };
            }
            if (from?.secretKeyRef !== undefined) {
              return { ...variable, valueFrom: { ...from, secretKeyRef: ref("Secret", from.secretKeyRef) } };
            }
            return variable;
          }),
        }),
    ...(container.envFrom === undefined
      ? {}
      : {
          envFrom: container.envFrom.map((source) => ({
            ...source,
            ...(source.configMapRef === undefined
              ? {}
              : { configMapRef: ref("ConfigMap", source.configMapRef) }),
            ...(source.secretRef === undefined ? {} : { secretRef: ref("Secret", source.secretRef) }),
          })),
        }),
  };
}

function rewriteVolume(volume: Volume, named: Named): Volume {
  if (volume.configMap !== undefined) {
    return {
      ...volume,
      configMap: { ...volume.configMap, name: named("ConfigMap", volume.configMap.name) },
    };
  }
  if (volume.secret !== undefined) {
    return {
      ...volume,
      secret: { ...volume.secret, secretName: named("Secret", volume.secret.secretName) },
    };
  }
  const sources = volume.projected?.["sources"];
  if (!Array.isArray(sources)) return volume;
  const projected = sources.map((source: Record<string, { name: string } | undefined>) => ({
    ...source,
    ...(source["configMap"] === undefined
      ? {}
      : { configMap: { ...source["configMap"], name: named("ConfigMap", source["configMap"].name) } }),
    ...(source["secret"] === undefined
      ? {}
      : { secret: { ...source["secret"], name: named("Secret", source["secret"].name) } }),
  }));
  return { ...volume, projected: { ...volume.projected, sources: projected } };
}

/** ServiceAccount.imagePullSecrets and Ingress.spec.tls[].secretName. */
function renameSecrets(object: AnyObject, named: Named): AnyObject {
  const pulls = object["imagePullSecrets"];
  if (object.kind === "ServiceAccount") {
    if (!Array.isArray(pulls)) return object;
    return {
      ...object,
      imagePullSecrets: pulls.map((secret: { name: string }) => ({
        ...secret,
        name: named("Secret", secret.name),
      })),
    };
  }
  const spec = object["spec"] as { tls?: readonly { secretName?: string }[] } | undefined;
  if (!Array.isArray(spec?.tls)) return object;
  const tls = spec.tls.map((entry) =>
    entry.secretName === undefined ? entry : { ...entry, secretName: named("Secret", entry.secretName) },
  );
  return { ...object, spec: { ...spec, tls } };
}
