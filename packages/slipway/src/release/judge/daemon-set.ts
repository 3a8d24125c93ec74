/**
 * A DaemonSet: new are the pods of its template generation, which the API server counts in an annotation and the
 * controller writes on each pod.
 */
import { refusedByEvents, refusedPods } from "./creation.ts";
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
  const newPods = owned.filter(
    (pod) => generation === undefined || pod.metadata.labels?.[POD_GENERATION] === generation,
  );
  const wanted = status?.desiredNumberScheduled ?? 0;
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
      why: `${updated} of ${wanted} nodes have the new pod, ${available} are available`,
      budgetMs: STEP_BUDGET_MS,
    },
    deadlineSeconds: undefined,
    notes: isOnDelete
      ? [
          `DaemonSet ${set.metadata.name} is updated when its pods are deleted (OnDelete): new pods were not judged`,
        ]
      : wanted === 0
        ? [`no node takes pods of DaemonSet ${set.metadata.name}: none was judged`]
        : [],
  };
}
