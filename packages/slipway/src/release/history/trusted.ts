/** The history for whoever is about to write beside a release: only when each cluster is the one its name is bound to. */
import { checkIdentities, readIdentities } from "../identity.ts";
import type { ReleaseContext } from "../model.ts";
import { refusalError } from "../plan/refusals.ts";
import { type Knowledge, noClusterAnswers, PATIENT_MS, readKnowledge } from "./knowledge.ts";

/**
 * All that the reachable clusters remember, newest first, with the values of Secrets; and the clusters that cannot be asked, and why. Throws when none answers, and when
 * a name leads to another cluster than it is bound to: what is written there would be somebody else's.
 */
export async function readTrusted(
  context: ReleaseContext,
): Promise<Pick<Knowledge, "records" | "unreachable">> {
  const { records, unreachable } = await readKnowledge(context, { patienceMs: PATIENT_MS });
  if (unreachable.size === context.targets.length) throw noClusterAnswers(unreachable);
  const stranger = refusalError(checkIdentities(await readIdentities(context, records, unreachable)));
  if (stranger !== undefined) throw stranger;
  return { records, unreachable };
}
