/**
 * Fields that Kubernetes never changes. The dry run would be refused as well, but with `field is immutable` and no way
 * out; here are the old value, the new one, and what to do.
 */
import { type AnyObject, isEqual, quantityValue } from "@slipway/kube";
import { canonicalJson } from "../manifests/config-names.ts";
import type { RawFinding } from "./finding.ts";

interface Rule {
  readonly path: readonly string[];
  readonly hint: string;
  /** A field that the manifest leaves out keeps its value, or gets it from the cluster. */
  readonly isOptional: boolean;
}

const rule = (path: string, hint: string): Rule => ({ path: path.split("."), hint, isOptional: true });

const NEW_NAME = "Keep it, or give the object a new name; the old one is then pruned after the release.";
const DELETE_FIRST = (kind: string): string =>
  `Keep it, give the ${kind} a new name, or delete the old one yourself before the release.`;

/** What validation of the update refuses, by kind (k8s.io/kubernetes pkg/apis/…/validation, 1.20 to 1.33). */
const RULES: Readonly<Record<string, readonly Rule[]>> = {
  Deployment: [
    {
      path: ["spec", "selector"],
      hint: "Keep the selector, or give the Deployment a new name; the old one is then pruned after the release.",
      isOptional: false,
    },
  ],
  ReplicaSet: [rule("spec.selector", NEW_NAME)],
  DaemonSet: [rule("spec.selector", NEW_NAME)],
  Job: [
    rule("spec.template", "A Job runs once: give it a new name for each run."),
    rule("spec.selector", "A Job's selector is made by the cluster: leave it out."),
    rule("spec.completions", DELETE_FIRST("Job")),
  ],
  StatefulSet: [
    rule("spec.selector", DELETE_FIRST("StatefulSet")),
    rule("spec.serviceName", DELETE_FIRST("StatefulSet")),
    rule("spec.podManagementPolicy", DELETE_FIRST("StatefulSet")),
    rule(
      "spec.volumeClaimTemplates",
      "Keep them; to grow a volume, change its PersistentVolumeClaim, and replace the StatefulSet with kubectl delete --cascade=orphan.",
    ),
  ],
  PersistentVolumeClaim: [
    rule("spec.accessModes", "Make a claim with a new name and move the data."),
    rule("spec.storageClassName", "Make a claim with a new name and move the data."),
    rule("spec.volumeName", "Make a claim with a new name and move the data."),
    rule("spec.volumeMode", "Make a claim with a new name and move the data."),
    rule("spec.selector", "Make a claim with a new name and move the data."),
  ],
  RoleBinding: [rule("roleRef", DELETE_FIRST("RoleBinding"))],
  ClusterRoleBinding: [rule("roleRef", DELETE_FIRST("ClusterRoleBinding"))],
  StorageClass: [
    rule("provisioner", DELETE_FIRST("StorageClass")),
    rule("parameters", DELETE_FIRST("StorageClass")),
    rule("reclaimPolicy", DELETE_FIRST("StorageClass")),
    rule("volumeBindingMode", DELETE_FIRST("StorageClass")),
  ],
  PriorityClass: [rule("value", DELETE_FIRST("PriorityClass"))],
  Secret: [rule("type", NEW_NAME)],
};

/** One object of the release beside what the cluster has under its name. */
export function checkImmutable(object: AnyObject, live: AnyObject | undefined): readonly RawFinding[] {
  if (live === undefined) return [];
  const changed = (RULES[object.kind] ?? []).flatMap((one) => compare(object, live, one));
  return [...changed, ...clusterIp(object, live), ...frozenData(object, live), ...claimSize(object, live)];
}

function compare(
  object: AnyObject,
  live: AnyObject,
  { path, hint, isOptional }: Rule,
): readonly RawFinding[] {
  const wanted = valueAt(object, path);
  const is = valueAt(live, path);
  if (wanted === undefined && isOptional) return [];
  // A template in the cluster has defaults that the manifest does not name: only what it names can differ.
  if (covers(is, wanted ?? {}) && (isOptional || isEqual(is ?? {}, wanted ?? {}))) return [];
  return [
    {
      code: object.kind === "Deployment" ? "SELECTOR_CHANGED" : "FIELD_IMMUTABLE",
      object,
      place: path.join("."),
      message: `is ${short(is)} in the cluster and ${short(wanted)} in the manifest, and Kubernetes never changes it`,
      hint,
    },
  ];
}

/** `None` and an address exclude each other for good; a manifest that names none keeps the one there is. */
function clusterIp(object: AnyObject, live: AnyObject): readonly RawFinding[] {
  if (object.kind !== "Service") return [];
  const spec = (object["spec"] ?? {}) as { clusterIP?: string; type?: string };
  const is = (live["spec"] ?? {}) as { clusterIP?: string; type?: string };
  const wanted = spec.clusterIP;
  if (wanted === undefined || wanted === "" || is.clusterIP === undefined || is.clusterIP === "") return [];
  if (wanted === is.clusterIP || spec.type === "ExternalName" || is.type === "ExternalName") return [];
  return [
    {
      code: "FIELD_IMMUTABLE",
      object,
      place: "spec.clusterIP",
      message: `is ${is.clusterIP} in the cluster and ${wanted} in the manifest, and Kubernetes never changes it`,
      hint: "Leave clusterIP out, or give the Service a new name (its callers and routes change with it).",
    },
  ];
}

function frozenData(object: AnyObject, live: AnyObject): readonly RawFinding[] {
  const isConfig = object.kind === "ConfigMap" || object.kind === "Secret";
  if (!isConfig || live["immutable"] !== true) return [];
  const dataOf = (one: AnyObject): unknown => {
    const plain = (one["data"] ?? {}) as Record<string, string>;
    const texts = Object.entries((one["stringData"] ?? {}) as Record<string, string>);
    const encoded = texts.map(([key, text]) => [key, Buffer.from(text, "utf8").toString("base64")] as const);
    return { ...plain, ...Object.fromEntries(encoded) };
  };
  const wanted = dataOf(object) as Record<string, string>;
  const is = dataOf(live) as Record<string, string>;
  const keys = [...new Set([...Object.keys(wanted), ...Object.keys(is)])].filter(
    (key) => wanted[key] !== is[key],
  );
  const isThawed = object["immutable"] !== true && "immutable" in object;
  if (keys.length === 0 && !isThawed) return [];
  const what = keys.length === 0 ? "immutable is taken back" : `${keys.join(", ")} changed`;
  return [
    {
      code: "FIELD_IMMUTABLE",
      object,
      place: "data",
      message: `${what}, and the ${object.kind} in the cluster is marked immutable`,
      hint: "Give it a new name where it is used; the old one is pruned when no kept release needs it.",
    },
  ];
}

/** Claims grow where the class allows it; they never shrink. */
function claimSize(object: AnyObject, live: AnyObject): readonly RawFinding[] {
  if (object.kind !== "PersistentVolumeClaim") return [];
  const path = ["spec", "resources", "requests", "storage"];
  const [wanted, is] = [valueAt(object, path), valueAt(live, path)];
  if (wanted === undefined || is === undefined) return [];
  if (bytes(String(wanted)) >= bytes(String(is))) return [];
  return [
    {
      code: "FIELD_IMMUTABLE",
      object,
      place: path.join("."),
      message: `is ${is} in the cluster and ${wanted} in the manifest, and claims never shrink`,
      hint: "Keep the size, or make a smaller claim with a new name and move the data.",
    },
  ];
}

const bytes = (quantity: string): number => quantityValue(quantity);

function valueAt(object: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, step) =>
      typeof value === "object" && value !== null ? (value as Record<string, unknown>)[step] : undefined,
    object,
  );
}

/** Whether everything that `wanted` names is the same in `is`, which may have more. */
export function covers(is: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(is) &&
      is.length === wanted.length &&
      wanted.every((item, index) => covers(is[index], item))
    );
  }
  if (typeof wanted === "object" && wanted !== null) {
    if (typeof is !== "object" || is === null) return Object.keys(wanted).length === 0 && is === undefined;
    return Object.entries(wanted).every(([key, value]) =>
      covers((is as Record<string, unknown>)[key], value),
    );
  }
  return is === wanted;
}

function short(value: unknown): string {
  if (value === undefined) return "absent";
  const text = typeof value === "string" ? value : canonicalJson(value);
  return text.length <= 120 ? text : `${text.slice(0, 119)}…`;
}
