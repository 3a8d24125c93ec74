/**
 * HorizontalPodAutoscaler, replicas and PodDisruptionBudget agree. The count belongs to the autoscaler wherever one
 * targets the Deployment, in the release or in the cluster (`replicas.ts` leaves it out of the apply).
 */
import { type AnyObject, type Deployment, type IntOrString, matchesLabels } from "@slipway/kube";
import type { ClusterFacts } from "./facts.ts";
import type { RawFinding } from "./finding.ts";
import type { SeenObject } from "./seen.ts";

export interface HpaSpec {
  readonly scaleTargetRef?: { readonly kind?: string; readonly name?: string };
  readonly minReplicas?: number;
  readonly maxReplicas?: number;
  readonly targetCPUUtilizationPercentage?: number;
  readonly metrics?: readonly {
    readonly type: string;
    readonly resource?: {
      readonly name: string;
      readonly target?: { readonly type?: string };
      readonly targetAverageUtilization?: number;
    };
  }[];
}

const hpaSpec = (hpa: AnyObject): HpaSpec => (hpa["spec"] ?? {}) as HpaSpec;

/** What an autoscaler may count the pods of, and a budget may be about. */
const COUNTED: ReadonlySet<string> = new Set(["Deployment", "StatefulSet"]);

/** The autoscaler of a Deployment or StatefulSet, of those given. */
function autoscalerFor(workload: AnyObject, autoscalers: readonly AnyObject[]): AnyObject | undefined {
  return autoscalers.find((hpa) => {
    const { scaleTargetRef } = hpaSpec(hpa);
    return (
      (hpa.metadata.namespace ?? "default") === (workload.metadata.namespace ?? "default") &&
      scaleTargetRef?.kind === workload.kind &&
      scaleTargetRef.name === workload.metadata.name
    );
  });
}

/** How many pods the Deployment will have: the autoscaler's count where there is one, else the manifest's. */
export function replicasWanted(one: SeenObject, autoscalers: readonly AnyObject[]): number {
  const live = one.live as unknown as Deployment | undefined;
  const wanted = (one.object as unknown as Deployment).spec.replicas;
  const hpa = autoscalerFor(one.object, autoscalers);
  if (hpa !== undefined || wanted === undefined) {
    return (
      live?.spec.replicas ?? Math.max(wanted ?? 1, hpa === undefined ? 1 : (hpaSpec(hpa).minReplicas ?? 1))
    );
  }
  return wanted;
}

export function checkAutoscaling(facts: ClusterFacts, seen: readonly SeenObject[]): readonly RawFinding[] {
  const ours = seen.map(({ object }) => object).filter(({ kind }) => kind === "HorizontalPodAutoscaler");
  const live = facts.autoscalers ?? [];
  return seen.flatMap((one): readonly RawFinding[] => {
    if (!COUNTED.has(one.object.kind)) return [];
    const own = autoscalerFor(one.object, ours);
    const hpa = own ?? autoscalerFor(one.object, live);
    if (hpa === undefined) return replicasDrop(one);
    return [
      ...(own === undefined ? leftToLive(one, hpa) : []),
      ...outOfRange(one, hpa),
      ...withoutRequests(one, hpa),
    ];
  });
}

const replicasOf = (object: AnyObject | undefined): number | undefined =>
  (object as unknown as Deployment | undefined)?.spec.replicas;

function leftToLive({ object, live }: SeenObject, hpa: AnyObject): readonly RawFinding[] {
  const wanted = replicasOf(object);
  const is = replicasOf(live);
  if (wanted === undefined) return [];
  return [
    {
      code: "HPA_OWNS_REPLICAS",
      object,
      place: "spec.replicas",
      message: `says ${wanted}, but HorizontalPodAutoscaler "${hpa.metadata.name}" of the cluster decides: ${is ?? wanted} stay`,
    },
  ];
}

function outOfRange({ object, live }: SeenObject, hpa: AnyObject): readonly RawFinding[] {
  const { minReplicas = 1, maxReplicas } = hpaSpec(hpa);
  const count = replicasOf(live) ?? replicasOf(object);
  if (count === undefined || count === 0) return [];
  if (count >= minReplicas && (maxReplicas === undefined || count <= maxReplicas)) return [];
  return [
    {
      code: "HPA_OUT_OF_RANGE",
      object,
      place: "spec.replicas",
      message: `is ${count}, and HorizontalPodAutoscaler "${hpa.metadata.name}" keeps it from ${minReplicas} to ${maxReplicas}`,
    },
  ];
}

function withoutRequests({ object }: SeenObject, hpa: AnyObject): readonly RawFinding[] {
  const { metrics, targetCPUUtilizationPercentage } = hpaSpec(hpa);
  const measured = (metrics ?? []).flatMap(({ type, resource }) =>
    type === "Resource" &&
    resource !== undefined &&
    (resource.target?.type === "Utilization" || resource.targetAverageUtilization !== undefined)
      ? [resource.name]
      : [],
  );
  // autoscaling/v1 knows cpu only, 80 % when it does not say.
  const names =
    metrics === undefined || targetCPUUtilizationPercentage !== undefined ? [...measured, "cpu"] : measured;
  const { containers } = (object as unknown as Deployment).spec.template.spec;
  return [...new Set(names)].flatMap((name) => {
    const without = containers.filter(
      ({ resources }) => resources?.requests?.[name] === undefined && resources?.limits?.[name] === undefined,
    );
    if (without.length === 0) return [];
    return [
      {
        code: "HPA_WITHOUT_REQUESTS" as const,
        object,
        message: `HorizontalPodAutoscaler "${hpa.metadata.name}" measures ${name} in percent of the request, and ${without.map((container) => container.name).join(", ")} states none`,
      },
    ];
  });
}

/** More than half of the pods at once is rather an accident than a plan. */
function replicasDrop({ object, live }: SeenObject): readonly RawFinding[] {
  // A StatefulSet takes them away one by one.
  if (object.kind !== "Deployment") return [];
  const [is, wanted] = [replicasOf(live), replicasOf(object)];
  if (is === undefined || wanted === undefined || wanted * 2 > is || is < 4) return [];
  return [
    {
      code: "REPLICAS_DROP",
      object,
      place: "spec.replicas",
      message: `is ${is} in the cluster and ${wanted} in the manifest: ${is - wanted} of ${is} pods go at once`,
    },
  ];
}

interface BudgetSpec {
  readonly minAvailable?: IntOrString;
  readonly maxUnavailable?: IntOrString;
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
}

/** Budgets of the release, and those of the cluster that select its pods. */
export function checkBudgets(facts: ClusterFacts, seen: readonly SeenObject[]): readonly RawFinding[] {
  const objects = seen.map(({ object }) => object);
  const ours = objects.filter(({ kind }) => kind === "PodDisruptionBudget");
  const placed = ({ metadata }: AnyObject): string => `${metadata.namespace ?? "default"}/${metadata.name}`;
  const named = new Set(ours.map(placed));
  const others = (facts.budgets ?? []).filter((budget) => !named.has(placed(budget)));
  const hpas = [
    ...objects.filter(({ kind }) => kind === "HorizontalPodAutoscaler"),
    ...(facts.autoscalers ?? []),
  ];
  return [...ours, ...others].flatMap((budget): readonly RawFinding[] => {
    const { minAvailable, maxUnavailable, selector } = (budget["spec"] ?? {}) as BudgetSpec;
    if (selector === undefined) return [];
    const selected = seen.filter(
      ({ object }) =>
        COUNTED.has(object.kind) &&
        (object.metadata.namespace ?? "default") === (budget.metadata.namespace ?? "default") &&
        matchesLabels(selector, (object as unknown as Deployment).spec.template.metadata?.labels ?? {}),
    );
    if (selected.length === 0) return [];
    // The least that there may be: what the autoscaler can go down to.
    const replicas = selected.reduce((sum, one) => {
      const hpa = autoscalerFor(one.object, hpas);
      return sum + (hpa === undefined ? replicasWanted(one, hpas) : (hpaSpec(hpa).minReplicas ?? 1));
    }, 0);
    if (replicas === 0) return [];
    // Both round up: 50 % of 3 at least available is 2, 10 % of 3 at most unavailable is 1.
    const of = (value: IntOrString): number =>
      typeof value === "number" ? value : Math.ceil((Number.parseInt(value, 10) * replicas) / 100);
    const allowed =
      minAvailable === undefined
        ? maxUnavailable === undefined
          ? undefined
          : of(maxUnavailable)
        : replicas - of(minAvailable);
    if (allowed === undefined || allowed > 0) return [];
    const says =
      minAvailable === undefined ? `maxUnavailable ${maxUnavailable}` : `minAvailable ${minAvailable}`;
    return [
      {
        code: "PDB_BLOCKS_DRAINS",
        object: budget,
        message: `${says} of ${replicas} pods allows no disruption: their nodes cannot be drained`,
      },
    ];
  });
}
