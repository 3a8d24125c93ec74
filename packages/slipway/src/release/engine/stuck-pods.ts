/**
 * A StatefulSet of the default policy (OrderedReady) changes nothing while one of its pods is not ready. So a pod that a bad
 * revision broke keeps the good one away, also when that is applied again: the controller waits for it, for ever, and
 * Kubernetes' documentation ("Forced rollback") says to delete it by hand. Whoever goes back at night should not have to
 * know that. Pure.
 */
import type { Pod } from "@slipway/kube";
import { isTrue, statusesOf } from "../judge/finding.ts";
import { REVISION_HASH } from "../judge/stateful-set.ts";
import { isCurrent, isOwnedBy, type StatefulSet } from "../judge/workload.ts";

/**
 * Pods that the set is to replace and that it waits for. Of other policies there are none; nor while a pod of the wanted
 * revision is not ready, because then the set waits for that one, and another pod's end would only spread the trouble.
 *
 * `goesBack`: any that is not ready. Forward only what cannot get well by itself: a good member may lose its readiness for
 * a while when another one is replaced, and must not be ended for it.
 */
export function stuckPods(
  sets: readonly StatefulSet[],
  pods: readonly Pod[],
  goesBack: boolean,
): readonly Pod[] {
  return sets.flatMap((set) => {
    const { podManagementPolicy = "OrderedReady", updateStrategy } = set.spec;
    const revision = set.status?.updateRevision;
    if (podManagementPolicy !== "OrderedReady" || updateStrategy?.type === "OnDelete") return [];
    if (revision === undefined || !isCurrent(set)) return [];
    const owned = pods.filter((pod) => isOwnedBy(pod, set.metadata.uid));
    const isWanted = (pod: Pod): boolean => pod.metadata.labels?.[REVISION_HASH] === revision;
    if (owned.some((pod) => isWanted(pod) && !isTrue(pod, "Ready"))) return [];
    const first = (set.spec.ordinals?.start ?? 0) + (updateStrategy?.rollingUpdate?.partition ?? 0);
    return owned.filter(
      (pod) =>
        pod.metadata.deletionTimestamp === undefined &&
        !isWanted(pod) &&
        !isTrue(pod, "Ready") &&
        (goesBack || isBroken(pod)) &&
        ordinalOf(pod) >= first,
    );
  });
}

const HOPELESS = new Set([
  "CrashLoopBackOff",
  "CreateContainerConfigError",
  "CreateContainerError",
  "ErrImageNeverPull",
  "ErrImagePull",
  "ImagePullBackOff",
  "InvalidImageName",
  "RunContainerError",
]);

function isBroken(pod: Pod): boolean {
  return statusesOf(pod).some(({ state }) => HOPELESS.has(state?.waiting?.reason ?? ""));
}

function ordinalOf({ metadata }: Pod): number {
  return Number(metadata.name.slice(metadata.name.lastIndexOf("-") + 1));
}
