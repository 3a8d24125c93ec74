/**
 * Which release to go back to. The newest that was healthy in every cluster concerned, whose content differs from
 * what is live there, and that nothing holds; not simply the one before, which may be the bad one.
 *
 * A rollback that was cut off, or that a cluster missed, is finished first. One that was finished is not rolled back
 * by itself: whoever wants to go on from there, further back or forward again, names the release. Nor is a release that
 * went back by itself when it failed: what runs then is the good one before it, and leaving that has to be meant.
 */
import { SlipwayError } from "@slipway/base";
import { cleanCommit, isCommit } from "./commit.ts";
import { heldBy, isHealthyIn, isHeld, runningIn } from "./history/history.ts";
import type { ReleaseRecord } from "./model.ts";

export interface RollbackWish {
  /** The clusters that go back. */
  readonly clusters: readonly string[];
  /** A release number. */
  readonly to?: number | undefined;
  /** The beginning of a commit: the newest release of it that was healthy. */
  readonly toCommit?: string | undefined;
  /** Numbers of releases whose records no cluster can read: what those left behind is not known. */
  readonly unreadable?: readonly number[] | undefined;
}

export interface RollbackTarget {
  readonly target: ReleaseRecord;
  /** The newest release that runs in any of the clusters: what is left. */
  readonly leaves: ReleaseRecord;
}

/** Throws ROLLBACK_NO_TARGET, saying why each candidate was passed over, or ROLLBACK_OF_ROLLBACK. */
export function chooseTarget(records: readonly ReleaseRecord[], wish: RollbackWish): RollbackTarget {
  const running = runningNow(records, wish.clusters);
  const [newest] = running;
  if (newest === undefined) throw noTarget("nothing was released here yet", "Deploy first.");
  const found = (target: ReleaseRecord): RollbackTarget => ({
    target,
    leaves: running.find((record) => record.content !== target.content) ?? newest,
  });
  if (wish.to !== undefined) return found(byNumber(records, wish, wish.to));
  if (wish.toCommit !== undefined) return found(byCommit(records, wish, wish.toCommit));
  if (newest.kind === "rollback") {
    if (!isFinished(records, wish, newest)) return found(ofNumber(records, newest.restores) ?? newest);
    if (isLive(records, wish, newest)) throw ofRollback(records, wish, newest);
  }
  const undone = undoneRelease(records, wish);
  if (undone !== undefined) throw ofUndone(records, wish, undone);
  const { target, passedOver } = newestGood(records, wish);
  if (target !== undefined) return found(target);
  throw noTarget(
    `there is no release to go back to: ${passedOver.join("; ")}`,
    "Deploy a corrected version, or name a release: slipway rollback NUMBER (see slipway history).",
  );
}

/** The releases whose objects are in some of the clusters, newest first, be they healthy, failed or cut off. */
function runningNow(
  records: readonly ReleaseRecord[],
  clusters: readonly string[],
): readonly ReleaseRecord[] {
  return clusters
    .map((cluster) => runningIn(records, cluster))
    .filter((record) => record !== undefined)
    .sort((a, b) => b.number - a.number);
}

/** Did the rollback reach, and judge, every one of its clusters that we look at? */
function isFinished(records: readonly ReleaseRecord[], wish: RollbackWish, rollback: ReleaseRecord): boolean {
  return wish.clusters.every((name) => {
    const cluster = rollback.clusters[name];
    if (cluster === undefined) return true;
    const isJudged = cluster.verdict === "healthy" || cluster.verdict === "failed";
    return isJudged && runningIn(records, name)?.content === rollback.content;
  });
}

/**
 * Does every cluster that runs anything run this content, as far as anybody knows? Where only some do, going (back) to it
 * is still something to do; and a later release that cannot be read may have put anything there. A cluster that runs
 * nothing, as one that was just added, has nothing to be taken back from.
 */
function isLive(records: readonly ReleaseRecord[], wish: RollbackWish, record: ReleaseRecord): boolean {
  return wish.clusters.every((cluster) => {
    const running = runningIn(records, cluster);
    const isCertain = !(wish.unreadable ?? []).some((number) => number > (running?.number ?? 0));
    return isCertain && (running === undefined || running.content === record.content);
  });
}

/** Does it run in every one of them? A person who names a release wants it where nothing runs, too. */
function isLiveEverywhere(
  records: readonly ReleaseRecord[],
  wish: RollbackWish,
  record: ReleaseRecord,
): boolean {
  return isLive(records, wish, record) && runningNow(records, wish.clusters).length === wish.clusters.length;
}

/**
 * The newest deploy, when it failed and, as far as anybody knows, none of the clusters runs it, and what they run instead is
 * good. A rollback that failed may be repeated, and what is broken may be left, without naming a number.
 */
function undoneRelease(records: readonly ReleaseRecord[], wish: RollbackWish): ReleaseRecord | undefined {
  const newest = records.find((record) => wish.clusters.some((name) => record.clusters[name] !== undefined));
  if (newest?.kind !== "deploy" || (newest.outcome !== "rolled-back" && newest.outcome !== "failed"))
    return undefined;
  const held = heldBy(records);
  const isGood = runningNow(records, wish.clusters).every(
    (record) => (isHealthyIn(record, wish.clusters) || record.kind === "rollback") && !isHeld(record, held),
  );
  const isCertain = (wish.unreadable ?? []).every((number) => number < newest.number);
  const isLeft = wish.clusters.some((name) => runningIn(records, name)?.number === newest.number);
  return isCertain && !isLeft && isGood ? newest : undefined;
}

function newestGood(
  records: readonly ReleaseRecord[],
  wish: RollbackWish,
  below = Number.POSITIVE_INFINITY,
): { readonly target: ReleaseRecord | undefined; readonly passedOver: readonly string[] } {
  const held = heldBy(records);
  const passedOver: string[] = [];
  for (const record of records.filter(({ number }) => number < below)) {
    const reason = reasonAgainst(record, { records, wish, held });
    if (reason === undefined) return { target: record, passedOver };
    passedOver.push(`release ${record.number} ${reason}`);
  }
  return { target: undefined, passedOver };
}

function reasonAgainst(
  record: ReleaseRecord,
  known: {
    readonly records: readonly ReleaseRecord[];
    readonly wish: RollbackWish;
    readonly held: ReadonlyMap<string, number>;
  },
): string | undefined {
  const { records, wish, held } = known;
  if (isLive(records, wish, record)) return "is what runs now";
  if (!isHealthyIn(record, wish.clusters)) {
    return record.outcome === "healthy"
      ? `was only in ${Object.keys(record.clusters).join(", ")}`
      : `was not healthy everywhere (${record.outcome})`;
  }
  const bad = [record.content, ...record.images.map((image) => image.digest)].find((one) => held.has(one));
  return bad === undefined ? undefined : `is held since release ${held.get(bad)}`;
}

const ofNumber = (records: readonly ReleaseRecord[], number: number | undefined): ReleaseRecord | undefined =>
  records.find((record) => record.number === number);

/** A person who names a release means it: held or not, but it must have been healthy somewhere. */
function byNumber(records: readonly ReleaseRecord[], wish: RollbackWish, to: number): ReleaseRecord {
  const record = ofNumber(records, to);
  if (record === undefined) {
    if (wish.unreadable?.includes(to)) {
      throw noTarget(`the record of release ${to} is damaged in every cluster`, kept(records));
    }
    throw noTarget(`release ${to} is not in the history`, kept(records));
  }
  if (!wasHealthySomewhere(record)) {
    throw noTarget(`release ${to} was healthy in no cluster (${record.outcome})`, "Choose another one.");
  }
  if (isLiveEverywhere(records, wish, record)) {
    throw noTarget(`release ${to} is what runs now`, "There is nothing to do.");
  }
  return record;
}

/** Of what was shipped from a commit and from a work tree with changes on top of it, the commit's own is meant. */
function byCommit(records: readonly ReleaseRecord[], wish: RollbackWish, prefix: string): ReleaseRecord {
  const named = records.filter((record) => isCommit(record.version.commit, prefix));
  const clean = named.filter((record) => cleanCommit(record.version.commit) === record.version.commit);
  const matching = clean.length > 0 ? clean : named;
  const commits = [...new Set(named.map((record) => cleanCommit(record.version.commit)))];
  if (commits.length === 0) {
    const known = [...new Set(records.map((record) => record.version.commit.slice(0, 12)))].join(", ");
    throw noTarget(`no release of a commit ${prefix}`, `Kept: ${known}.`);
  }
  if (commits.length > 1) {
    const which = commits.map((commit) => commit.slice(0, 12)).join(", ");
    throw noTarget(`${prefix} is the beginning of several commits: ${which}`, "Write more of it.");
  }
  const healthy = matching.find((record) => isHealthyIn(record, wish.clusters));
  const chosen = healthy ?? matching.find(wasHealthySomewhere) ?? (matching[0] as ReleaseRecord);
  return byNumber(records, wish, chosen.number);
}

function wasHealthySomewhere(record: ReleaseRecord): boolean {
  return Object.values(record.clusters).some((cluster) => cluster.verdict === "healthy");
}

const kept = (records: readonly ReleaseRecord[]): string =>
  `Kept: ${records.map((one) => one.number).join(", ")}.`;

function noTarget(message: string, hint: string): SlipwayError {
  return new SlipwayError({ code: "ROLLBACK_NO_TARGET", where: "rollback", message, hint, exitCode: 2 });
}

/** Going on by itself would ping-pong between a bad release and a worse one; a person can tell which way. */
function ofRollback(
  records: readonly ReleaseRecord[],
  wish: RollbackWish,
  live: ReleaseRecord,
): SlipwayError {
  const older = newestGood(records, { ...wish, unreadable: [] }, live.restores).target;
  const back = older === undefined ? "" : `Further back: slipway rollback ${older.number}. `;
  return new SlipwayError({
    code: "ROLLBACK_OF_ROLLBACK",
    where: "rollback",
    message: `what runs now is a rollback already (release ${live.number}, of ${live.leaves} to ${live.restores}), and a rollback is not rolled back by itself`,
    hint: `${back}Forward to what was left: slipway rollback ${live.leaves}. Best: ship a corrected version.`,
    exitCode: 2,
  });
}

function ofUndone(
  records: readonly ReleaseRecord[],
  wish: RollbackWish,
  undone: ReleaseRecord,
): SlipwayError {
  const names = new Map<number, string[]>();
  for (const cluster of wish.clusters) {
    const number = runningIn(records, cluster)?.number;
    if (number !== undefined) names.set(number, [...(names.get(number) ?? []), cluster]);
  }
  const now = [...names].map(
    ([number, clusters]) =>
      `${clusters.join(", ")} ${clusters.length === 1 ? "runs" : "run"} release ${number}`,
  );
  const older = newestGood(records, wish).target;
  const live = [...names.keys()].join(" and ");
  const isUntouched = undone.outcome === "failed";
  return new SlipwayError({
    code: "ROLLBACK_OF_ROLLBACK",
    where: "rollback",
    message: `release ${undone.number} failed ${isUntouched ? "before it changed anything" : "and was taken back already"}: ${now.join(", ")}`,
    hint:
      older === undefined
        ? "There is nothing further back. Ship a corrected version."
        : `To leave release ${live} as well: slipway rollback ${older.number}. Otherwise ship a corrected version.`,
    exitCode: 2,
  });
}

/** What is held when a person leaves a release: its content, and its images that the target does not share. */
export function heldByLeaving(leaves: ReleaseRecord, target: ReleaseRecord): readonly string[] {
  if (leaves.content === target.content) return [];
  const shared = new Set(target.images.map((image) => image.digest));
  const digests = leaves.images.map((image) => image.digest).filter((digest) => !shared.has(digest));
  return [leaves.content, ...digests];
}
