/** What keeps a workload from being done: the rules of this folder, asked one after the other. */
import { contested } from "./contest.ts";
import type { Finding } from "./finding.ts";
import { type Memory, since } from "./judgement.ts";
import { takenAway } from "./nodes.ts";
import { isKept, oldPodsKept } from "./old-pods.ts";
import { examinePod } from "./pod.ts";
import type { RolloutSnapshot } from "./snapshot.ts";
import type { ExpectedWorkload, Workload, WorkloadSurroundings, WorkloadView } from "./workload.ts";

export interface Subject {
  readonly workload: Workload;
  readonly expected: ExpectedWorkload;
  readonly around: WorkloadSurroundings;
}

/** Most general first; empty when nothing keeps it. */
export function findingsOf(
  snapshot: RolloutSnapshot,
  { workload, expected, around }: Subject,
  view: WorkloadView,
  memory: Memory,
): readonly Finding[] {
  const { uid } = workload.metadata;
  if (workload.metadata.deletionTimestamp !== undefined) return [terminatingWorkload(workload)];
  const contest = contested(view.wanted, expected.replicas, {
    get: (name) => memory.seen.get(`${uid}/contest/${name}`),
    set: (name, value) => memory.nextSeen.set(`${uid}/contest/${name}`, value),
  });
  if (!view.isObserved) {
    return [
      {
        code: "RolloutNotObserved",
        key: "observe",
        why: "the cluster has not begun to act on the change",
        budgetMs: 60_000,
      },
    ];
  }
  const findings: Finding[] = [...view.findings];
  if (contest !== undefined && workload.kind !== "DaemonSet") findings.push(contest);
  for (const pod of view.newPods) {
    const found = examinePod(pod, {
      events: snapshot.events.filter((event) => event.involvedObject.uid === pod.metadata.uid),
      baseline: snapshot.baseline,
      images: snapshot.images,
      logs: snapshot.logs ?? NO_LOGS,
      leavingMs: around.leavingMs,
      startedSince: (container) => since(memory, `${uid}/${pod.metadata.uid}/${container}/started`),
      now: memory.now,
    });
    findings.push(...(view.toleratesCrashes === true ? found.map(withoutHaste) : found));
  }
  if (!view.isComplete && !view.toleratesCrashes) findings.push(...takenAway(view.newPods));
  if (findings.length > 0) return findings;
  if (!view.isComplete) return [view.pending];
  const kept = view.oldPods.filter(isKept);
  return kept.length > 0 && snapshot.oldPods !== "report" ? [oldPodsKept(kept)] : [];
}

const NO_LOGS: ReadonlyMap<string, string> = new Map();

/** A Job counts the ends of its pods itself; what keeps them from starting is judged all the same. */
function withoutHaste(finding: Finding): Finding {
  return finding.key.includes("/crash/") ? { ...finding, budgetMs: undefined } : finding;
}

function terminatingWorkload({ kind, metadata }: Workload): Finding {
  const finalizers = metadata.finalizers ?? [];
  const kept = finalizers.length === 0 ? "" : `; it is kept by ${finalizers.join(", ")}`;
  return {
    code: "ObjectTerminating",
    key: "terminating",
    why: `the ${kind} is being deleted${kept}`,
    budgetMs: 30_000,
  };
}
