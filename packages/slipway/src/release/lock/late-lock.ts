/**
 * The lock of a cluster that was away when the release took its locks and is back now. Somebody may have released
 * there in the meantime, under a lock that we did not have: then this release has no business in it.
 */
import { SlipwayError } from "@slipway/base";
import { ensureNamespace } from "../apply/apply.ts";
import { readRecords } from "../history/records.ts";
import type { ReleaseContext, ReleaseRecord, Target } from "../model.ts";
import { type HeldLock, takeLock } from "./lock.ts";

export interface LateLocks {
  /** Aborts when a lock that was taken late has been lost. */
  readonly lost: AbortSignal;
  /** As `HeldLock.assure`, for all of them. */
  assure(): Promise<void>;
  /**
   * Takes it, and returns why this release may not go there all the same, where it then is not locked. Throws when the
   * cluster does not answer or is locked by somebody else.
   */
  take(target: Target, record: ReleaseRecord): Promise<SlipwayError | undefined>;
  release(): Promise<void>;
}

export function lateLocks(context: ReleaseContext): LateLocks {
  const lost = new AbortController();
  const locks: HeldLock[] = [];
  return {
    lost: lost.signal,
    async take({ name, client }, record) {
      await ensureNamespace(client, context.namespace, context.service);
      const lock = await takeLock(client, {
        ...context,
        message: `release ${record.number}, which goes on here`,
      });
      locks.push(lock);
      lock.lost.addEventListener("abort", () => lost.abort(lock.lost.reason), { once: true });
      const newer = (await readRecords(client, context, () => undefined)).find(
        // The same number is this very release when it is gone on with, and another one's after a split.
        (one) =>
          one.number > record.number || (one.number === record.number && one.startedAt !== record.startedAt),
      );
      if (newer === undefined) return undefined;
      locks.splice(locks.indexOf(lock), 1);
      await lock.release();
      return new SlipwayError({
        code: "CLUSTER_RELEASED_SINCE",
        where: name,
        message: `was given release ${newer.number} by ${newer.who} while it was away from here`,
        hint: "Deploy again when every cluster answers.",
      });
    },
    async assure() {
      await Promise.all(locks.map((lock) => lock.assure()));
    },
    async release() {
      await Promise.allSettled(locks.map((lock) => lock.release()));
    },
  };
}
