/**
 * A cluster that was away when the others were planned and is back while the release goes on. It gets what they had
 * before it is changed: is it the cluster that its name is bound to, a dry run of every object, and the preflight.
 * Nothing is written here, so what is refused leaves no trace in the cluster.
 */

import { mergeRecords, readRecords } from "./history/records.ts";
import { checkIdentities, identityWarnings, readIdentities } from "./identity.ts";
import type { ReleaseContext, ReleaseRecord, Target } from "./model.ts";
import { planTarget, type ReleasePlan } from "./plan/plan.ts";

/** Why the release may not go there, and what should be known. Throws when the cluster does not answer. */
export async function examineLate(
  context: ReleaseContext,
  target: Target,
  known: {
    readonly record: ReleaseRecord;
    readonly records: readonly ReleaseRecord[];
    readonly rebind: readonly string[] | undefined;
  },
): Promise<Pick<ReleasePlan, "refusals" | "warnings">> {
  const { record, records, rebind } = known;
  // The others have said who they are: the record has it.
  const others = context.targets.filter((one) => one !== target).map(({ name }) => [name, ""] as const);
  const identities = await readIdentities(context, [record, ...records], new Map(others));
  const strangers = checkIdentities(identities, rebind);
  // A cluster that may be a stranger's is not even asked to try anything.
  if (strangers.length > 0) return { refusals: strangers, warnings: [] };
  const own = await readRecords(target.client, context, () => undefined);
  const planned = await planTarget(context, target, record, mergeRecords([own, records]));
  return { refusals: planned.refusals, warnings: [...identityWarnings(identities), ...planned.warnings] };
}
