/** `slipway lock` and `unlock` over all clusters of the environment. Each has its own result; one never hides another. */
import { formatDuration, SlipwayError } from "@slipway/base";
import { cannotBeAsked, ensureNamespace, whyUnreachable } from "../apply/apply.ts";
import { noClusterAnswers, PATIENT_MS, readKnowledge } from "../history/knowledge.ts";
import { checkIdentities, readIdentities } from "../identity.ts";
import type { ReleaseContext } from "../model.ts";
import { refusalError } from "../plan/refusals.ts";
import { freezeLock, refuseForeign, unlockLease } from "./freeze-lease.ts";
import { describeFreeze, type Freeze, type LockState, readLock } from "./lease.ts";

export interface Frozen {
  readonly freeze: Freeze;
  readonly frozen: readonly string[];
  readonly failed: readonly { readonly cluster: string; readonly reason: string }[];
}

/**
 * Throws when not a single cluster could be frozen, or another person has frozen all of them. One is enough to stop a deploy
 * that reaches it.
 */
export async function freeze(
  context: ReleaseContext,
  options: {
    readonly message: string;
    readonly lastsMs?: number | undefined;
    readonly dryRun?: boolean | undefined;
  },
): Promise<Frozen> {
  const unreachable = await refuseStrangers(context);
  const since = context.clock.now();
  const { lastsMs, message } = options;
  const until = lastsMs === undefined ? undefined : since + lastsMs;
  const made: Freeze = { who: context.who, message, since, until };
  const results = await Promise.all(
    context.targets.map(async ({ name, client }) => {
      const away = unreachable.get(name);
      if (away !== undefined) return { cluster: name, reason: away };
      try {
        if (options.dryRun === true) {
          const { freeze } = await readLock(client, context);
          refuseForeign(name, context, { freeze, who: made.who });
        } else {
          await ensureNamespace(client, context.namespace, context.service);
          await freezeLock(client, context, made);
        }
        return { cluster: name, reason: undefined };
      } catch (error) {
        return { cluster: name, reason: reasonOf(error), error };
      }
    }),
  );
  const failed = results.flatMap(({ cluster, reason }) =>
    reason === undefined ? [] : [{ cluster, reason }],
  );
  const foreign = results.find(({ error }) => error instanceof SlipwayError && error.code === "LOCK_FROZEN");
  if (failed.length === results.length && foreign !== undefined) throw foreign.error;
  if (failed.length === results.length)
    throw noClusterAnswers(new Map(failed.map(({ cluster, reason }) => [cluster, reason])));
  const frozen = results.filter(({ reason }) => reason === undefined).map(({ cluster }) => cluster);
  return { freeze: made, frozen, failed };
}

export interface Unlocked {
  readonly cluster: string;
  /** What was, or with `dryRun` would be, unlocked; undefined when there was nothing. */
  readonly did: string | undefined;
  /** Why something stays, or the cluster could not be asked. */
  readonly failed: string | undefined;
}

export async function unlock(
  context: ReleaseContext,
  options: { readonly force?: boolean | undefined; readonly dryRun?: boolean | undefined } = {},
): Promise<readonly Unlocked[]> {
  const unreachable = await refuseStrangers(context);
  const { who } = context;
  const may = (state: LockState): { lift: boolean; free: boolean } => ({
    lift: options.force === true || state.freeze === undefined || state.freeze.who === who,
    free: options.force === true || state.isStale,
  });
  return Promise.all(
    context.targets.map(async ({ name, client }): Promise<Unlocked> => {
      const away = unreachable.get(name);
      if (away !== undefined) return { cluster: name, did: undefined, failed: away };
      try {
        const before = await readLock(client, context);
        if (options.dryRun !== true) await unlockLease(client, context, may);
        return { cluster: name, ...resultOf(context, before, may(before)) };
      } catch (error) {
        return { cluster: name, did: undefined, failed: reasonOf(error) };
      }
    }),
  );
}

/**
 * A name that leads to another cluster than it is bound to must not lock somebody else's service. Returns the clusters
 * that cannot be asked, and why: to ask them again would only take as long again.
 */
async function refuseStrangers(context: ReleaseContext): Promise<ReadonlyMap<string, string>> {
  const { records, unreachable } = await readKnowledge(context, { patienceMs: PATIENT_MS });
  const stranger = refusalError(checkIdentities(await readIdentities(context, records, unreachable)));
  if (stranger !== undefined) throw stranger;
  return unreachable;
}

function resultOf(
  context: ReleaseContext,
  { freeze: frozen, holder }: LockState,
  may: { readonly lift: boolean; readonly free: boolean },
): Omit<Unlocked, "cluster"> {
  const now = context.clock.now();
  const did: string[] = [];
  const stays: string[] = [];
  if (frozen !== undefined) (may.lift ? did : stays).push(`the freeze ${describeFreeze(frozen, now)}`);
  if (holder !== undefined) {
    const since = formatDuration(Math.max(0, now - holder.since));
    (may.free ? did : stays).push(
      `the lock of ${holder.who}@${holder.host} (process ${holder.pid}), held for ${since}`,
    );
  }
  return {
    did: did.length === 0 ? undefined : `unlocked ${did.join(" and ")}`,
    failed: stays.length === 0 ? undefined : `${stays.join(" and ")} stays; --force takes it away`,
  };
}

function reasonOf(error: unknown): string {
  if (cannotBeAsked(error)) return whyUnreachable(error);
  return error instanceof Error ? error.message : String(error);
}
