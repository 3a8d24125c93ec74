/**
 * A StatefulSet of the default policy (OrderedReady) changes nothing while one of its pods is not ready. So a pod that a bad
 * revision broke keeps the good one away, also when that is applied again: the controller waits for it, for ever, and
 * Kubernetes' documentation ("Forced rollback") says to delete it by hand. Whoever goes back at night should not have to
 * know that. Pure.
 */
import type { Pod } from "@slipway/kube";
import type { StatefulSet } from "../judge/workload.ts";
import { isCurrent, isOwnedBy } from "../judge/workload.ts";

const HASH = "controller-revision-hash";

/** Pods that are not ready, that the set is to replace, and that it waits for. Of other policies there are none. */
export function stuckPods(sets: readonly StatefulSet[], pods: readonly Pod[]): readonly Pod[] {
  return sets.flatMap((set) => {
    const { podManagementPolicy = "OrderedReady", updateStrategy } = set.spec;
    const revision = set.status?.updateRevision;
    if (podManagementPolicy !== "OrderedReady" || updateStrategy?.type === "OnDelete") return [];
    if (revision === undefined || !isCurrent(set)) return [];
    return pods.filter(
      (pod) =>
        isOwnedBy(pod, set.metadata.uid) &&
        pod.metadata.deletionTimestamp === undefined &&
        pod.metadata.labels?.[HASH] !== revision &&
        !isReady(pod) &&
        ordinalOf(pod) >= (updateStrategy?.rollingUpdate?.partition ?? 0),
    );
  });
}

function isReady({ status }: Pod): boolean {
  return status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") ?? false;
}

function ordinalOf({ metadata }: Pod): number {
  return Number(metadata.name.slice(metadata.name.lastIndexOf("-") + 1));
}
