/** What was applied and is not there: not yet, or as it was before, or not any more. */
import { type CauseCode, makeCause } from "./causes.ts";
import type { JudgedWorkload } from "./judge-workload.ts";
import { type Memory, since } from "./judgement.ts";
import { NO_PROGRESS } from "./progress.ts";
import type { RolloutSnapshot } from "./snapshot.ts";
import { type ExpectedWorkload, placeOf } from "./workload.ts";

/** The cluster may be busy, and a view of it late. */
const NOT_SEEN_BUDGET_MS = 60_000;
/** Whoever replaces an object deletes it first. */
const DELETED_BUDGET_MS = 10_000;

/** To be called for each workload that is there. */
export function rememberThere(expected: ExpectedWorkload, memory: Memory): void {
  since(memory, thereKey(expected));
}

/** `isOlder`: something of its name is there, which is not what was applied. */
export function missing(
  snapshot: RolloutSnapshot,
  expected: ExpectedWorkload,
  memory: Memory,
  isOlder: boolean,
): JudgedWorkload {
  const wasThere = memory.seen.has(thereKey(expected));
  if (wasThere) rememberThere(expected, memory);
  return wasThere && !isOlder
    ? waitFor(snapshot, expected, memory, {
        code: "WorkloadDeleted",
        why: "was applied and is gone: somebody has deleted it since",
        budgetMs: DELETED_BUDGET_MS,
      })
    : waitFor(snapshot, expected, memory, {
        code: "RolloutNotObserved",
        why: `the applied ${expected.kind} has not been seen in the cluster`,
        budgetMs: NOT_SEEN_BUDGET_MS,
      });
}

function waitFor(
  { cluster, kubectl }: RolloutSnapshot,
  expected: ExpectedWorkload,
  memory: Memory,
  found: { readonly code: CauseCode; readonly why: string; readonly budgetMs: number },
): JudgedWorkload {
  const { code, why, budgetMs } = found;
  const cause = makeCause(code, { cluster, kubectl, object: placeOf(expected), why });
  const budgetEndsAt = since(memory, `${keyOf(expected)}/${code}`) + budgetMs;
  return {
    judgement:
      memory.now >= budgetEndsAt
        ? { verdict: "doomed", cause, pod: undefined }
        : { verdict: "waiting", causes: [cause], budgetEndsAt },
    progress: NO_PROGRESS,
  };
}

const keyOf = ({ kind, namespace, name }: ExpectedWorkload): string => `${kind}/${namespace}/${name}`;
const thereKey = (expected: ExpectedWorkload): string => `${keyOf(expected)}/there`;
