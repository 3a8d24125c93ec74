/** The pods of a release in one cluster, as cells: which revision, in which state, and what each waits for. Pure. */
import type { Pod } from "@slipway/kube";
import { RELEASE_ANNOTATION } from "../../../release/apply/apply.ts";
import type { Observation } from "../../../release/engine/observe.ts";
import { baselineOf } from "../../../release/judge/crash.ts";
import { type Finding, isTrue, statusesOf } from "../../../release/judge/finding.ts";
import { examinePod } from "../../../release/judge/pod.ts";
import { viewOf } from "../../../release/judge/snapshot.ts";
import { JUDGED_KINDS, type Workload, type WorkloadView } from "../../../release/judge/workload.ts";
import type { ReleaseRecord } from "../../../release/model.ts";
import type { PodCell } from "../../../server/api.ts";

/** The objects of a release whose pods it waits for, as they are in the cluster now. */
export function workloadsOf(
  record: Pick<ReleaseRecord, "objects" | "namespace">,
  seen: Observation,
): readonly Workload[] {
  const all: readonly Workload[] = [
    ...seen.deployments,
    ...seen.statefulSets,
    ...seen.daemonSets,
    ...seen.jobs,
  ];
  const keyOf = (kind: string, namespace: string | undefined, name: string): string =>
    `${kind} ${namespace ?? record.namespace}/${name}`;
  const wanted = new Set(
    record.objects
      .filter(({ kind }) => JUDGED_KINDS.some((judged) => judged === kind))
      .map(({ kind, metadata }) => keyOf(kind, metadata.namespace, metadata.name)),
  );
  return all.filter(({ kind, metadata }) => wanted.has(keyOf(kind, metadata.namespace, metadata.name)));
}

/** The release whose apply an object carries; 0 when it was made by other hands. */
export function releaseOf({ metadata }: Workload): number {
  const number = Number(metadata.annotations?.[RELEASE_ANNOTATION]);
  return Number.isInteger(number) ? number : 0;
}

/** Nothing of workloads that a later release has taken over. */
export function cellsOf(
  cluster: string,
  record: ReleaseRecord,
  seen: Observation,
  now: number,
): readonly PodCell[] {
  return workloadsOf(record, seen).flatMap((workload): readonly PodCell[] => {
    const release = releaseOf(workload);
    if (release > record.number) return [];
    const generation = workload.metadata.generation ?? 1;
    const around = { ...seen, generation, leavingMs: 0 };
    const view = viewOf(workload, around, "wait");
    const isApplied = release === record.number;
    const cell = (pod: Pod, revision: PodCell["revision"]): PodCell => ({
      cluster,
      name: pod.metadata.name,
      workload: `${workload.kind} ${workload.metadata.name}`,
      revision,
      ...stateOf(pod, view, seen, now),
      restarts: statusesOf(pod).reduce((sum, status) => sum + status.restartCount, 0),
      since: sinceOf(pod),
    });
    return [
      ...view.newPods.map((pod) => cell(pod, isApplied ? "new" : "old")),
      ...view.oldPods.map((pod) => cell(pod, "old")),
    ];
  });
}

function stateOf(
  pod: Pod,
  view: WorkloadView,
  seen: Observation,
  now: number,
): Pick<PodCell, "state" | "why"> {
  const { phase, reason, message } = pod.status ?? {};
  if (phase === "Succeeded") return { state: "gone", why: "" };
  if (pod.metadata.deletionTimestamp !== undefined) return { state: "terminating", why: keptBy(pod) };
  if (phase === "Failed") return { state: "failing", why: message ?? reason ?? "the pod has failed" };
  if (isTrue(pod, "Ready")) return { state: "ready", why: "" };
  const [finding] = findingsOf(pod, seen, now);
  const why = finding?.why ?? "";
  if (finding !== undefined && isFailure(finding)) return { state: "failing", why };
  const isRunning = statusesOf(pod).some(({ state }) => state?.running !== undefined);
  if (!isRunning) return { state: "pending", why };
  return { state: view.toleratesCrashes === true ? "running" : "starting", why };
}

function keptBy({ metadata }: Pod): string {
  const finalizers = metadata.finalizers ?? [];
  return finalizers.length === 0 ? "" : `kept by ${finalizers.join(", ")}`;
}

function findingsOf(pod: Pod, seen: Observation, now: number): readonly Finding[] {
  return examinePod(pod, {
    events: seen.events.filter((event) => event.involvedObject.uid === pod.metadata.uid),
    // Every end counts: which of them were before the release only its engine knows.
    baseline: new Map([...baselineOf([pod]).keys()].map((key) => [key, 0])),
    images: new Map(),
    logs: new Map(),
    leavingMs: 0,
    startedSince: () => now,
    now,
  });
}

/** What a pod that comes up goes through by itself is none. */
const PASSING: ReadonlySet<string> = new Set([
  "ContainerStarting",
  "MinReadySeconds",
  "ReadinessGateClosed",
  "RolloutPending",
  "Unschedulable",
  "VolumePending",
]);

const isFailure = ({ code, budgetMs }: Finding): boolean =>
  !PASSING.has(code) && (budgetMs !== undefined || code.endsWith("Crash"));

/** Since when it is in its state, as far as the pod tells: the newest of its conditions. */
function sinceOf({ metadata, status }: Pod): number {
  const times = [
    metadata.deletionTimestamp,
    ...(status?.conditions ?? []).map(({ lastTransitionTime }) => lastTransitionTime),
    metadata.creationTimestamp,
  ].flatMap((time) => (typeof time === "string" ? Date.parse(time) || [] : []));
  return times.length === 0 ? 0 : Math.max(...times);
}
