/**
 * The lock: one Lease per service and cluster, together one logical lock, taken in the order of the cluster names.
 *
 * It frees itself within its TTL: at once when the process that held it is known to be dead (`kill -9` on this machine),
 * otherwise when it was not renewed for as long. The times in a lease are its holder's, whose clock may be behind ours; so
 * before one is taken it is watched for longer than a renewal takes, and that watch is the last part of the TTL:
 *
 *   renewed ──── 20 s: its holder asks before it changes anything ──── watched 7.5 s ──── 28 s: taken ── 2 s for the clocks ── TTL
 *
 * `leaseTransitions` rises with every taking and is the fencing token: it goes into every record written under the
 * lock, so a late writer is recognised.
 *
 * Every take and renewal is a compare-and-swap on resourceVersion. A holder that finds somebody else in its lease
 * has lost it and stops at its next step.
 *
 * A freeze (`slipway lock`) is an annotation on the same lease, so that taking the lock and freezing it cannot cross.
 * It outlives every holder, ends by itself when it was given a time, and stops deploys but never a rollback.
 */
import { formatDuration, SlipwayError } from "@slipway/base";
import { isReason, type KubeClient, type Lease, StatusError } from "@slipway/kube";
import {
  describeFreeze,
  type Freeze,
  getLease,
  type LeaseName,
  type LeaseReader,
  type LeaseTaker,
  LOCK_TTL_MS,
  type LockHolder,
  type LockState,
  microTime,
  stateOf,
  takenLease,
  ttlOf,
} from "./lease.ts";
import { createSightings, type Sighting, type Sightings } from "./sightings.ts";

const RENEW_EVERY_MS = 5_000;
/** A living holder renews within this time, whatever its clock says. */
const WATCH_MS = RENEW_EVERY_MS * 1.5;
/** The way there and back, and what a clock may be ahead of ours without anybody having to watch. */
const AHEAD_MS = 2_000;
/** So long before the end of a lease nobody may take it yet, and its holder no longer trusts it without asking. */
const DOUBTED_BEFORE_END_MS = WATCH_MS + AHEAD_MS + 500;
/** Nobody but a person writes the lease of a living holder. */
const GIVE_BACK_ATTEMPTS = 3;
/** Clocks of two machines differ by less than this. */
const SKEW_MS = 10 * 60_000;

export interface LockOptions extends LeaseTaker, LeaseReader {
  readonly steal?: boolean | undefined;
  /** A rollback is not stopped by a freeze. */
  readonly goesThroughFreeze?: boolean | undefined;
  /** Of all clusters whose lock is taken together. */
  readonly sightings?: Sightings | undefined;
  /** Ends the wait for a sign of life. */
  readonly signal?: AbortSignal | undefined;
}

export interface HeldLock {
  readonly fence: number;
  /** Who held it when it was stolen, and was not known to be gone. */
  readonly stolenFrom: LockHolder | undefined;
  /** The freeze that it was taken through. */
  readonly freeze: Freeze | undefined;
  /** Aborts when somebody else has taken the lock; the reason is a SlipwayError LOCK_LOST. */
  readonly lost: AbortSignal;
  /**
   * To be asked before every change: where the lock may have run out since its last renewal (a laptop that slept, a
   * process that was stopped), the cluster is asked first. Rejects with LOCK_LOST.
   */
  assure(): Promise<void>;
  release(): Promise<void>;
}

/** Takes the lock in one cluster, or throws LOCK_HELD or LOCK_FROZEN naming who has it, since when and why. */
export async function takeLock(client: KubeClient, options: LockOptions): Promise<HeldLock> {
  // Two attempts: somebody else may write the lease between our read and our write, then it is read again.
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const current = await getLease(client, options);
    const state = stateOf(current, options);
    if (state.freeze !== undefined && options.goesThroughFreeze !== true) {
      throw lockFrozen(client.name, options, state.freeze);
    }
    if (current !== undefined) {
      const sighting = (options.sightings ?? createSightings(options.clock)).see(client.name, current);
      if (
        state.holder !== undefined &&
        !state.isStale &&
        !isInDoubt(state.holder, current, options, sighting)
      ) {
        if (options.steal !== true) throw lockHeld(client.name, options, state.holder);
      }
      const living = await holderAfterAll(client, options, { lease: current, state, sighting });
      if (living !== undefined) throw lockHeld(client.name, options, living);
    }
    const taken = await writeTaken(client, options, current);
    if (taken === undefined) continue;
    const stolenFrom = state.isStale ? undefined : state.holder;
    return hold(client, options, { lease: taken, stolenFrom, freeze: state.freeze });
  }
  throw new SlipwayError({
    code: "LOCK_HELD",
    where: `${client.name}/lock`,
    message: `somebody else took the lock of ${options.service} at the same moment`,
    hint: "Run the command again.",
  });
}

/** Begins the watch of a lease whose turn comes later. */
export async function sightLock(
  client: KubeClient,
  options: LeaseName & { readonly sightings: Sightings },
): Promise<void> {
  const lease = await getLease(client, options);
  if (lease !== undefined) options.sightings.see(client.name, lease);
}

/**
 * Only watching it tells whether somebody is there: not renewed for most of its time, or renewed later than now when it was
 * first seen. Then its holder's clock is ahead of ours, and the lease would seem valid for as long after its holder's death.
 */
function isInDoubt(
  holder: LockHolder,
  lease: Lease,
  { clock }: Pick<LockOptions, "clock">,
  { firstAgeMs }: Sighting,
): boolean {
  const ageMs = clock.now() - holder.renewedAt;
  return firstAgeMs < -AHEAD_MS || ageMs >= ttlOf(lease) - DOUBTED_BEFORE_END_MS;
}

/** The holder of a lease in doubt that was renewed while we watched; undefined when it is free to take. */
async function holderAfterAll(
  client: KubeClient,
  options: LockOptions,
  seen: { readonly lease: Lease; readonly state: LockState; readonly sighting: Sighting },
): Promise<LockHolder | undefined> {
  const { holder, isDead } = seen.state;
  if (holder === undefined || isDead || options.steal === true) return undefined;
  const ageMs = options.clock.now() - holder.renewedAt;
  if (ageMs > SKEW_MS) return undefined;
  const { standsStillMs, firstAgeMs } = seen.sighting;
  const watchMs = WATCH_MS - standsStillMs;
  const leftMs = firstAgeMs < -AHEAD_MS ? 0 : ttlOf(seen.lease) - AHEAD_MS - ageMs;
  if (Math.max(watchMs, leftMs) <= 0) return undefined;
  await options.clock.sleep(Math.max(watchMs, leftMs), options.signal);
  const now = await getLease(client, options);
  if (now?.spec?.renewTime === seen.lease.spec?.renewTime) return undefined;
  return now === undefined ? undefined : stateOf(now, options).holder;
}

function lockFrozen(cluster: string, options: LockOptions, freeze: Freeze): SlipwayError {
  return new SlipwayError({
    code: "LOCK_FROZEN",
    where: `${cluster}/lock`,
    message: `${options.service} is frozen ${describeFreeze(freeze, options.clock.now())}`,
    hint: `Nothing was changed. ${freeze.until === undefined ? "Ask" : "Wait for it, or ask"} ${freeze.who}; slipway unlock lifts it. A rollback goes through a freeze.`,
  });
}

function lockHeld(cluster: string, options: LockOptions, holder: LockHolder): SlipwayError {
  const ago = formatDuration(Math.max(0, options.clock.now() - holder.since));
  const message = holder.message === "" ? "" : `, "${holder.message}"`;
  return new SlipwayError({
    code: "LOCK_HELD",
    where: `${cluster}/lock`,
    message: `${holder.who}@${holder.host} (process ${holder.pid}) has held the lock of ${options.service} for ${ago}${message}`,
    hint: `Wait for it with --wait 5m. It frees itself at most ${LOCK_TTL_MS / 1000} s after that process ends. A rollback may take it over: --steal-lock.`,
  });
}

/** Creates or replaces the lease in our name; undefined when somebody else was faster. */
async function writeTaken(
  client: KubeClient,
  options: LockOptions,
  current: Lease | undefined,
): Promise<Lease | undefined> {
  try {
    const lease = takenLease(options, current, options.clock.now());
    return current === undefined ? await client.create(lease) : await client.replace(lease);
  } catch (error) {
    if (isReason(error, "Conflict") || isReason(error, "AlreadyExists") || isReason(error, "NotFound"))
      return undefined;
    throw error;
  }
}

function hold(
  client: KubeClient,
  options: LockOptions,
  found: {
    readonly lease: Lease;
    readonly stolenFrom: LockHolder | undefined;
    readonly freeze: Freeze | undefined;
  },
): HeldLock {
  const { clock } = options;
  const taken = found.lease;
  const lost = new AbortController();
  const stop = new AbortController();
  let lease = taken;
  const stamp = (): { now: number; monotonic: number } => ({
    now: clock.now(),
    monotonic: clock.monotonic(),
  });
  let renewed = stamp();
  const isOurs = (other: Lease | undefined): boolean =>
    other?.spec?.holderIdentity === taken.spec?.holderIdentity &&
    other?.spec?.leaseTransitions === taken.spec?.leaseTransitions;
  const renew = async (): Promise<void> => {
    const asked = stamp();
    try {
      lease = await client.replace<Lease>({
        ...lease,
        spec: { ...lease.spec, renewTime: microTime(clock.now()) },
      });
      renewed = asked;
    } catch (error) {
      if (!(error instanceof StatusError)) return; // Unreachable: the next renewal tries again.
      const current = await getLease(client, options);
      if (current !== undefined && isOurs(current)) lease = current;
      else lost.abort(lockLost(client.name, options.service, current));
    }
  };
  const renewing = (async () => {
    while (!stop.signal.aborted && !lost.signal.aborted) {
      await clock.sleep(RENEW_EVERY_MS, stop.signal).catch(() => undefined);
      if (!stop.signal.aborted) await renew().catch(() => undefined);
    }
  })();
  return {
    fence: taken.spec?.leaseTransitions ?? 1,
    stolenFrom: found.stolenFrom,
    freeze: found.freeze,
    lost: lost.signal,
    assure: async () => {
      // The one clock stands still while a machine sleeps, the other may be set back.
      const now = stamp();
      const ageMs = Math.max(now.now - renewed.now, now.monotonic - renewed.monotonic);
      if (ageMs >= LOCK_TTL_MS - DOUBTED_BEFORE_END_MS) await renew();
      lost.signal.throwIfAborted();
    },
    release: async () => {
      stop.abort();
      await renewing;
      // Somebody may freeze the service between our read and our write; then it is read again.
      for (let attempt = 1; !lost.signal.aborted; attempt += 1) {
        const current = await getLease(client, options);
        if (current === undefined || !isOurs(current)) return;
        try {
          // The lease stays, empty: its transitions are the fencing token of the next holder.
          await client.replace<Lease>({ ...current, spec: { ...current.spec, holderIdentity: "" } });
          return;
        } catch (error) {
          if (!isReason(error, "Conflict") || attempt >= GIVE_BACK_ATTEMPTS) throw error;
        }
      }
    },
  };
}

function lockLost(cluster: string, service: string, current: Lease | undefined): SlipwayError {
  const holder = current?.spec?.holderIdentity ?? "";
  return new SlipwayError({
    code: "LOCK_LOST",
    where: `${cluster}/lock`,
    message: holder === "" ? `the lock of ${service} is gone` : `${holder} has taken the lock of ${service}`,
    hint: "This release stopped where it was. See slipway status.",
  });
}
