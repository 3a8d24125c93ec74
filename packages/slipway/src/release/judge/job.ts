/** A Job among the release's objects: complete, failed, or running as long as its own limits allow. */
import type { Pod } from "@slipway/kube";
import { refusedByEvents, refusedPods } from "./creation.ts";
import { type Finding, oneLine } from "./finding.ts";
import { isOwnedBy, type Job, type WorkloadSurroundings, type WorkloadView } from "./workload.ts";

/** Which container it is that runs: what a Job that takes too long is asked first. */
function running(pods: readonly Pod[]): Finding {
  const pod = pods.findLast(({ status }) => status?.phase === "Running");
  const container = pod?.status?.containerStatuses?.find(({ state }) => state?.running !== undefined);
  return {
    code: "RolloutPending",
    key: "job",
    why: "the Job is running",
    budgetMs: undefined,
    object: {
      ...(pod === undefined ? {} : { pod: pod.metadata.name }),
      ...(container === undefined ? {} : { container: container.name }),
    },
  };
}

export function viewJob(job: Job, around: WorkloadSurroundings): WorkloadView {
  const has = (type: string) =>
    job.status?.conditions?.find((condition) => condition.type === type && condition.status === "True");
  const failed = has("Failed");
  const pods = around.pods.filter((pod) => isOwnedBy(pod, job.metadata.uid));
  const refused = refusedByEvents(around.events, job.metadata.uid);
  const findings: Finding[] = [];
  if (failed !== undefined) {
    const dead = pods.findLast((pod) => pod.status?.phase === "Failed") ?? pods.at(-1);
    const container = dead?.status?.containerStatuses?.find(
      (status) => (status.state?.terminated?.exitCode ?? 0) !== 0,
    );
    findings.push({
      code: "JobFailed",
      key: "job-failed",
      why: `the Job failed: ${oneLine(failed.message ?? failed.reason ?? "no reason given")}`,
      budgetMs: 0,
      ...(dead === undefined ? {} : { pod: dead }),
      object: {
        ...(dead === undefined ? {} : { pod: dead.metadata.name }),
        ...(container === undefined ? {} : { container: container.name }),
      },
    });
  } else if (refused !== undefined && pods.length === 0) {
    findings.push(refusedPods(refused, around));
  }
  const isComplete = has("Complete") !== undefined;
  return {
    newPods:
      isComplete || failed !== undefined ? [] : pods.filter((pod) => pod.status?.phase !== "Succeeded"),
    oldPods: [],
    isObserved: true,
    isComplete,
    wanted: 0,
    available: 0,
    room: 1,
    findings,
    pending: running(pods),
    deadlineSeconds: undefined,
    notes: [],
    toleratesCrashes: true,
  };
}
