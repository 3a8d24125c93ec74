/** How far a rollout is, counted in pods. */
import type { Pod } from "@slipway/kube";
import type { Progress } from "../events.ts";
import type { WorkloadView } from "./workload.ts";

export const NO_PROGRESS: Progress = { old: 0, new: 0, ready: 0, total: 0, serving: 0, waitingFor: [] };

export function progressOf(view: WorkloadView): Progress {
  const isServing = (pod: Pod): boolean =>
    pod.metadata.deletionTimestamp === undefined &&
    (pod.status?.conditions?.some((one) => one.type === "Ready" && one.status === "True") ?? false);
  return {
    old: view.oldPods.length,
    new: view.newPods.filter((pod) => pod.metadata.deletionTimestamp === undefined).length,
    ready: view.available,
    total: view.wanted,
    serving: [...view.newPods, ...view.oldPods].filter(isServing).length,
    waitingFor: [],
  };
}

export function addProgress(a: Progress, b: Progress): Progress {
  return {
    old: a.old + b.old,
    new: a.new + b.new,
    ready: a.ready + b.ready,
    total: a.total + b.total,
    serving: a.serving + b.serving,
    waitingFor: [...a.waitingFor, ...b.waitingFor],
  };
}
