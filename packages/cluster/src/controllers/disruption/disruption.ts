/**
 * disruption-controller: keeps a PodDisruptionBudget's status, from which the API server answers evictions.
 *
 * Worked: minAvailable 80 % of 6 expected is 4.8, rounded up: 5 desired healthy. With 6 healthy, 1 disruption is
 * allowed. maxUnavailable 1 of 3 expected: 2 desired; with 2 healthy, none.
 */
import { isDeepStrictEqual } from "node:util";
import {
  type IntOrString,
  type KubeObject,
  matchesLabels,
  type Pod,
  type PodDisruptionBudget,
} from "@slipway/kube";
import { type Controller, type Decision, type Key, keyOf, type Snapshot, splitKey } from "../controller.ts";
import { isPodReady } from "../endpoints/members.ts";
import { timestamp } from "../reference.ts";
import { hasEnded } from "../scheduler/resources.ts";

export const disruptionController: Controller = {
  name: "disruption-controller",
  watches: [
    { kind: "PodDisruptionBudget", keys: (budget) => [keyOf(budget)] },
    { kind: "Pod", keys: budgetsOf },
    { kind: "ReplicaSet", keys: allBudgets },
    { kind: "Deployment", keys: allBudgets },
  ],
  decide,
};

function budgetsOf(pod: KubeObject, previous: KubeObject | undefined, snapshot: Snapshot): readonly Key[] {
  return snapshot
    .list("PodDisruptionBudget", pod.metadata.namespace)
    .filter((budget) => selects(budget, pod) || (previous !== undefined && selects(budget, previous)))
    .map(keyOf);
}

/** Scales change the expected count; only percentages and maxUnavailable look at it, and budgets are few. */
function allBudgets(
  object: KubeObject,
  _previous: KubeObject | undefined,
  snapshot: Snapshot,
): readonly Key[] {
  return snapshot.list("PodDisruptionBudget", object.metadata.namespace).map(keyOf);
}

function selects(budget: PodDisruptionBudget, pod: KubeObject): boolean {
  return budget.spec.selector !== undefined && matchesLabels(budget.spec.selector, pod.metadata.labels);
}

function decide(snapshot: Snapshot, key: Key, now: number): Decision {
  const { namespace, name } = splitKey(key);
  const budget = snapshot.get("PodDisruptionBudget", namespace, name);
  if (budget === undefined) return { commands: [] };
  const pods = snapshot.list("Pod", namespace).filter((pod) => selects(budget, pod) && !hasEnded(pod));
  const currentHealthy = pods.filter(
    (pod) => isPodReady(pod) && pod.metadata.deletionTimestamp === undefined,
  ).length;
  const { expectedPods, desiredHealthy } = expectation(budget, pods, snapshot);
  const disruptionsAllowed = expectedPods === 0 ? 0 : Math.max(0, currentHealthy - desiredHealthy);
  const status = {
    observedGeneration: budget.metadata.generation ?? 1,
    disruptionsAllowed,
    currentHealthy,
    desiredHealthy,
    expectedPods,
    conditions: conditionsOf(budget, disruptionsAllowed, now),
  };
  const { disruptedPods: _, ...old } = budget.status ?? {};
  if (isDeepStrictEqual(old, status)) return { commands: [] };
  return { commands: [{ do: "update-status", object: { ...budget, status } as PodDisruptionBudget }] };
}

function expectation(
  budget: PodDisruptionBudget,
  pods: readonly Pod[],
  snapshot: Snapshot,
): { expectedPods: number; desiredHealthy: number } {
  const { minAvailable, maxUnavailable } = budget.spec;
  if (maxUnavailable !== undefined) {
    const expectedPods = scaleOf(pods, snapshot);
    return { expectedPods, desiredHealthy: Math.max(0, expectedPods - share(maxUnavailable, expectedPods)) };
  }
  if (typeof minAvailable === "number") return { expectedPods: pods.length, desiredHealthy: minAvailable };
  if (minAvailable === undefined) return { expectedPods: pods.length, desiredHealthy: 0 };
  const expectedPods = scaleOf(pods, snapshot);
  return { expectedPods, desiredHealthy: share(minAvailable, expectedPods) };
}

/** Percentages are rounded up, for minAvailable and maxUnavailable alike. */
function share(value: IntOrString, total: number): number {
  return typeof value === "number" ? value : Math.ceil((Number.parseInt(value, 10) * total) / 100);
}

/** The sum of what the owners of these pods want, each owner once; a bare pod counts as one. */
function scaleOf(pods: readonly Pod[], snapshot: Snapshot): number {
  const scales = new Map<string, number>();
  for (const pod of pods) {
    const namespace = pod.metadata.namespace ?? "";
    const owner = controllerOf(pod);
    const replicaSet =
      owner?.kind === "ReplicaSet" ? snapshot.get("ReplicaSet", namespace, owner.name) : undefined;
    if (replicaSet === undefined) {
      scales.set(pod.metadata.uid ?? pod.metadata.name, 1);
      continue;
    }
    const above = controllerOf(replicaSet);
    const deployment =
      above?.kind === "Deployment" ? snapshot.get("Deployment", namespace, above.name) : undefined;
    const scaled = deployment ?? replicaSet;
    scales.set(scaled.metadata.uid ?? scaled.metadata.name, scaled.spec.replicas ?? 1);
  }
  return [...scales.values()].reduce((sum, scale) => sum + scale, 0);
}

function controllerOf(object: KubeObject) {
  return object.metadata.ownerReferences?.find(({ controller }) => controller === true);
}

function conditionsOf(budget: PodDisruptionBudget, allowed: number, now: number) {
  const status = allowed > 0 ? ("True" as const) : ("False" as const);
  const old = budget.status?.conditions?.find(({ type }) => type === "DisruptionAllowed");
  return [
    {
      type: "DisruptionAllowed",
      status,
      reason: allowed > 0 ? "SufficientPods" : "InsufficientPods",
      message: "",
      lastTransitionTime:
        old?.status === status && old.lastTransitionTime !== undefined
          ? old.lastTransitionTime
          : timestamp(now),
      observedGeneration: budget.metadata.generation ?? 1,
    },
  ];
}
