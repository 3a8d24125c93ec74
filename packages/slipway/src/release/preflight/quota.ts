/**
 * ResourceQuotas as numbers: what each has left, what one pod of a template uses of it, and which scopes take a pod in.
 * Follows the quota admission of 1.20 to 1.33 (pkg/quota/v1/evaluator/core/pods.go).
 */
import { amountOf, requestsOf } from "@slipway/cluster/scheduling";
import type { AnyObject, Pod, Quantity } from "@slipway/kube";
import { limitsOfPod, show } from "./amounts.ts";
import type { RawFinding } from "./finding.ts";

export interface Quota {
  readonly name: string;
  readonly namespace: string;
  readonly hard: ReadonlyMap<string, number>;
  readonly used: ReadonlyMap<string, number>;
  takes(pod: Pod): boolean;
}

interface QuotaObject {
  readonly spec?: {
    readonly hard?: Readonly<Record<string, Quantity>>;
    readonly scopes?: readonly string[];
    readonly scopeSelector?: {
      readonly matchExpressions?: readonly {
        readonly scopeName: string;
        readonly operator: string;
        readonly values?: readonly string[];
      }[];
    };
  };
  readonly status?: {
    readonly hard?: Readonly<Record<string, Quantity>>;
    readonly used?: Readonly<Record<string, Quantity>>;
  };
}

export function quotasOf(objects: readonly AnyObject[]): readonly Quota[] {
  return objects.map((object) => {
    const { spec, status } = object as unknown as QuotaObject;
    const scopes = [
      ...(spec?.scopes ?? []).map((scopeName) => ({ scopeName, operator: "Exists", values: [] })),
      ...(spec?.scopeSelector?.matchExpressions ?? []),
    ];
    return {
      name: object.metadata.name,
      namespace: object.metadata.namespace ?? "default",
      // Admission counts with the status: a quota that its controller has not seen yet refuses nothing.
      hard: amounts(status?.hard ?? spec?.hard ?? {}),
      used: amounts(status?.used ?? {}),
      takes: (pod) =>
        scopes.every(({ scopeName, operator, values }) => isInScope(pod, scopeName, operator, values ?? [])),
    };
  });
}

function amounts(list: Readonly<Record<string, Quantity>>): ReadonlyMap<string, number> {
  return new Map(Object.entries(list).map(([name, quantity]) => [name, amountOf(plain(name), quantity)]));
}

/** `requests.cpu` → `cpu`. */
export const plain = (name: string): string => name.replace(/^(?:requests|limits)\./, "");

function isInScope(pod: Pod, scope: string, operator: string, values: readonly string[]): boolean {
  const { spec } = pod;
  switch (scope) {
    case "Terminating":
      return spec.activeDeadlineSeconds !== undefined;
    case "NotTerminating":
      return spec.activeDeadlineSeconds === undefined;
    case "BestEffort":
      return isBestEffort(pod);
    case "NotBestEffort":
      return !isBestEffort(pod);
    case "PriorityClass": {
      const name = spec.priorityClassName ?? "";
      if (operator === "In") return values.includes(name);
      if (operator === "NotIn") return !values.includes(name);
      return (operator === "Exists") === (name !== "");
    }
    case "CrossNamespacePodAffinity": {
      const terms = [spec.affinity?.podAffinity, spec.affinity?.podAntiAffinity].flatMap(
        (affinity) => affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [],
      );
      return terms.some((term) => (term.namespaces ?? []).length > 0 || "namespaceSelector" in term);
    }
    default:
      return true;
  }
}

function isBestEffort(pod: Pod): boolean {
  const names = [...requestsOf(pod).keys(), ...limitsOfPod(pod).keys()];
  return !names.includes("cpu") && !names.includes("memory");
}

/** What one pod takes of each name that a quota may limit. */
export function usageOf(pod: Pod): ReadonlyMap<string, number> {
  const usage = new Map<string, number>([
    ["pods", 1],
    ["count/pods", 1],
  ]);
  for (const [name, amount] of requestsOf(pod)) {
    usage.set(`requests.${name}`, amount);
    usage.set(name, amount);
  }
  for (const [name, amount] of limitsOfPod(pod)) usage.set(`limits.${name}`, amount);
  return usage;
}

const MUST_BE_STATED = ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];

/** A quota on a compute resource refuses every pod with a container that does not state it. */
export function checkUnspecified(
  object: AnyObject,
  pod: Pod,
  quotas: readonly Quota[],
): readonly RawFinding[] {
  const containers = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
  return quotas
    .filter((quota) => quota.namespace === (object.metadata.namespace ?? "default") && quota.takes(pod))
    .flatMap((quota) =>
      containers.flatMap((container): readonly RawFinding[] => {
        const lacks = MUST_BE_STATED.filter((name) => {
          if (!quota.hard.has(name)) return false;
          const { limits, requests } = container.resources ?? {};
          const list = name.startsWith("limits.") ? limits : requests;
          return list?.[plain(name)] === undefined;
        });
        if (lacks.length === 0) return [];
        return [
          {
            code: "QUOTA_UNSPECIFIED",
            object,
            place: `containers/${container.name}`,
            message: `ResourceQuota "${quota.name}" demands ${lacks.join(", ")}, which it does not state`,
          },
        ];
      }),
    );
}

/** Kinds that quotas count, as they name them. */
const COUNTED: Readonly<Record<string, readonly string[]>> = {
  ConfigMap: ["configmaps", "count/configmaps"],
  Secret: ["secrets", "count/secrets"],
  Service: ["services", "count/services"],
  PersistentVolumeClaim: ["persistentvolumeclaims", "count/persistentvolumeclaims"],
  Deployment: ["count/deployments.apps"],
  ReplicaSet: ["count/replicasets.apps"],
  CronJob: ["count/cronjobs.batch"],
  Ingress: ["count/ingresses.networking.k8s.io"],
  HorizontalPodAutoscaler: ["count/horizontalpodautoscalers.autoscaling"],
  PodDisruptionBudget: ["count/poddisruptionbudgets.policy"],
};

/** Objects that the release brings anew, beside what each quota has left for their kind. */
export function checkObjectCounts(
  created: readonly AnyObject[],
  quotas: readonly Quota[],
): readonly RawFinding[] {
  return quotas.flatMap((quota) => {
    const ours = created.filter(({ metadata }) => (metadata.namespace ?? "default") === quota.namespace);
    return [...quota.hard].flatMap(([name, hard]): readonly RawFinding[] => {
      const counted = ours.filter(({ kind }) => COUNTED[kind]?.includes(name));
      const left = hard - (quota.used.get(name) ?? 0);
      if (counted.length <= left) return [];
      return [
        {
          code: "QUOTA_EXCEEDED",
          place: `ResourceQuota ${quota.name}`,
          message: `the release brings ${counted.length} new for ${name}, and ${Math.max(0, left)} of ${hard} are left in ${quota.namespace}`,
          hint: "Raise the quota, or remove what is not needed.",
        },
      ];
    });
  });
}

/** `quota "team": 1 pod needs 500m requests.cpu, and 200m of 2 is left`; undefined when it has room. */
export function shortOf(
  quota: Quota,
  used: ReadonlyMap<string, number>,
  usage: ReadonlyMap<string, number>,
): string | undefined {
  const lacks = [...usage].flatMap(([name, amount]) => {
    const hard = quota.hard.get(name);
    if (hard === undefined || amount === 0) return [];
    const left = hard - (used.get(name) ?? 0);
    if (amount <= left) return [];
    const [needs, rest, all] = [amount, Math.max(0, left), hard].map((value) => show(plain(name), value));
    return [`needs ${needs} ${name}, and ${rest} of ${all} is left`];
  });
  return lacks.length === 0 ? undefined : `ResourceQuota "${quota.name}": a pod ${lacks.join("; it ")}`;
}
