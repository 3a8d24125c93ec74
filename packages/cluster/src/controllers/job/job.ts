/**
 * The Job controller: runs pods of one template until enough of them have succeeded, or too many have failed.
 *
 * As Kubernetes' own for `parallelism` and `completions` (NonIndexed), `backoffLimit` and `activeDeadlineSeconds`; a
 * failed pod is made again after 10 s, 20 s, 40 s, … up to 6 min, as upstream does. Finished pods stay, so that their
 * logs can be read; who deletes the Job deletes them. `suspend`, indexed completion and `ttlSecondsAfterFinished` are
 * not acted on.
 */
import { isDeepStrictEqual } from "node:util";
import type { Job, JobCondition, JobStatus, KubeObject, Pod } from "@slipway/kube";
import {
  type Command,
  type Controller,
  type Decision,
  type Key,
  keyOf,
  type Snapshot,
  splitKey,
} from "../controller.ts";
import { podFromTemplate } from "../pod-template.ts";
import { referenceTo, timestamp } from "../reference.ts";
import { controllerOf } from "../replicaset/claim.ts";

const FIRST_BACKOFF_MS = 10_000;
const LAST_BACKOFF_MS = 360_000;

export const jobController: Controller = {
  name: "job-controller",
  watches: [
    { kind: "Job", keys: (object) => [keyOf(object)] },
    { kind: "Pod", keys: keysOfPod },
  ],
  decide: decideJob,
};

function keysOfPod(pod: KubeObject): readonly Key[] {
  const owner = controllerOf(pod);
  return owner?.kind === "Job" ? [`${pod.metadata.namespace}/${owner.name}`] : [];
}

export function decideJob(snapshot: Snapshot, key: Key, now: number): Decision {
  const { namespace, name } = splitKey(key);
  const job = snapshot.get("Job", namespace, name);
  if (job === undefined || job.metadata.deletionTimestamp !== undefined || isFinished(job)) {
    return { commands: [] };
  }
  const pods = snapshot.list("Pod", namespace).filter((pod) => controllerOf(pod)?.uid === job.metadata.uid);
  const counts = countsOf(pods);
  const end = endOf(job, counts, now);
  if (end !== undefined) return finish(job, counts, { end, now });
  const startedAt = job.status?.startTime ?? timestamp(now);
  const status: JobStatus = { ...statusOf(counts), startTime: startedAt };
  const commands: Command[] = [];
  const waitMs = backoffMs(counts, now);
  const missing = waitMs > 0 ? 0 : missingPods(job, counts);
  for (let index = 0; index < missing; index += 1) commands.push(createPod(job));
  if (!isSame(job.status, status)) {
    commands.push({ do: "update-status", object: { ...job, status } as Job });
  }
  const deadline = job.spec.activeDeadlineSeconds;
  const waits = [
    ...(waitMs > 0 ? [waitMs] : []),
    ...(deadline === undefined ? [] : [Date.parse(startedAt) + deadline * 1000 - now]),
  ];
  return {
    commands,
    ...(waits.length === 0 ? {} : { requeueAfterMs: Math.max(0, Math.min(...waits)) }),
    ifRefused: (command, refusal) =>
      command.do === "create"
        ? [event(job, "Warning", "FailedCreate", `Error creating: ${refusal.message}`)]
        : [],
  };
}

interface Counts {
  readonly active: readonly Pod[];
  readonly succeeded: number;
  readonly failed: number;
  /** Restarts of containers in pods that are still there, which count like failed pods. */
  readonly restarts: number;
  readonly lastFailureAt: number;
}

function countsOf(pods: readonly Pod[]): Counts {
  const active = pods.filter(
    ({ status, metadata }) =>
      status?.phase !== "Succeeded" && status?.phase !== "Failed" && metadata.deletionTimestamp === undefined,
  );
  const failed = pods.filter(({ status }) => status?.phase === "Failed");
  const ends = failed.flatMap(({ status, metadata }) => [
    Date.parse(metadata.creationTimestamp ?? "") || 0,
    ...(status?.containerStatuses ?? []).map(
      ({ state }) => Date.parse(state?.terminated?.finishedAt ?? "") || 0,
    ),
  ]);
  const restarts = active
    .flatMap(({ status }) => [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])])
    .reduce((sum, { restartCount }) => sum + restartCount, 0);
  return {
    active,
    succeeded: pods.filter(({ status }) => status?.phase === "Succeeded").length,
    failed: failed.length,
    restarts,
    lastFailureAt: Math.max(0, ...ends),
  };
}

/** Worked: parallelism 2, completions 3, 2 succeeded, none active: 1 is missing. */
function missingPods(job: Job, { active, succeeded }: Counts): number {
  const { parallelism = 1, completions } = job.spec;
  // Without completions, pods share the work: once one has succeeded, none is made any more.
  const left = completions === undefined ? (succeeded > 0 ? 0 : parallelism) : completions - succeeded;
  return Math.max(0, Math.min(parallelism, left) - active.length);
}

function backoffMs({ failed, lastFailureAt }: Counts, now: number): number {
  if (failed === 0) return 0;
  const wait = Math.min(FIRST_BACKOFF_MS * 2 ** (failed - 1), LAST_BACKOFF_MS);
  return Math.max(0, lastFailureAt + wait - now);
}

interface End {
  readonly type: "Complete" | "Failed";
  readonly reason?: string;
  readonly message?: string;
}

function endOf(job: Job, counts: Counts, now: number): End | undefined {
  const { backoffLimit = 6, completions, activeDeadlineSeconds } = job.spec;
  const isDone =
    completions === undefined
      ? counts.succeeded > 0 && counts.active.length === 0
      : counts.succeeded >= completions;
  if (isDone) return { type: "Complete" };
  if (counts.failed + counts.restarts > backoffLimit) {
    const message = "Job has reached the specified backoff limit";
    return { type: "Failed", reason: "BackoffLimitExceeded", message };
  }
  const startedAt = Date.parse(job.status?.startTime ?? "");
  if (activeDeadlineSeconds !== undefined && now >= startedAt + activeDeadlineSeconds * 1000) {
    const message = "Job was active longer than specified deadline";
    return { type: "Failed", reason: "DeadlineExceeded", message };
  }
  return undefined;
}

/** What still runs of a failed Job is stopped; what has ended stays. */
function finish(
  job: Job,
  counts: Counts,
  { end, now }: { readonly end: End; readonly now: number },
): Decision {
  const at = timestamp(now);
  const condition: JobCondition = { ...end, status: "True", lastProbeTime: at, lastTransitionTime: at };
  const { active: _active, ...rest } = statusOf(counts);
  const status: JobStatus = {
    ...rest,
    startTime: job.status?.startTime ?? at,
    ...(end.type === "Complete" ? { completionTime: at } : {}),
    conditions: [condition],
  };
  const isComplete = end.type === "Complete";
  return {
    commands: [
      ...counts.active.map(
        ({ metadata: { namespace = "", name, uid } }): Command => ({
          do: "delete",
          kind: "Pod",
          namespace,
          name,
          ...(uid === undefined ? {} : { uid }),
        }),
      ),
      { do: "update-status", object: { ...job, status } as Job },
      event(
        job,
        isComplete ? "Normal" : "Warning",
        isComplete ? "Completed" : (end.reason ?? "Failed"),
        isComplete ? "Job completed" : (end.message ?? ""),
      ),
    ],
  };
}

function isFinished(job: Job): boolean {
  return (job.status?.conditions ?? []).some(({ status }) => status === "True");
}

function statusOf(counts: Counts): JobStatus {
  return {
    ...(counts.active.length === 0 ? {} : { active: counts.active.length }),
    ...(counts.succeeded === 0 ? {} : { succeeded: counts.succeeded }),
    ...(counts.failed === 0 ? {} : { failed: counts.failed }),
  };
}

function isSame(old: JobStatus | undefined, next: JobStatus): boolean {
  return isDeepStrictEqual({ ...old }, { ...next });
}

function createPod(job: Job): Command {
  return {
    do: "create",
    object: podFromTemplate(job, { "job-name": job.metadata.name, "controller-uid": job.metadata.uid ?? "" }),
    batch: 0,
    followUp: (created) => [
      event(job, "Normal", "SuccessfulCreate", `Created pod: ${created.metadata.name}`),
    ],
  };
}

function event(job: Job, type: "Normal" | "Warning", reason: string, message: string): Command {
  return { do: "event", about: referenceTo(job), type, reason, message };
}
