/**
 * When pods that will not become ready doom the rollout.
 *
 * As long as no new pod was ever ready, the first doomed one decides: nothing speaks for the new version. Once one
 * is, a single bad pod (one node, one volume) need not stop the others: it decides when so many are doomed that there
 * is no room to go on (`maxSurge + maxUnavailable`), or when nothing moves any more. With `maxUnavailable: 0` and a
 * surge of one, that is one pod.
 */
import type { Pod } from "@slipway/kube";
import { isTrue } from "./finding.ts";
import type { WorkloadView } from "./workload.ts";

export function leavesNoWay(
  doomed: ReadonlySet<Pod>,
  view: Pick<WorkloadView, "newPods" | "oldPods" | "room" | "wanted">,
): boolean {
  const alive = view.newPods.filter(
    (pod) => pod.metadata.deletionTimestamp === undefined && pod.status?.phase !== "Failed",
  );
  const isProven = alive.some((pod) => isTrue(pod, "Ready"));
  if (!isProven || doomed.size >= view.room) return true;
  const isMoving =
    alive.length < view.wanted ||
    alive.some((pod) => !doomed.has(pod) && !isTrue(pod, "Ready")) ||
    view.oldPods.some((pod) => pod.metadata.deletionTimestamp !== undefined);
  return !isMoving;
}
