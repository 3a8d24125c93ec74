/**
 * The end of a release whose lock is still held: what it no longer has is pruned, the history is kept short and whole,
 * and the record becomes a result with an exit code.
 */
import { prune } from "./apply/prune.ts";
import { holdsLost, keepingHolds } from "./history/held.ts";
import { expired } from "./history/history.ts";
import { deleteRecord, writeRecord } from "./history/records.ts";
import { repairHistory } from "./history/repair.ts";
import type { Locked } from "./lock/under-lock.ts";
import type { ClusterResult, Hold, ReleaseContext, ReleaseRecord, ReleaseResult, Target } from "./model.ts";
import { pruneRefs } from "./plan/prune-plan.ts";

/** A cluster that has fallen silent gets what it missed with the next release. */
const REPAIR_PATIENCE_MS = 10_000;

/** After a release that is healthy everywhere: prune what it no longer has, and drop what leaves the history. */
export async function tidy(context: ReleaseContext, locked: Locked, final: ReleaseRecord): Promise<void> {
  // A release that was gone on with is among them already, as it was cut off.
  const before = locked.records.filter(({ number }) => number !== final.number);
  const all = [final, ...before];
  if (final.outcome === "healthy") {
    const pruneIn = async (target: Target): Promise<void> => {
      if (final.clusters[target.name] === undefined) return;
      const refs = pruneRefs(context, all, target.name);
      const { deleted, failed } = await prune(target.client, refs, final.service, context.namespace);
      if (deleted.length > 0) locked.emit({ type: "pruned", cluster: target.name, objects: deleted });
      for (const message of failed) {
        locked.emit({ type: "warning", cluster: target.name, message: `not pruned: ${message}` });
      }
    };
    // All at once: one that has fallen silent holds up none of the others.
    await Promise.all(context.targets.map(pruneIn));
  }
  const names = context.targets.map((target) => target.name);
  const reached = context.targets.filter(({ name }) => !locked.skipped.has(name));
  const leaving = expired(all, context.release.keep, names);
  const lost = holdsLost(all, leaving);
  const areKept = lost.length === 0 || (await keepHolds(reached, final, lost));
  for (const record of areKept ? leaving : []) {
    // A record that stays too long does no harm; the next release tries again.
    await Promise.allSettled(reached.map(({ client }) => deleteRecord(client, context, record.number)));
  }
  const timer = new AbortController();
  const limit = context.clock.sleep(REPAIR_PATIENCE_MS, timer.signal).then(
    () => [],
    () => [],
  );
  const repaired = await Promise.race([repairHistory(reached, context), limit]);
  timer.abort();
  for (const message of repaired) locked.emit({ type: "warning", message });
}

/** False when no cluster took them; what one has is brought to the others with the repair. */
async function keepHolds(
  targets: readonly Target[],
  final: ReleaseRecord,
  holds: readonly Hold[],
): Promise<boolean> {
  const keeping = { ...keepingHolds(final, holds), revision: final.revision + 1 };
  const written = await Promise.allSettled(targets.map(({ client }) => writeRecord(client, keeping)));
  return written.some(({ status }) => status === "fulfilled");
}

export function resultOf(
  context: ReleaseContext,
  record: ReleaseRecord,
  skipped: ReadonlyMap<string, string>,
): ReleaseResult {
  const clusters: ClusterResult[] = Object.entries(record.clusters).map(([name, cluster]) => ({
    name,
    verdict: cluster.verdict,
    cause: cluster.cause,
    reason: cluster.reason ?? skipped.get(name),
    restored: cluster.restored,
    durationMs:
      cluster.startedAt === undefined || cluster.finishedAt === undefined
        ? undefined
        : cluster.finishedAt - cluster.startedAt,
  }));
  return {
    record,
    clusters,
    evidence: record.evidence,
    durationMs: (record.finishedAt ?? context.clock.now()) - record.startedAt,
    exitCode: exitCodeOf(record),
  };
}

function exitCodeOf(record: Pick<ReleaseRecord, "outcome" | "clusters">): number {
  switch (record.outcome) {
    case "healthy":
      return 0;
    case "interrupted":
      return 130;
    case "unknown":
      return Object.values(record.clusters).every(
        ({ verdict }) => verdict === "unknown" || verdict === "not-started",
      )
        ? 4
        : 1;
    default:
      return 1;
  }
}
