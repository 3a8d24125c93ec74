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
import { type Clock, formatDuration, type ProcessIdentity, SlipwayError } from "@slipway/base";
import { findObject, isReason, type KubeClient, type Lease, StatusError } from "@slipway/kube";
import { MANAGED_BY_LABEL, SERVICE_LABEL } from "../manifests/render.ts";
import { createSightings, type Sighting, type Sightings } from "./sightings.ts";

/** For longer than this a dead holder on another machine is in nobody's way. */
export const LOCK_TTL_MS = 30_000;
const RENEW_EVERY_MS = 5_000;
/** A living holder renews within this time, whatever its clock says. */
const WATCH_MS = RENEW_EVERY_MS * 1.5;
/** The way there and back, and what a clock may be ahead of ours without anybody having to watch. */
const AHEAD_MS = 2_000;
/** So long before the end of a lease nobody may take it yet, and its holder no longer trusts it without asking. */
const DOUBTED_BEFORE_END_MS = WATCH_MS + AHEAD_MS + 500;
/** Clocks of two machines differ by less than this. */
const SKEW_MS = 10 * 60_000;

export interface LockHolder {
  readonly who: string;
  readonly host: string;
  readonly pid: number;
  readonly message: string;
  readonly since: number;
  readonly renewedAt: number;
}

export interface Freeze {
  readonly who: string;
  readonly message: string;
  readonly since: number;
  /** When it ends by itself; undefined until somebody lifts it. */
  readonly until: number | undefined;
}

export interface LockState {
  readonly holder: LockHolder | undefined;
  /** In force now. */
  readonly freeze: Freeze | undefined;
  /** Held, but not renewed in time or by a process that is gone: free for the next one. */
  readonly isStale: boolean;
  /** Stale because its process is known to be gone. */
  readonly isDead: boolean;
}

/** The process that takes it is part of it, so that others can judge whether it still runs. */
export interface LockOptions extends ProcessIdentity {
  readonly service: string;
  readonly namespace: string;
  readonly clock: Clock;
  readonly who: string;
  readonly message: string;
  /** False when the holder is known to be gone, which frees its lock at once; undefined when that cannot be known. */
  readonly isHolderAlive?: ((holder: ProcessIdentity) => boolean | undefined) | undefined;
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

const MESSAGE = "slipway.dev/message";
const HOST = "slipway.dev/host";
const PID = "slipway.dev/pid";
/** JSON: what else identifies the holder's process, and the taking that it belongs to. */
const PROCESS = "slipway.dev/process";
const FREEZE = "slipway.dev/freeze";

function leaseRef(
  service: string,
  namespace: string,
): { apiVersion: string; kind: string; name: string; namespace: string } {
  return { apiVersion: "coordination.k8s.io/v1", kind: "Lease", name: `slipway.${service}`, namespace };
}

/** Who holds the lock in this cluster. */
export async function readLock(
  client: KubeClient,
  options: Pick<LockOptions, "service" | "namespace" | "clock" | "isHolderAlive">,
): Promise<LockState> {
  const lease = await getLease(client, options.service, options.namespace);
  return stateOf(lease, options);
}

/** Takes the lock in one cluster, or throws LOCK_HELD or LOCK_FROZEN naming who has it, since when and why. */
export async function takeLock(client: KubeClient, options: LockOptions): Promise<HeldLock> {
  // Two attempts: somebody else may write the lease between our read and our write, then it is read again.
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const current = await getLease(client, options.service, options.namespace);
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
  options: Pick<LockOptions, "service" | "namespace"> & { readonly sightings: Sightings },
): Promise<void> {
  const lease = await getLease(client, options.service, options.namespace);
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

function ttlOf(lease: Lease | undefined): number {
  return (lease?.spec?.leaseDurationSeconds ?? LOCK_TTL_MS / 1000) * 1000;
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
  const now = await getLease(client, options.service, options.namespace);
  if (now?.spec?.renewTime === seen.lease.spec?.renewTime) return undefined;
  return now === undefined ? undefined : stateOf(now, options).holder;
}

function getLease(client: KubeClient, service: string, namespace: string): Promise<Lease | undefined> {
  return findObject<Lease>(client, leaseRef(service, namespace));
}

function stateOf(lease: Lease | undefined, options: Pick<LockOptions, "clock" | "isHolderAlive">): LockState {
  const { annotations = {} } = lease?.metadata ?? {};
  const spec = lease?.spec ?? {};
  const freeze = freezeIn(annotations[FREEZE], options.clock.now());
  if (spec.holderIdentity === undefined || spec.holderIdentity === "")
    return { holder: undefined, freeze, isStale: false, isDead: false };
  const holder: LockHolder = {
    who: spec.holderIdentity.split("@")[0] ?? spec.holderIdentity,
    host: annotations[HOST] ?? "",
    pid: Number(annotations[PID] ?? 0),
    message: annotations[MESSAGE] ?? "",
    since: Date.parse(spec.acquireTime ?? "") || 0,
    renewedAt: Date.parse(spec.renewTime ?? "") || 0,
  };
  const isExpired = holder.renewedAt + ttlOf(lease) <= options.clock.now();
  const { host, pid } = holder;
  const marks = marksIn(annotations[PROCESS], spec.leaseTransitions);
  const isDead = options.isHolderAlive?.({ ...marks, host, pid }) === false;
  return { holder, freeze, isStale: isExpired || isDead, isDead };
}

type ProcessMarks = Omit<ProcessIdentity, "host" | "pid">;

function marksOf(process: ProcessIdentity, fence: number): string {
  const { bootId, startTicks, pidNamespace, machineId } = process;
  return JSON.stringify({ fence, bootId, startTicks, pidNamespace, machineId });
}

/**
 * Only those of this taking: a version of Slipway that does not know the annotation leaves the one of the holder before
 * it, by which a living process would be judged dead.
 */
function marksIn(annotation: string | undefined, fence: number | undefined): ProcessMarks {
  try {
    const marks = JSON.parse(annotation ?? "{}") as Partial<Record<string, unknown>>;
    if (fence === undefined || marks["fence"] !== fence) return {};
    const text = (key: keyof ProcessMarks): string | undefined => {
      const value = marks[key];
      return typeof value === "string" ? value : undefined;
    };
    return {
      bootId: text("bootId"),
      startTicks: text("startTicks"),
      pidNamespace: text("pidNamespace"),
      machineId: text("machineId"),
    };
  } catch {
    return {};
  }
}

function freezeIn(annotation: string | undefined, now: number): Freeze | undefined {
  if (annotation === undefined) return undefined;
  const freeze = parseFreeze(annotation);
  return freeze.until !== undefined && freeze.until <= now ? undefined : freeze;
}

/** What a person has written there by other means is a freeze too: its text is the reason. */
function parseFreeze(annotation: string): Freeze {
  try {
    const { who, message, since, until } = JSON.parse(annotation) as Partial<Record<keyof Freeze, unknown>>;
    return {
      who: String(who ?? "somebody"),
      message: String(message ?? ""),
      since: Number(since ?? 0),
      until: typeof until === "number" ? until : undefined,
    };
  } catch {
    return { who: "somebody", message: annotation, since: 0, until: undefined };
  }
}

/** `by aki for 2 min, "the sale", ends in 58 min` */
export function describeFreeze(freeze: Freeze, now: number): string {
  const ago = freeze.since === 0 ? "" : ` for ${formatDuration(Math.max(0, now - freeze.since))}`;
  const message = freeze.message === "" ? "" : `, "${freeze.message}"`;
  const end = freeze.until === undefined ? "" : `, ends in ${formatDuration(freeze.until - now)}`;
  return `by ${freeze.who}${ago}${message}${end}`;
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
  const now = microTime(options.clock.now());
  const fence = (current?.spec?.leaseTransitions ?? 0) + 1;
  const ref = leaseRef(options.service, options.namespace);
  const lease: Lease = {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: {
      name: ref.name,
      namespace: ref.namespace,
      ...(current?.metadata.resourceVersion === undefined
        ? {}
        : { resourceVersion: current.metadata.resourceVersion }),
      labels: {
        ...current?.metadata.labels,
        [MANAGED_BY_LABEL]: "slipway",
        [SERVICE_LABEL]: options.service,
      },
      annotations: {
        ...current?.metadata.annotations,
        [MESSAGE]: options.message,
        [HOST]: options.host,
        [PID]: String(options.pid),
        [PROCESS]: marksOf(options, fence),
      },
    },
    spec: {
      holderIdentity: `${options.who}@${options.host}/${options.pid}`,
      leaseDurationSeconds: LOCK_TTL_MS / 1000,
      acquireTime: now,
      renewTime: now,
      leaseTransitions: fence,
    },
  };
  try {
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
      const current = await getLease(client, options.service, options.namespace);
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
      if (lost.signal.aborted) return;
      // The lease stays, empty: its transitions are the fencing token of the next holder.
      const current = await getLease(client, options.service, options.namespace);
      if (current === undefined || !isOurs(current)) return;
      await client.replace<Lease>({ ...current, spec: { ...current.spec, holderIdentity: "" } });
    },
  };
}

/** Freezes the service in one cluster. Who releases at this moment may finish; the next deploy is refused. */
export async function freezeLock(
  client: KubeClient,
  options: Pick<LockOptions, "service" | "namespace">,
  freeze: Freeze,
): Promise<void> {
  await updateLease(client, options, (lease) => ({
    ...lease,
    metadata: {
      ...lease.metadata,
      annotations: { ...lease.metadata.annotations, [FREEZE]: JSON.stringify(freeze) },
    },
  }));
}

export interface Unlocking {
  readonly lifted: Freeze | undefined;
  /** Whose lock was taken away. */
  readonly freed: LockHolder | undefined;
}

/** Lifts a freeze and empties the lease of its holder, as far as `may` allows; changes nothing when there is neither. */
export async function unlockLease(
  client: KubeClient,
  options: Pick<LockOptions, "service" | "namespace" | "clock" | "isHolderAlive">,
  may: (state: LockState) => { readonly lift: boolean; readonly free: boolean },
): Promise<Unlocking> {
  let done: Unlocking = { lifted: undefined, freed: undefined };
  await updateLease(client, options, (lease) => {
    const state = stateOf(lease, options);
    const { lift, free } = may(state);
    const isLifting = lift && lease.metadata.annotations?.[FREEZE] !== undefined;
    const isFreeing = free && state.holder !== undefined;
    done = { lifted: isLifting ? state.freeze : undefined, freed: isFreeing ? state.holder : undefined };
    if (!isLifting && !isFreeing) return undefined;
    const { [FREEZE]: freeze, ...others } = lease.metadata.annotations ?? {};
    const annotations = isLifting || freeze === undefined ? others : { ...others, [FREEZE]: freeze };
    return {
      ...lease,
      metadata: { ...lease.metadata, annotations },
      spec: { ...lease.spec, ...(isFreeing ? { holderIdentity: "" } : {}) },
    };
  });
  return done;
}

/** A renewal may come in between at any time: read and tried again. */
const UPDATE_ATTEMPTS = 5;

async function updateLease(
  client: KubeClient,
  options: Pick<LockOptions, "service" | "namespace">,
  change: (lease: Lease) => Lease | undefined,
): Promise<void> {
  const { name, namespace } = leaseRef(options.service, options.namespace);
  for (let attempt = 1; ; attempt += 1) {
    const current = await getLease(client, options.service, options.namespace);
    const labels = { [MANAGED_BY_LABEL]: "slipway", [SERVICE_LABEL]: options.service };
    const empty: Lease = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name, namespace, labels },
      spec: { holderIdentity: "", leaseTransitions: 0 },
    };
    const changed = change(current ?? empty);
    if (changed === undefined) return;
    try {
      await (current === undefined ? client.create(changed) : client.replace(changed));
      return;
    } catch (error) {
      const isRaced = isReason(error, "Conflict") || isReason(error, "AlreadyExists");
      if (!isRaced || attempt >= UPDATE_ATTEMPTS) throw error;
    }
  }
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

/** RFC 3339 with six decimals, as Lease times are written. */
function microTime(ms: number): string {
  return new Date(ms).toISOString().replace("Z", "000Z");
}
