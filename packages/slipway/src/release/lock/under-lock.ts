/**
 * Work under the lock of all clusters together: taken one after the other in the order of their names, so that two
 * processes cannot cross, and given back at the end whatever happened. What a dead process left open is closed first.
 */
import { SlipwayError } from "@slipway/base";
import { cannotBeAsked, ensureNamespace, isUnreachable, whyUnreachable } from "../apply/apply.ts";
import type { ReleaseNews } from "../events.ts";
import { describeInterruption } from "../history/interruption.ts";
import { noClusterAnswers } from "../history/knowledge.ts";
import { mergeRecords, readRecords, writeRecord } from "../history/records.ts";
import type { ReleaseContext, ReleaseRecord, StolenLock, Target } from "../model.ts";
import { unreachableRefusal } from "../plan/refusals.ts";
import { describeFreeze, type LockHolder } from "./lease.ts";
import { type HeldLock, sightLock, takeLock } from "./lock.ts";
import { createSightings, type Sightings } from "./sightings.ts";

export type Emit = (news: ReleaseNews) => void;

export interface Locked {
  readonly records: readonly ReleaseRecord[];
  /** Numbers of releases whose records exist and can be read in no cluster. */
  readonly unreadable: readonly number[];
  /** The number of the newest release, readable or not. */
  readonly highest: number;
  readonly fence: number;
  /** Aborts when a lock is lost or the person interrupts. */
  readonly signal: AbortSignal;
  /** As `HeldLock.assure`, for all of them. */
  assure(): Promise<void>;
  /** Clusters that do not answer, and why. */
  readonly skipped: ReadonlyMap<string, string>;
  /** Clusters of which the lock is held; one of them may have stopped answering since. */
  readonly held: ReadonlySet<string>;
  /** A cluster that stops answering before anything is changed may be left out. */
  readonly mayLeaveOut: boolean;
  readonly stolen: readonly StolenLock[];
  readonly emit: Emit;
}

export interface LockRequest {
  /** Known not to answer. */
  readonly skipped: ReadonlyMap<string, string>;
  /** The clusters that the work is about; without the lock in any of them there is nothing to do. */
  readonly needed: readonly string[];
  /** A cluster that does not answer when its lock is taken, though it did before. */
  readonly whatCannotBeLocked: "refuse" | "skip";
  readonly goesThroughFreeze: boolean;
  readonly emit: Emit;
  readonly signal?: AbortSignal | undefined;
  readonly lockWaitMs?: number | undefined;
  readonly message?: string | undefined;
  readonly stealLock?: boolean | undefined;
}

const UNLOCK_AT_MOST_MS = 5_000;
const TRY_EVERY_MS = 500;
/** Whoever waits hears this often who is in the way. */
const HEARTBEAT_MS = 15_000;

export async function underLock<T>(
  context: ReleaseContext,
  request: LockRequest,
  work: (locked: Locked) => Promise<T>,
): Promise<T> {
  const skipped = new Map(request.skipped);
  const locks = new Map<string, HeldLock>();
  const leaveOut = (target: Target, error: unknown): void => {
    if (!cannotBeAsked(error)) throw error;
    const reason = whyUnreachable(error);
    if (request.whatCannotBeLocked === "refuse") {
      throw isUnreachable(error) ? error : unreachableRefusal({ name: target.name, reason });
    }
    skipped.set(target.name, reason);
  };
  const inOrder = context.targets
    .filter((target) => !skipped.has(target.name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  // For all of them together: whoever waits ten minutes does not mean ten for each cluster.
  const deadline = context.clock.monotonic() + (request.lockWaitMs ?? 0);
  const sightings = createSightings(context.clock);
  // Their turn comes when the one in front of them is ours; what a dead process left stands still in the meantime.
  for (const { client } of inOrder.slice(1))
    void sightLock(client, { ...context, sightings }).catch(() => undefined);
  try {
    for (const target of inOrder) {
      try {
        locks.set(target.name, await lockOne(context, target, request, { deadline, sightings }));
      } catch (error) {
        leaveOut(target, error);
      }
    }
    if (request.needed.every((name) => skipped.has(name))) throw noClusterAnswers(skipped);
    request.emit({ type: "locked", clusters: [...locks.keys()] });
    tellFreeze(context, request, [...locks.values()]);
    const held = [...locks.values()];
    const fence = Math.max(0, ...held.map((lock) => lock.fence));
    const targets = inOrder.filter(({ name }) => locks.has(name));
    const settled = await settleInterrupted(context, targets, { fence, emit: request.emit, leaveOut });
    if (request.needed.every((name) => skipped.has(name))) throw noClusterAnswers(skipped);
    const signals = [...held.map((lock) => lock.lost), ...(request.signal ? [request.signal] : [])];
    return await work({
      ...settled,
      fence,
      signal: AbortSignal.any(signals),
      assure: async () => {
        await Promise.all(held.map((lock) => lock.assure()));
      },
      skipped,
      held: new Set(locks.keys()),
      mayLeaveOut: request.whatCannotBeLocked === "skip",
      stolen: [...locks].flatMap(([cluster, { stolenFrom }]) =>
        stolenFrom === undefined ? [] : [stolen(cluster, stolenFrom, context.clock.now())],
      ),
      emit: request.emit,
    });
  } finally {
    await giveBack(context, [...locks.values()]);
  }
}

function tellFreeze(context: ReleaseContext, request: LockRequest, locks: readonly HeldLock[]): void {
  const freeze = locks.find((lock) => lock.freeze !== undefined)?.freeze;
  if (freeze === undefined) return;
  const message = `${context.service} is frozen ${describeFreeze(freeze, context.clock.now())}; a rollback goes through, and the freeze stays`;
  request.emit({ type: "warning", message });
}

function stolen(cluster: string, from: LockHolder, at: number): StolenLock {
  const holder = `${from.who}@${from.host} (process ${from.pid})`;
  return { cluster, at, holder, message: from.message, since: from.since };
}

/** A lock that cannot be given back soon runs out by itself, so a silent cluster is not waited for. */
async function giveBack(context: ReleaseContext, locks: readonly HeldLock[]): Promise<void> {
  const timer = new AbortController();
  const limit = context.clock.sleep(UNLOCK_AT_MOST_MS, timer.signal).catch(() => undefined);
  await Promise.race([Promise.allSettled(locks.map((lock) => lock.release())), limit]);
  timer.abort();
}

/** `deadline` is monotonic. */
async function lockOne(
  context: ReleaseContext,
  target: Target,
  request: LockRequest,
  { deadline, sightings }: { readonly deadline: number; readonly sightings: Sightings },
): Promise<HeldLock> {
  await ensureNamespace(target.client, context.namespace, context.service);
  let toldAt: number | undefined;
  for (;;) {
    try {
      return await takeLock(target.client, {
        ...context,
        message: request.message ?? "",
        steal: request.stealLock,
        goesThroughFreeze: request.goesThroughFreeze,
        sightings,
        signal: request.signal,
      });
    } catch (error) {
      const isHeld = error instanceof SlipwayError && error.code === "LOCK_HELD";
      const now = context.clock.monotonic();
      if (!isHeld || now >= deadline) throw error;
      if (toldAt === undefined || now - toldAt >= HEARTBEAT_MS) {
        request.emit({ type: "lock-waiting", cluster: target.name, message: error.message });
        toldAt = now;
      }
      await context.clock.sleep(TRY_EVERY_MS, request.signal);
    }
  }
}

/** Under the lock, a record that is still "in-progress" belongs to a process that is gone: say so and close it. */
async function settleInterrupted(
  context: ReleaseContext,
  targets: readonly Target[],
  options: {
    readonly fence: number;
    readonly emit: Emit;
    /** Throws when the cluster may not be left out. */
    readonly leaveOut: (target: Target, error: unknown) => void;
  },
): Promise<Pick<Locked, "records" | "highest" | "unreadable">> {
  const damaged = new Set<number>();
  const copies = await Promise.all(
    targets.map(async (target) => {
      try {
        return await readRecords(target.client, context, (_damage, number) => damaged.add(number));
      } catch (error) {
        options.leaveOut(target, error);
        return [];
      }
    }),
  );
  const records = mergeRecords(copies);
  const highest = Math.max(0, ...damaged, ...records.map((record) => record.number));
  for (const { number } of records) damaged.delete(number);
  const settled: ReleaseRecord[] = [];
  for (const record of records) {
    if (record.outcome !== "in-progress") {
      settled.push(record);
      continue;
    }
    const closed: ReleaseRecord = {
      ...record,
      outcome: "interrupted",
      revision: record.revision + 1,
      // Above the dead writer's, even when the cluster that gave it the highest token is away now.
      fence: Math.max(options.fence, record.fence + 1),
    };
    const message = describeInterruption(record);
    options.emit({ type: "interrupted-found", number: record.number, message });
    await Promise.all(
      targets.map((target) =>
        writeRecord(target.client, closed).catch((error: unknown) => options.leaveOut(target, error)),
      ),
    );
    settled.push(closed);
  }
  return { records: settled, highest, unreadable: [...damaged] };
}
