/**
 * A StatefulSet: new are the pods with the hash of its update revision. It goes from the highest ordinal down, one
 * at a time, and has no progress deadline of its own, so one is counted from its last step.
 */
import { refusedByEvents, refusedPods } from "./creation.ts";
import { isTrue } from "./finding.ts";
import {
  hasObserved,
  isCurrent,
  isOwnedBy,
  type StatefulSet,
  type WorkloadSurroundings,
  type WorkloadView,
} from "./workload.ts";

/** On each pod: the revision of the set that it was made from. */
export const REVISION_HASH = "controller-revision-hash";
/** As a Deployment's `progressDeadlineSeconds`, whose default is 600. */
export const STEP_BUDGET_MS = 600_000;

export function viewStatefulSet(set: StatefulSet, around: WorkloadSurroundings): WorkloadView {
  const { status } = set;
  const owned = around.pods.filter((pod) => isOwnedBy(pod, set.metadata.uid));
  const wanted = set.spec.replicas ?? 1;
  const ready = status?.readyReplicas ?? 0;
  const updated = status?.updatedReplicas ?? 0;
  const partition = set.spec.updateStrategy?.rollingUpdate?.partition ?? 0;
  const isOnDelete = set.spec.updateStrategy?.type === "OnDelete";
  const toUpdate = isOnDelete ? 0 : Math.max(0, wanted - partition);
  // A set without any change has no updatedReplicas in some versions; then both revisions are the same.
  const isUpdated = updated >= toUpdate || status?.currentRevision === status?.updateRevision;
  const newPods = owned.filter((pod) => pod.metadata.labels?.[REVISION_HASH] === status?.updateRevision);
  const refused = refusedByEvents(around.events, set.metadata.uid);
  const isShort = (status?.replicas ?? 0) < wanted;
  return {
    newPods,
    // The others are replaced in place, in order; a partition keeps some of them for good.
    oldPods: [],
    isObserved: hasObserved(set, around.generation),
    isComplete: isCurrent(set) && isUpdated && ready === wanted && (status?.replicas ?? 0) === wanted,
    wanted,
    available: newPods.filter((pod) => isTrue(pod, "Ready")).length,
    room: 1,
    findings: refused === undefined || !isShort ? [] : [refusedPods(refused, around)],
    pending: {
      code: "RolloutPending",
      key: `pending/${updated}/${ready}`,
      why: `${updated} of ${toUpdate} pods are updated, ${ready} of ${wanted} are ready`,
      budgetMs: STEP_BUDGET_MS,
    },
    deadlineSeconds: undefined,
    notes: isOnDelete
      ? [
          `StatefulSet ${set.metadata.name} is updated when its pods are deleted (OnDelete): new pods were not judged`,
        ]
      : partition > 0
        ? [
            `StatefulSet ${set.metadata.name} has a partition: ${Math.min(partition, wanted)} of its ${wanted} pods keep the revision before`,
          ]
        : [],
  };
}
