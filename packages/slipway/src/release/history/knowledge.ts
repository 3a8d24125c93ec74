/** What the clusters know of the service, asked all at once, with those that do not answer. */
import { SlipwayError } from "@slipway/base";
import { cannotBeAsked, whyUnreachable } from "../apply/apply.ts";
import type { ReleaseContext, ReleaseRecord, Target } from "../model.ts";
import { mergeRecords, readRecords } from "./history.ts";

export interface Knowledge {
  readonly records: readonly ReleaseRecord[];
  readonly unreachable: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
  /** Numbers of releases whose records exist and can be read in no cluster. */
  readonly unreadable: readonly number[];
}

/** A cluster that shows no sign of life for this long is left out when it is urgent. */
const SIGN_OF_LIFE_MS = 3_000;

/** Reads the history of every cluster at once. `isUrgent`: one that hangs is not waited for. */
export async function readKnowledge(
  context: ReleaseContext,
  options: { readonly isUrgent?: boolean } = {},
): Promise<Knowledge> {
  const unreachable = new Map<string, string>();
  const warnings: string[] = [];
  const damaged = new Set<number>();
  const copies = await Promise.all(
    context.targets.map(async (target) => {
      try {
        if (options.isUrgent === true) await signOfLife(context, target);
        return await readRecords(target.client, context, (damage, number) => {
          damaged.add(number);
          warnings.push(`${damage.where}: ${damage.message}`);
        });
      } catch (error) {
        if (!cannotBeAsked(error)) throw error;
        unreachable.set(target.name, whyUnreachable(error));
        return [];
      }
    }),
  );
  const records = mergeRecords(copies);
  for (const { number } of records) damaged.delete(number);
  return { records, unreachable, warnings, unreadable: [...damaged] };
}

/** A big history may take long; a cluster that lives says its version at once. */
async function signOfLife(context: ReleaseContext, target: Target): Promise<void> {
  const timer = new AbortController();
  const limit = context.clock.sleep(SIGN_OF_LIFE_MS, timer.signal).then(() => {
    throw new SlipwayError({
      code: "CLUSTER_UNREACHABLE",
      where: `clusters/${target.name}`,
      message: `no sign of life for ${SIGN_OF_LIFE_MS / 1000} s`,
      exitCode: 3,
    });
  });
  limit.catch(() => undefined);
  await Promise.race([target.client.version(), limit]).finally(() => timer.abort());
}

export function noClusterAnswers(unreachable: ReadonlyMap<string, string>): SlipwayError {
  const [name, reason] = [...unreachable][0] ?? ["", ""];
  return new SlipwayError({
    code: "CLUSTER_UNREACHABLE",
    where: `clusters/${name}`,
    message: `no cluster answers: ${reason}`,
    hint: "Are they running, and is the way to them open? For local clusters: slipway local status",
    exitCode: 3,
  });
}
