/**
 * Holds: digests and contents that no deploy may bring back. A rollback sets them by itself; a person sets and lifts
 * them with `slipway release hold` and `unhold`. They are kept in the records of the releases that set them, so they
 * need no place of their own and any cluster can answer.
 *
 * Records of finished releases are changed without the lock: nobody else writes them, and of two people at once one
 * is refused by the compare-and-swap.
 */
import { SlipwayError } from "@slipway/base";
import type { HandHold, Hold, ReleaseContext, ReleaseRecord } from "../model.ts";
import { chooseTarget } from "../rollback.ts";
import { holdsIn } from "./held.ts";
import { heldBy, runningIn } from "./history.ts";
import { writeRecord } from "./records.ts";
import { readTrusted } from "./trusted.ts";

export interface HoldChange {
  /** Digests and contents. */
  readonly changed: readonly string[];
  /** Clusters that could not store it; the next release brings it to them. */
  readonly missing: readonly string[];
}

/**
 * Lifts holds. `what` is a release number: what it holds, and what it carries itself; or a digest or content, or the
 * beginning of one.
 */
export async function unhold(
  context: ReleaseContext,
  what: string | number,
  options: { readonly dryRun?: boolean } = {},
): Promise<HoldChange> {
  const { records, unreachable } = await readTrusted(context);
  const lifted = heldMatching(records, what);
  if (lifted.length === 0) throw notHeld(what, heldBy(records));
  const changes = records
    .filter((record) => record.held.some((held) => lifted.includes(held)))
    .map((record) => withoutHolds(record, lifted));
  return {
    changed: lifted,
    missing: options.dryRun === true ? [] : await store(context, changes, unreachable),
  };
}

function withoutHolds(record: ReleaseRecord, lifted: readonly string[]): ReleaseRecord {
  const stays = (held: string): boolean => !lifted.includes(held);
  const byHand = (record.heldByHand ?? [])
    .map((one) => ({ ...one, what: one.what.filter(stays) }))
    .filter(({ what }) => what.length > 0);
  const before = record.heldBefore?.filter(({ what }) => stays(what));
  return {
    ...record,
    held: record.held.filter(stays),
    heldByHand: byHand.length === 0 ? undefined : byHand,
    heldBefore: before === undefined || before.length === 0 ? undefined : before,
  };
}

/**
 * Holds a digest, or what a release carries, in the name of the context's person. Kept in the newest finished record.
 * `message` says why, to whoever wants to deploy it.
 */
export async function hold(
  context: ReleaseContext,
  what: string | number,
  options: { readonly dryRun?: boolean; readonly message?: string | undefined } = {},
): Promise<HoldChange> {
  const { records, unreachable } = await readTrusted(context);
  const clusters = context.targets.map(({ name }) => name);
  const added = carriedBy(records, what, clusters).filter((one) => !heldBy(records).has(one));
  const keeper = records.find((record) => record.outcome !== "in-progress");
  if (keeper === undefined) throw unknownRelease(what, records);
  const { who, clock } = context;
  const byHand: HandHold = { what: added, at: clock.now(), who, message: options.message ?? "" };
  const changed: ReleaseRecord = {
    ...keeper,
    held: [...keeper.held, ...added],
    heldByHand: [...(keeper.heldByHand ?? []), byHand],
  };
  const changes = added.length === 0 ? [] : [changed];
  return {
    changed: added,
    missing: options.dryRun === true ? [] : await store(context, changes, unreachable),
  };
}

/** What is held now, by whom and why. */
export async function holds(context: ReleaseContext): Promise<readonly Hold[]> {
  return holdsIn((await readTrusted(context)).records);
}

function heldMatching(records: readonly ReleaseRecord[], what: string | number): readonly string[] {
  const all = new Map(records.flatMap((record) => record.held.map((held) => [held, record.number] as const)));
  if (typeof what === "string") return [...all.keys()].filter((held) => isNamed(held, what));
  const record = records.find((one) => one.number === what);
  const own = record === undefined ? [] : partsOf(record);
  // Of one that has left the history, what it had held is still known.
  const held = [
    ...(record?.held ?? []),
    ...records.flatMap(({ heldBefore = [] }) =>
      heldBefore.flatMap((one) => (one.by === what ? one.what : [])),
    ),
  ];
  return [...all.keys()].filter((one) => own.includes(one) || held.includes(one));
}

function carriedBy(
  records: readonly ReleaseRecord[],
  what: string | number,
  clusters: readonly string[],
): readonly string[] {
  if (typeof what === "number") {
    const record = records.find((one) => one.number === what);
    if (record === undefined) throw unknownRelease(what, records);
    const spared = new Set(neighbours(records, record, clusters).flatMap(partsOf));
    return partsOf(record).filter((part) => !spared.has(part));
  }
  const known = [...new Set(records.flatMap(partsOf))].filter((one) => isNamed(one, what));
  if (known.length === 1) return known;
  // A digest that was never released may be held before somebody does.
  if (known.length === 0 && /^sha256:[0-9a-f]{64}$/.test(what)) return [what];
  throw new SlipwayError({
    code: "USAGE_DIGEST",
    where: `release hold ${what}`,
    message: known.length === 0 ? "no release here carries such a digest" : `could be ${known.join(", ")}`,
    hint: "Write a release number, or the digest: sha256:…, see slipway history NUMBER.",
    exitCode: 2,
  });
}

/** What runs, and what would be gone back to: the images they share with the release that is held stay free. */
function neighbours(
  records: readonly ReleaseRecord[],
  held: ReleaseRecord,
  clusters: readonly string[],
): readonly ReleaseRecord[] {
  const running = clusters.flatMap((name) => runningIn(records, name) ?? []);
  const back = ((): readonly ReleaseRecord[] => {
    try {
      return [chooseTarget(records, { clusters }).target];
    } catch {
      return []; // nowhere to go back to, so nothing to spare for it
    }
  })();
  return [...running, ...back].filter((record) => record.content !== held.content);
}

const partsOf = (record: ReleaseRecord): readonly string[] => [
  record.content,
  ...record.images.map((image) => image.digest),
];

/** `sha256:3f2a…`, or its beginning with or without the algorithm. */
function isNamed(digest: string, what: string): boolean {
  return what.length >= 6 && (digest.startsWith(what) || digest.startsWith(`sha256:${what}`));
}

async function store(
  context: ReleaseContext,
  records: readonly ReleaseRecord[],
  unreachable: ReadonlyMap<string, string>,
): Promise<readonly string[]> {
  const reached = context.targets.filter(({ name }) => !unreachable.has(name));
  const missing = [...unreachable.keys()];
  const problems: unknown[] = [];
  await Promise.all(
    reached.map(async ({ name, client }) => {
      try {
        for (const record of records) await writeRecord(client, { ...record, revision: record.revision + 1 });
      } catch (error) {
        missing.push(name);
        problems.push(error);
      }
    }),
  );
  if (missing.length === context.targets.length) throw problems[0];
  return missing;
}

function notHeld(what: string | number, held: ReadonlyMap<string, number>): SlipwayError {
  const known = [...held].map(([one, by]) => `${one.slice(0, 19)} (release ${by})`).join(", ");
  return new SlipwayError({
    code: "HOLD_NONE",
    where: `release unhold ${what}`,
    message: "nothing of that is held",
    hint: known === "" ? "Nothing is held at all." : `Held: ${known}.`,
    exitCode: 2,
  });
}

function unknownRelease(what: string | number, records: readonly ReleaseRecord[]): SlipwayError {
  const known = records.map((record) => record.number).join(", ");
  return new SlipwayError({
    code: "RELEASE_UNKNOWN",
    where: `release ${what}`,
    message: "is not in the history",
    hint: known === "" ? "Nothing was released here yet." : `Kept: ${known}.`,
    exitCode: 2,
  });
}
