/** What is held, by whom and why, and the refusal that whoever deploys it meets. Pure. */
import { assertNever, formatAge, SlipwayError } from "@slipway/base";
import type { Hold, ReleaseRecord, RenderedRelease } from "../model.ts";
import { heldBy } from "./history.ts";

/** All that is held now, the oldest hold first. */
export function holdsIn(records: readonly ReleaseRecord[]): readonly Hold[] {
  return [...heldBy(records)].flatMap(([what, number]) => {
    const record = records.find((one) => one.number === number);
    return record === undefined ? [] : [named(holdOf(record, what), records)];
  });
}

/** Those among `leaving`, which are about to leave the history, and still in force: whoever comes after must take them on. */
export function holdsLost(
  records: readonly ReleaseRecord[],
  leaving: readonly Pick<ReleaseRecord, "number">[],
): readonly Hold[] {
  const numbers = new Set(leaving.map(({ number }) => number));
  return [...heldBy(records)].flatMap(([what, number]) => {
    const record = numbers.has(number) ? records.find((one) => one.number === number) : undefined;
    return record === undefined ? [] : [named(holdOf(record, what), records)];
  });
}

/** With its name, as long as a record tells it: the hold may live on without that. */
function named(hold: Hold, records: readonly ReleaseRecord[]): Hold {
  const name = nameOfHeld(hold.what, records);
  return name === undefined ? hold : { ...hold, name };
}

/** `image web` of a digest, `release 3 as a whole` of a content; undefined when no record has it. */
export function nameOfHeld(what: string, records: readonly ReleaseRecord[]): string | undefined {
  const images = records.flatMap((record) => record.images.filter(({ digest }) => digest === what));
  const names = [...new Set(images.map(({ name }) => name))].sort().join(", ");
  if (names !== "") return `${names.includes(",") ? "images" : "image"} ${names}`;
  const whole = records.findLast(({ content }) => content === what); // what a rollback restores is its own of before
  return whole === undefined ? undefined : `release ${whole.number} as a whole`;
}

/** The record, with holds of others that it keeps from now on. */
export function keepingHolds(record: ReleaseRecord, holds: readonly Hold[]): ReleaseRecord {
  return {
    ...record,
    held: [...new Set([...record.held, ...holds.map(({ what }) => what)])],
    heldBefore: [...(record.heldBefore ?? []), ...holds],
  };
}

function holdOf(record: ReleaseRecord, what: string): Hold {
  const earlier = record.heldBefore?.find((one) => one.what === what);
  if (earlier !== undefined) return earlier;
  const { number: by, kind, outcome, who } = record;
  const byHand = record.heldByHand?.find((one) => one.what.includes(what));
  if (byHand !== undefined) {
    return { what, by, at: byHand.at, reason: "by-hand", who: byHand.who, message: byHand.message };
  }
  const at = record.finishedAt ?? record.startedAt;
  if (kind === "rollback") return { what, by, at, reason: "rolled-back", who };
  // A release that went well holds nothing by itself, so somebody has added it.
  if (outcome === "healthy") return { what, by, at, reason: "by-hand", who: undefined, message: "" };
  return { what, by, at, reason: "failed" };
}

/** `image web (sha256:3f2a91b0c4d5)`, as `slipway release unhold` takes it. */
export function whatIsHeld({ what, name }: Pick<Hold, "what" | "name">): string {
  const short = what.slice(0, 19);
  return name === undefined ? short : `${name} (${short})`;
}

/** `was put on hold by mio 12m ago: "loses payments"` */
export function describeHold(hold: Hold, now: number): string {
  const ago = `${formatAge(now - hold.at)} ago`;
  switch (hold.reason) {
    case "failed":
      return `was found bad by release ${hold.by} ${ago} and taken back`;
    case "rolled-back":
      return `was left by release ${hold.by}, a rollback by ${hold.who} ${ago}`;
    case "by-hand": {
      const by = hold.who === undefined ? "" : ` by ${hold.who} ${ago}`;
      return `was put on hold${by}${hold.message === "" ? "" : `: "${hold.message}"`}`;
    }
    default:
      return assertNever(hold);
  }
}

/** Why this may not be deployed; empty when nothing of it is held. */
export function heldRefusals(
  rendered: Pick<RenderedRelease, "images" | "content">,
  records: readonly ReleaseRecord[],
  now: number,
): readonly SlipwayError[] {
  const holds = new Map(holdsIn(records).map((hold) => [hold.what, hold]));
  const refusals = rendered.images.flatMap(({ name, digest }) => {
    const hold = holds.get(digest);
    return hold === undefined ? [] : [refusal(`images/${name}`, `this image (${digest})`, hold, now)];
  });
  const hold = holds.get(rendered.content);
  // An image says it more closely.
  if (refusals.length > 0 || hold === undefined) return refusals;
  return [refusal("manifests", "exactly this release", hold, now)];
}

function refusal(where: string, what: string, hold: Hold, now: number): SlipwayError {
  return new SlipwayError({
    code: "RELEASE_HELD",
    where,
    message: `${what} ${describeHold(hold, now)}`,
    hint: `${whatToDo(hold)}, or pass --allow-held to deploy it nevertheless.`,
  });
}

function whatToDo(hold: Hold): string {
  if (hold.reason === "failed") return "Correct it and ship again";
  const lift = `slipway release unhold ${hold.what.slice(0, 19)}`;
  return hold.who === undefined ? `Lift it with ${lift}` : `Ask ${hold.who}, lift it with ${lift}`;
}
