/**
 * The pods that a check means when it names a workload: only those of its newest revision that are ready and not ending.
 * `kubectl exec deploy/x` after a rollout still enters an old pod now and then (kubernetes/kubectl#1284).
 */
import type { KubeClient, KubeObject, Pod, ReplicaSet } from "@slipway/kube";

export type WorkloadKind = "Deployment" | "StatefulSet" | "DaemonSet";

export const WORKLOAD_KINDS: readonly WorkloadKind[] = ["Deployment", "StatefulSet", "DaemonSet"];

export interface Workload extends KubeObject {
  readonly spec: {
    readonly replicas?: number;
    readonly selector: { readonly matchLabels?: Readonly<Record<string, string>> };
  };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly updateRevision?: string;
    readonly availableReplicas?: number;
    readonly updatedReplicas?: number;
    readonly readyReplicas?: number;
    readonly numberAvailable?: number;
    readonly desiredNumberScheduled?: number;
    readonly updatedNumberScheduled?: number;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
    }[];
  };
}

/** All that the choice depends on. `revisions`: ReplicaSets of a Deployment, ControllerRevisions of the others. */
export interface WorkloadView {
  readonly workload: Workload;
  readonly revisions: readonly KubeObject[];
  readonly pods: readonly Pod[];
}

const TEMPLATE_HASH = "pod-template-hash";
const REVISION_HASH = "controller-revision-hash";
const DEPLOYMENT_REVISION = "deployment.kubernetes.io/revision";

/** In the order of their names; none when nothing of the newest revision is ready. */
export function currentPods(view: WorkloadView): readonly Pod[] {
  return newestPods(view)
    .filter((pod) => pod.metadata.deletionTimestamp === undefined && isReady(pod))
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

/** Also those that are not ready, or ending. None while its controller has not made the newest revision yet. */
export function newestPods({ workload, revisions, pods }: WorkloadView): readonly Pod[] {
  if (!isSeen(workload)) return [];
  if (workload.kind === "Deployment") {
    const newest = newestReplicaSet(workload, revisions as readonly ReplicaSet[]);
    const hash = newest?.metadata.labels?.[TEMPLATE_HASH];
    if (newest === undefined || hash === undefined) return [];
    return pods.filter(
      (pod) => ownerOf(pod) === newest.metadata.uid && pod.metadata.labels?.[TEMPLATE_HASH] === hash,
    );
  }
  const hash =
    workload.kind === "StatefulSet"
      ? workload.status?.updateRevision
      : newestControllerRevision(workload, revisions);
  if (hash === undefined) return [];
  // A StatefulSet's revision is named `web-5d6f…`, and a DaemonSet's pods carry only the hash of theirs.
  return pods.filter(
    (pod) => ownerOf(pod) === workload.metadata.uid && pod.metadata.labels?.[REVISION_HASH] === hash,
  );
}

/** Controllers tell the generation that they have acted on, after they have made its ReplicaSet or revision. */
const isSeen = ({ metadata, status = {} }: Workload): boolean =>
  (status.observedGeneration ?? 0) >= (metadata.generation ?? 0);

function newestReplicaSet(workload: Workload, sets: readonly ReplicaSet[]): ReplicaSet | undefined {
  const own = sets.filter((set) => ownerOf(set) === workload.metadata.uid);
  const revisionOf = (set: ReplicaSet): number =>
    Number(set.metadata.annotations?.[DEPLOYMENT_REVISION] ?? 0);
  return own.toSorted((a, b) => revisionOf(b) - revisionOf(a))[0];
}

function newestControllerRevision(workload: Workload, revisions: readonly KubeObject[]): string | undefined {
  const own = revisions.filter((one) => ownerOf(one) === workload.metadata.uid);
  const numberOf = (one: KubeObject): number => (one as { revision?: number }).revision ?? 0;
  const newest = own.toSorted((a, b) => numberOf(b) - numberOf(a))[0];
  return newest?.metadata.labels?.[REVISION_HASH];
}

const ownerOf = (object: KubeObject): string | undefined =>
  object.metadata.ownerReferences?.find(({ controller }) => controller === true)?.uid;

export const isReady = (pod: Pod): boolean =>
  pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;

/** Whether the rollout of the newest revision is over, as `kubectl rollout status` says it; else what is missing. */
export function availability({ workload }: Pick<WorkloadView, "workload">): {
  readonly missing: string | undefined;
} {
  const { status = {}, spec } = workload;
  if (!isSeen(workload)) {
    return { missing: "its controller has not seen the newest change yet" };
  }
  const isDaemonSet = workload.kind === "DaemonSet";
  const wanted = isDaemonSet ? (status.desiredNumberScheduled ?? 0) : (spec.replicas ?? 1);
  const updated = (isDaemonSet ? status.updatedNumberScheduled : status.updatedReplicas) ?? 0;
  const ready =
    (isDaemonSet
      ? status.numberAvailable
      : workload.kind === "Deployment"
        ? status.availableReplicas
        : status.readyReplicas) ?? 0;
  if (updated < wanted) return { missing: `${updated} of ${wanted} pods are of the newest revision` };
  if (ready < wanted) return { missing: `${ready} of ${wanted} pods are available` };
  return { missing: undefined };
}

/** Its Deployment's deadline for progress is over, where `kubectl rollout status` gives up too. */
export const isGivenUp = ({ workload }: Pick<WorkloadView, "workload">): boolean =>
  isSeen(workload) &&
  workload.status?.conditions?.some(
    ({ type, status, reason }) =>
      type === "Progressing" && status === "False" && reason === "ProgressDeadlineExceeded",
  ) === true;

/** Reads what the choice needs. Rejects with NotFound when there is no such workload. */
export async function viewWorkload(
  client: KubeClient,
  kind: WorkloadKind,
  namespace: string,
  name: string,
): Promise<WorkloadView> {
  const workload = await client.get<Workload>({ apiVersion: "apps/v1", kind, namespace, name });
  const revisionKind = kind === "Deployment" ? "ReplicaSet" : "ControllerRevision";
  const [revisions, pods] = await Promise.all([
    kind === "StatefulSet"
      ? { items: [] }
      : client.list({ apiVersion: "apps/v1", kind: revisionKind }, { namespace }),
    client.list<Pod>({ apiVersion: "v1", kind: "Pod" }, { namespace }),
  ]);
  return { workload, revisions: revisions.items, pods: pods.items };
}

/** The kubelet's own reason and message, of the first container that waits or has ended. */
export function waitingFor(pod: Pod): string {
  for (const { name, state, lastState } of pod.status?.containerStatuses ?? []) {
    const { waiting } = state ?? {};
    const ended = state?.terminated ?? lastState?.terminated;
    if (waiting !== undefined) {
      const code = ended === undefined ? "" : `, exited ${ended.exitCode} before`;
      return `${name}: ${waiting.reason ?? "waiting"}${waiting.message === undefined ? "" : ` (${waiting.message})`}${code}`;
    }
    if (state?.terminated !== undefined) return `${name}: exited ${state.terminated.exitCode}`;
  }
  const scheduled = pod.status?.conditions?.find(({ type }) => type === "PodScheduled");
  if (scheduled?.status === "False")
    return `is not scheduled: ${scheduled.message ?? scheduled.reason ?? ""}`;
  return pod.status?.phase === "Running" ? "runs and is not ready" : (pod.status?.phase ?? "is pending");
}
