/**
 * A DaemonSet: new are the pods of its template generation, which the API server counts in an annotation and the
 * controller writes on each pod. A node that is lost keeps its pod, and its controller counts it as wanted: it is left out,
 * since no release can do anything about it.
 */
import type { Pod } from "@slipway/kube";
import { refusedByEvents, refusedPods } from "./creation.ts";
import { isTrue } from "./finding.ts";
import { STEP_BUDGET_MS } from "./stateful-set.ts";
import {
  type DaemonSet,
  hasObserved,
  isCurrent,
  isOwnedBy,
  type WorkloadSurroundings,
  type WorkloadView,
} from "./workload.ts";

const GENERATION = "deprecated.daemonset.template.generation";
const POD_GENERATION = "pod-template-generation";

export function viewDaemonSet(set: DaemonSet, around: WorkloadSurroundings): WorkloadView {
  const { status } = set;
  const generation = set.metadata.annotations?.[GENERATION];
  const owned = around.pods.filter((pod) => isOwnedBy(pod, set.metadata.uid));
  const lost = owned.filter(isOnLostNode);
  const newPods = owned.filter(
    (pod) =>
      !lost.includes(pod) &&
      (generation === undefined || pod.metadata.labels?.[POD_GENERATION] === generation),
  );
  const wanted = Math.max(0, (status?.desiredNumberScheduled ?? 0) - lost.length);
  const updated = status?.updatedNumberScheduled ?? 0;
  const available = status?.numberAvailable ?? 0;
  const isOnDelete = set.spec.updateStrategy?.type === "OnDelete";
  const refused = refusedByEvents(around.events, set.metadata.uid);
  return {
    newPods,
    oldPods: [],
    isObserved: hasObserved(set, around.generation),
    isComplete: isCurrent(set) && (isOnDelete || updated >= wanted) && available >= wanted,
    wanted,
    available: Math.min(updated, available),
    room: 1,
    findings: refused === undefined || owned.length >= wanted ? [] : [refusedPods(refused, around)],
    pending: {
      code: "RolloutPending",
      key: `pending/${updated}/${available}`,
      why: `${updated} of ${wanted} nodes have the new pod, ${available} are available${lost.length === 0 ? "" : `; ${describeLost(lost)}`}`,
      budgetMs: STEP_BUDGET_MS,
    },
    deadlineSeconds: undefined,
    notes: notesOf(set, { isOnDelete, wanted, lost }),
  };
}

/** Bound to a node whose controller has marked it unready, while what the kubelet said last is that all was well. */
function isOnLostNode(pod: Pod): boolean {
  const { spec, status } = pod;
  // With gates, all containers may be well and the pod not ready.
  if (spec.nodeName === undefined || (spec.readinessGates ?? []).length > 0) return false;
  const statuses = status?.containerStatuses ?? [];
  const wasWell = statuses.length > 0 && statuses.every(({ ready }) => ready);
  return !isTrue(pod, "Ready") && (status?.reason === "NodeLost" || wasWell);
}

function describeLost(lost: readonly Pod[]): string {
  const nodes = lost.map(({ spec }) => spec.nodeName).sort();
  return `${nodes.join(", ")} ${nodes.length === 1 ? "does" : "do"} not answer`;
}

function notesOf(
  { metadata: { name } }: DaemonSet,
  found: { readonly isOnDelete: boolean; readonly wanted: number; readonly lost: readonly Pod[] },
): readonly string[] {
  const { isOnDelete, wanted, lost } = found;
  const away = lost.length === 0 ? [] : [`DaemonSet ${name} was not judged where ${describeLost(lost)}`];
  if (isOnDelete) {
    const how = "is updated when its pods are deleted (OnDelete): new pods were not judged";
    return [`DaemonSet ${name} ${how}`, ...away];
  }
  return wanted === 0 ? [`no node takes pods of DaemonSet ${name}: none was judged`, ...away] : away;
}
