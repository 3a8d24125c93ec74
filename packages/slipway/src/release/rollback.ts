/**
 * Which release to go back to. The newest that was healthy in every cluster, whose content differs from what is
 * live, and that nothing holds; not simply the one before, which may be the bad one.
 */
import { SlipwayError } from "@slipway/base";
import { heldBy, isHealthyEverywhere, runningIn } from "./history.ts";
import type { ReleaseRecord } from "./model.ts";

export interface RollbackTarget {
  readonly target: ReleaseRecord;
  /** The newest release that runs in any cluster: what is left. */
  readonly leaves: ReleaseRecord;
}

/** The releases whose objects are in some cluster, newest first, be they healthy, failed or cut off. */
function runningNow(
  records: readonly ReleaseRecord[],
  clusters: readonly string[],
): readonly ReleaseRecord[] {
  return clusters
    .map((cluster) => runningIn(records, cluster))
    .filter((record) => record !== undefined)
    .sort((a, b) => b.number - a.number);
}

/**
 * What the rollback leaves: the newest running release that is not already the target's content. In a rollback that
 * goes on after it was cut off, that is what the clusters that were not reached still run.
 */
function leftBehind(
  records: readonly ReleaseRecord[],
  clusters: readonly string[],
  target: ReleaseRecord,
): ReleaseRecord {
  const running = runningNow(records, clusters);
  return running.find((record) => record.content !== target.content) ?? running[0] ?? target;
}

/** Does every cluster run this content? Where only some do, going (back) to it is still something to do. */
function isLive(
  records: readonly ReleaseRecord[],
  clusters: readonly string[],
  record: ReleaseRecord,
): boolean {
  return clusters.every((cluster) => runningIn(records, cluster)?.content === record.content);
}

/** Throws ROLLBACK_NO_TARGET, saying why each candidate was passed over. */
export function chooseTarget(
  records: readonly ReleaseRecord[],
  clusters: readonly string[],
  to: number | undefined,
): RollbackTarget {
  if (runningNow(records, clusters).length === 0) {
    throw noTarget("nothing was released here yet", "Deploy first.");
  }
  const found = (target: ReleaseRecord): RollbackTarget => ({
    target,
    leaves: leftBehind(records, clusters, target),
  });
  if (to !== undefined) return found(explicitTarget(records, clusters, to));
  const held = heldBy(records);
  const passedOver: string[] = [];
  for (const record of records) {
    const reason = reasonAgainst(record, isLive(records, clusters, record), held);
    if (reason === undefined) return found(record);
    passedOver.push(`release ${record.number} ${reason}`);
  }
  throw noTarget(
    `there is no release to go back to: ${passedOver.join("; ")}`,
    "Deploy a corrected version, or name a release: slipway rollback NUMBER (see slipway history).",
  );
}

function reasonAgainst(
  record: ReleaseRecord,
  live: boolean,
  held: ReadonlyMap<string, number>,
): string | undefined {
  if (live) return "is what runs now";
  if (!isHealthyEverywhere(record)) return `was not healthy everywhere (${record.outcome})`;
  const bad = [record.content, ...record.images.map((image) => image.digest)].find((one) => held.has(one));
  return bad === undefined ? undefined : `is held since release ${held.get(bad)}`;
}

/** A person who names a release means it: held or not, but it must have been healthy somewhere. */
function explicitTarget(
  records: readonly ReleaseRecord[],
  clusters: readonly string[],
  to: number,
): ReleaseRecord {
  const record = records.find((one) => one.number === to);
  if (record === undefined) {
    const known = records.map((one) => one.number).join(", ");
    throw noTarget(`release ${to} is not in the history`, `Kept: ${known}.`);
  }
  if (!Object.values(record.clusters).some((cluster) => cluster.verdict === "healthy")) {
    throw noTarget(`release ${to} was healthy in no cluster (${record.outcome})`, "Choose another one.");
  }
  if (isLive(records, clusters, record)) {
    throw noTarget(`release ${to} is what runs now`, "There is nothing to do.");
  }
  return record;
}

function noTarget(message: string, hint: string): SlipwayError {
  return new SlipwayError({ code: "ROLLBACK_NO_TARGET", where: "rollback", message, hint, exitCode: 2 });
}

/** What is held when a person leaves a release: its content, and its images that the target does not share. */
export function heldByLeaving(leaves: ReleaseRecord, target: ReleaseRecord): readonly string[] {
  if (leaves.content === target.content) return [];
  const shared = new Set(target.images.map((image) => image.digest));
  const digests = leaves.images.map((image) => image.digest).filter((digest) => !shared.has(digest));
  return [leaves.content, ...digests];
}
