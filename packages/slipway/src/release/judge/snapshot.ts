/** What was seen of one cluster at one moment, and where the workloads of the release are in it. */
import { assertNever } from "@slipway/base";
import type { Deployment, Event, Pod, ReplicaSet } from "@slipway/kube";
import type { CauseObject } from "./causes.ts";
import { viewDaemonSet } from "./daemon-set.ts";
import { viewDeployment } from "./deployment.ts";
import { viewJob } from "./job.ts";
import { viewStatefulSet } from "./stateful-set.ts";
import {
  type DaemonSet,
  type ExpectedWorkload,
  type Job,
  placeOf,
  type StatefulSet,
  type Workload,
  type WorkloadSurroundings,
  type WorkloadView,
} from "./workload.ts";

export interface RolloutSnapshot {
  readonly cluster: string;
  /** How a command names this cluster, like `kubectl --context tokyo`. */
  readonly kubectl: string;
  /** What was applied and is waited for. */
  readonly expected: readonly ExpectedWorkload[];
  /** Everything below is of the namespaces of the workloads; what belongs to others is ignored. */
  readonly deployments: readonly Deployment[];
  readonly statefulSets?: readonly StatefulSet[];
  readonly daemonSets?: readonly DaemonSet[];
  readonly jobs?: readonly Job[];
  readonly replicaSets: readonly ReplicaSet[];
  readonly pods: readonly Pod[];
  /** Oldest first, by the cluster's own clock. */
  readonly events: readonly Event[];
  /** Terminations by pod uid and container that had happened before this release; see `terminationsOf`. */
  readonly baseline: ReadonlyMap<string, number>;
  /** What the registry said about an image after a node could not find it. */
  readonly images: ReadonlyMap<string, "exists" | "missing" | "unknown">;
  /** Logs of dead containers by pod uid and container, as far as they were read. */
  readonly logs?: ReadonlyMap<string, string> | undefined;
  /**
   * `wait` (default): ok when no old pod is wanted any more, as `kubectl rollout status` has it, and none is kept by a
   * finalizer; those in their grace period drain while the release bakes. `report`: ok as soon as the new ones are
   * available, old ones are in the notes; for a rollback, where seconds count.
   */
  readonly oldPods?: "wait" | "report" | undefined;
}

export function findWorkload(snapshot: RolloutSnapshot, expected: ExpectedWorkload): Workload | undefined {
  const all: readonly Workload[] = [
    ...snapshot.deployments,
    ...(snapshot.statefulSets ?? []),
    ...(snapshot.daemonSets ?? []),
    ...(snapshot.jobs ?? []),
  ];
  return all.find(
    ({ kind, metadata }) =>
      kind === expected.kind &&
      metadata.name === expected.name &&
      (metadata.namespace ?? "default") === expected.namespace,
  );
}

/** Jobs of Kubernetes 1.20 have no generation: what has none was never older. */
export function isOlder({ metadata }: Workload, expected: ExpectedWorkload): boolean {
  return metadata.generation !== undefined && metadata.generation < expected.generation;
}

/** Which of its pods are new, which old, and what its kind says about being done. */
export function viewOf(
  workload: Workload,
  around: WorkloadSurroundings,
  oldPods: "wait" | "report",
): WorkloadView {
  switch (workload.kind) {
    case "Deployment":
      return viewDeployment(workload, around, oldPods);
    case "StatefulSet":
      return viewStatefulSet(workload, around);
    case "DaemonSet":
      return viewDaemonSet(workload, around);
    case "Job":
      return viewJob(workload, around);
    default:
      return assertNever(workload);
  }
}

/** Pods of the new revisions of what was applied, each with the workload that it is of. */
export function placedPodsOf(
  snapshot: RolloutSnapshot,
): readonly { readonly pod: Pod; readonly place: CauseObject }[] {
  return snapshot.expected.flatMap((expected) => {
    const around = { ...snapshot, generation: expected.generation, leavingMs: 0 };
    const workload = findWorkload(snapshot, expected);
    if (workload === undefined) return [];
    const { newPods, place } = viewOf(workload, around, "wait");
    return newPods.map((pod) => ({ pod, place: { ...placeOf(expected), ...place } }));
  });
}

export function newPodsOf(snapshot: RolloutSnapshot): readonly Pod[] {
  return placedPodsOf(snapshot).map(({ pod }) => pod);
}

/** Pods that go make room and give back quota; a grace period bounds how long that may take. */
export function leavingMs(pods: readonly Pod[]): number {
  return Math.max(
    0,
    ...pods
      .filter(
        ({ metadata, status }) => metadata.deletionTimestamp !== undefined && status?.phase !== "Failed",
      )
      .map(
        (pod) =>
          (pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30) * 1000,
      ),
  );
}
