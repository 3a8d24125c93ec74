/** Holds a release by hand: what it carries is not deployed again until the hold is lifted. What runs is not changed. */
import { SlipwayError } from "@slipway/base";
import { heldBy, writeRecord } from "./history.ts";
import type { ReleaseContext } from "./model.ts";
import { noClusterAnswers, readKnowledge } from "./plan.ts";
import { chooseTarget, heldByLeaving } from "./rollback.ts";

/** `changed`: the digests and contents that were not held before. `missing`: clusters that could not store it. */
export async function holdRelease(
  context: ReleaseContext,
  number: number,
): Promise<{ readonly changed: readonly string[]; readonly missing: readonly string[] }> {
  const { records, unreachable } = await readKnowledge(context);
  if (unreachable.size === context.targets.length) throw noClusterAnswers(unreachable);
  const record = records.find((one) => one.number === number);
  if (record === undefined || record.outcome === "in-progress") {
    throw new SlipwayError({
      code: "RELEASE_UNKNOWN",
      where: `release ${number}`,
      message: record === undefined ? "is not in the history" : "is still going on",
      hint: `Kept: ${records.map((one) => one.number).join(", ")}.`,
      exitCode: 2,
    });
  }
  const known = heldBy(records);
  const changed = partsOf().filter((part) => !known.has(part));
  if (changed.length === 0) return { changed, missing: [] };
  const held = { ...record, held: [...record.held, ...changed], revision: record.revision + 1 };
  const results = await Promise.allSettled(context.targets.map(({ client }) => writeRecord(client, held)));
  const missing = context.targets
    .filter((_, index) => results[index]?.status === "rejected")
    .map(({ name }) => name);
  const [first] = results;
  if (missing.length === context.targets.length && first?.status === "rejected") throw first.reason;
  return { changed, missing };

  /** Images that the release to go back to shares stay free, or that way would be closed too. */
  function partsOf(): readonly string[] {
    const one = record as NonNullable<typeof record>;
    try {
      const { target } = chooseTarget(
        records,
        context.targets.map(({ name }) => name),
        undefined,
      );
      return heldByLeaving(one, target);
    } catch {
      return [one.content, ...one.images.map((image) => image.digest)];
    }
  }
}
