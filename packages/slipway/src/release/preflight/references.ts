/**
 * What pods cannot do without: every object and every key that a release refers to exists, in the release or in the
 * cluster. A missing one would otherwise show only as a pod that is never created or never starts.
 */
import type { AnyObject, PodSpec } from "@slipway/kube";
import { broughtFor, type HookJob } from "../hooks/hook-object.ts";
import { HASH_ANNOTATION } from "../manifests/config-names.ts";
import { podSpecOf } from "../manifests/workload.ts";
import type { RawFinding } from "./finding.ts";

export interface Reference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  /** Undefined for cluster-scoped kinds. */
  readonly namespace: string | undefined;
  /** Keys that must be in its data. */
  readonly keys: readonly string[];
  readonly use: Use;
}

/** `pod`: no pod without it · `pull`, `tls`: a Secret to pull images with or to serve by, whose absence need not stop any. */
type Use = "pod" | "pull" | "tls";

/** `missing`: asked and not there · `unreadable`: may not be asked · `unserved`: the cluster has no such kind. */
export type Found = AnyObject | "missing" | "unreadable" | "unserved";

/** `pruned`: there, but only because of an earlier release. */
export type FoundBefore = Found | "pruned";

export const referenceKey = ({
  kind,
  namespace,
  name,
}: Pick<Reference, "kind" | "namespace" | "name">): string => `${kind} ${namespace ?? ""}/${name}`;

/** The key of a reference to `object`. */
export const keyOf = ({ kind, metadata }: AnyObject): string =>
  referenceKey({ kind, name: metadata.name, namespace: metadata.namespace });

/** What the objects of a release refer to, with the object that does; optional references are left out. */
export function referencesOf(object: AnyObject): readonly Reference[] {
  const namespace = object.metadata.namespace ?? "default";
  const spec = podSpecOf(object);
  if (spec !== undefined) return podReferences(spec, namespace);
  if (object.kind === "ServiceAccount") return pullSecretsOf(object);
  if (object.kind === "Ingress") return tlsSecretsOf(object, namespace);
  if (object.kind !== "PersistentVolumeClaim") return [];
  const { storageClassName } = (object["spec"] ?? {}) as { storageClassName?: string };
  // An empty name asks for no class at all; no name asks for the default one.
  if (storageClassName === undefined || storageClassName === "") return [];
  return [cluster("storage.k8s.io/v1", "StorageClass", storageClassName)];
}

/** Pods take them from their account unless they name some themselves. */
export function pullSecretsOf(account: AnyObject): readonly Reference[] {
  const namespace = account.metadata.namespace ?? "default";
  const secrets = (account["imagePullSecrets"] ?? []) as readonly { readonly name?: string }[];
  return secrets.flatMap(({ name }) => (name ? [secret(name, namespace, "pull")] : []));
}

/** Who has cert-manager make its certificates has no Secret before the Ingress is there. */
const CERTIFICATES_COME = /^(?:cert-manager\.io\/(?:cluster-)?issuer|kubernetes\.io\/tls-acme)$/;

function tlsSecretsOf(ingress: AnyObject, namespace: string): readonly Reference[] {
  if (Object.keys(ingress.metadata.annotations ?? {}).some((key) => CERTIFICATES_COME.test(key))) return [];
  const { tls } = (ingress["spec"] ?? {}) as { readonly tls?: readonly { readonly secretName?: string }[] };
  const names = new Set((tls ?? []).flatMap(({ secretName }) => secretName || []));
  return [...names].map((name) => secret(name, namespace, "tls"));
}

/** The accounts of pods that take their pull secrets from them; the default one as well, which nobody names. */
export function accountsOf(object: AnyObject): readonly Reference[] {
  const spec = podSpecOf(object);
  if (spec === undefined || (spec.imagePullSecrets ?? []).length > 0) return [];
  const name = spec.serviceAccountName || spec.serviceAccount || "default";
  const namespace = object.metadata.namespace ?? "default";
  return [{ apiVersion: "v1", kind: "ServiceAccount", name, namespace, keys: [], use: "pull" }];
}

const secret = (name: string, namespace: string, use: Use): Reference => ({
  apiVersion: "v1",
  kind: "Secret",
  name,
  namespace,
  keys: [],
  use,
});

const cluster = (apiVersion: string, kind: string, name: string): Reference => ({
  apiVersion,
  kind,
  name,
  namespace: undefined,
  keys: [],
  use: "pod",
});

/** Made by the API server itself, so they exist wherever pods do. */
const ALWAYS_THERE = new Set(["ServiceAccount default", "ConfigMap kube-root-ca.crt"]);

interface Source {
  readonly name?: string | undefined;
  readonly optional?: boolean | undefined;
  readonly key?: string | undefined;
  readonly items?: readonly { readonly key: string }[] | undefined;
}

function podReferences(spec: PodSpec, namespace: string): readonly Reference[] {
  const found = new Map<string, Reference>();
  const add = (kind: string, source: Source | undefined, use: Use = "pod"): void => {
    if (source?.name === undefined || source.name === "" || source.optional === true) return;
    if (ALWAYS_THERE.has(`${kind} ${source.name}`)) return;
    const id = `${kind}/${source.name}/${use}`;
    const keys = [
      ...(source.key === undefined ? [] : [source.key]),
      ...(source.items ?? []).map(({ key }) => key),
    ];
    found.set(id, {
      apiVersion: "v1",
      kind,
      name: source.name,
      namespace,
      keys: [...new Set([...(found.get(id)?.keys ?? []), ...keys])],
      use,
    });
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
    if (volume.secret !== undefined) add("Secret", { ...volume.secret, name: volume.secret.secretName });
    add("PersistentVolumeClaim", { name: volume.persistentVolumeClaim?.claimName });
    const sources = (volume.projected?.["sources"] ?? []) as readonly {
      configMap?: Source;
      secret?: Source;
    }[];
    for (const source of sources) {
      add("ConfigMap", source.configMap);
      add("Secret", source.secret);
    }
  }
  add("ServiceAccount", { name: spec.serviceAccountName || spec.serviceAccount });
  for (const secret of spec.imagePullSecrets ?? []) add("Secret", secret, "pull");
  const { runtimeClassName } = spec as { runtimeClassName?: string };
  return [
    ...found.values(),
    ...(spec.priorityClassName === undefined
      ? []
      : [cluster("scheduling.k8s.io/v1", "PriorityClass", spec.priorityClassName)]),
    ...(runtimeClassName === undefined ? [] : [cluster("node.k8s.io/v1", "RuntimeClass", runtimeClassName)]),
  ];
}

/** By `referenceKey`. */
export function keyed(objects: readonly AnyObject[]): ReadonlyMap<string, AnyObject> {
  return new Map(objects.map((object) => [keyOf(object), object]));
}

/** @param lookup what the cluster has; asked only for what the release does not bring itself */
export function checkReferences(
  objects: readonly AnyObject[],
  lookup: (reference: Reference) => FoundBefore,
): readonly RawFinding[] {
  const ours = keyed(objects);
  return objects.flatMap((object) =>
    referencesOf(object).flatMap((reference) =>
      judge(object, reference, ours.get(referenceKey(reference)) ?? lookup(reference)),
    ),
  );
}

/** The same for Jobs of hooks, for which the release brings less, or nothing yet. */
export function checkHookReferences(
  hooks: readonly HookJob[],
  objects: readonly AnyObject[],
  lookup: (reference: Reference) => Found,
): readonly RawFinding[] {
  const all = keyed(objects);
  return hooks.flatMap(({ hook, object }) => {
    const brought = keyed(broughtFor(hook, objects));
    return referencesOf(object).flatMap((reference) => {
      const key = referenceKey(reference);
      const found = brought.get(key) ?? lookup(reference);
      if (found === "missing" && all.has(key)) return [tooLate(object, reference)];
      return judge(object, reference, found);
    });
  });
}

function tooLate(object: AnyObject, { kind, name }: Reference): RawFinding {
  const ofHash = `or leave its name to Slipway (without ${HASH_ANNOTATION}), which then brings it for the hook.`;
  const isConfig = kind === "ConfigMap" || kind === "Secret";
  return {
    code: "REFERENCE_MISSING",
    object,
    message: `needs ${kind} "${name}", which is applied only after this hook has run`,
    hint: `Create it before the release${isConfig ? `, ${ofHash}` : ": nothing of it is applied while this hook runs."}`,
  };
}

/** Pull secrets of accounts that only the cluster has; those of the release's own are told with the account. */
export function checkAccounts(
  objects: readonly AnyObject[],
  lookup: (reference: Reference) => FoundBefore,
): readonly RawFinding[] {
  const ours = keyed(objects);
  return objects.flatMap((object) =>
    accountsOf(object).flatMap((reference) => {
      const account = ours.has(referenceKey(reference)) ? "missing" : lookup(reference);
      if (typeof account === "string") return [];
      return pullSecretsOf(account).flatMap((pull) =>
        judge(object, pull, ours.get(referenceKey(pull)) ?? lookup(pull)).map((finding) => ({
          ...finding,
          message: `by its ServiceAccount "${reference.name}" it ${finding.message}`,
        })),
      );
    }),
  );
}

function judge(object: AnyObject, reference: Reference, found: FoundBefore): readonly RawFinding[] {
  const { kind, name } = reference;
  if (found === "unreadable" || found === "unserved") return [];
  const [code, needs] = MISSING[reference.use];
  if (found === "pruned") {
    const message = `${needs} ${kind} "${name}", which is in the cluster only from an earlier release, and is pruned without its manifest`;
    return reference.use === "pod"
      ? [{ code: "REFERENCE_PRUNED", object, message }]
      : [{ code, object, message, hint: KEEP_IT }];
  }
  if (found === "missing") {
    const message = `${needs} ${kind} "${name}", which is neither in the manifests nor in the cluster`;
    return [{ code, object, message }];
  }
  if (reference.use === "pull") return pullSecretProblem(object, name, found);
  const keys = keysOf(found);
  return reference.keys
    .filter((key) => !keys.includes(key))
    .map((key) => ({
      code: "REFERENCE_KEY_MISSING",
      object,
      message: `needs the key "${key}" of ${kind} "${name}", which has ${keys.join(", ") || "no key"}`,
    }));
}

const MISSING = {
  pod: ["REFERENCE_MISSING", "needs"],
  pull: ["PULL_SECRET_MISSING", "needs"],
  tls: ["TLS_SECRET_MISSING", "serves with"],
} as const satisfies Readonly<Record<Use, readonly [RawFinding["code"], string]>>;

const KEEP_IT = "Keep its manifest, or drop the reference.";

const PULL_SECRET_TYPES = ["kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg"];

function pullSecretProblem(object: AnyObject, name: string, found: AnyObject): readonly RawFinding[] {
  const type = found["type"] ?? "Opaque";
  if (PULL_SECRET_TYPES.includes(String(type))) return [];
  const message = `pulls with Secret "${name}", which is of type ${type}, not ${PULL_SECRET_TYPES[0]}`;
  return [{ code: "PULL_SECRET_MISSING", object, message }];
}

function keysOf(found: AnyObject): readonly string[] {
  return ["data", "binaryData", "stringData"].flatMap((field) => Object.keys(found[field] ?? {}));
}
