/**
 * The lock: one Lease per service and cluster, together one logical lock, taken in the order of the cluster names.
 *
 * It frees itself: a lease that was not renewed for its TTL may be taken by anyone, and at once when the process
 * that held it is known to be dead (`kill -9` on this machine). The times in a lease are its holder's, whose clock may
 * be behind ours; so before one is taken that ran out only lately, it is watched for longer than a renewal takes.
 * `leaseTransitions` rises with every taking and is the fencing token: it goes into every record written under the
 * lock, so a late writer is recognised.
 *
 * Every take and renewal is a compare-and-swap on resourceVersion. A holder that finds somebody else in its lease
 * has lost it and stops at its next step.
 */
import { type Clock, formatDuration, SlipwayError } from "@slipway/base";
import { isReason, type KubeClient, type Lease, StatusError } from "@slipway/kube";
import { MANAGED_BY_LABEL, SERVICE_LABEL } from "./render.ts";

const LOCK_TTL_MS = 30_000;
const RENEW_EVERY_MS = LOCK_TTL_MS / 3;
/** A living holder renews within this time, whatever its clock says. */
const WATCH_MS = RENEW_EVERY_MS * 1.5;
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

export interface LockState {
  readonly holder: LockHolder | undefined;
  /** Held, but not renewed in time or by a process that is gone: free for the next one. */
  readonly isStale: boolean;
  /** Stale because its process is known to be gone. */
  readonly isDead: boolean;
}

export interface LockOptions {
  readonly service: string;
  readonly namespace: string;
  readonly clock: Clock;
  readonly who: string;
  readonly host: string;
  readonly pid: number;
  readonly message: string;
  readonly isHolderAlive?: ((holder: { host: string; pid: number }) => boolean | undefined) | undefined;
  readonly steal?: boolean | undefined;
  /** Ends the wait for a sign of life. */
  readonly signal?: AbortSignal | undefined;
}

export interface HeldLock {
  readonly fence: number;
  /** Aborts when somebody else has taken the lock; the reason is a SlipwayError LOCK_LOST. */
  readonly lost: AbortSignal;
  release(): Promise<void>;
}

const MESSAGE = "slipway.dev/message";
const HOST = "slipway.dev/host";
const PID = "slipway.dev/pid";

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
  return lease === undefined ? { holder: undefined, isStale: false, isDead: false } : stateOf(lease, options);
}

/** Takes the lock in one cluster, or throws LOCK_HELD naming who has it. */
export async function takeLock(client: KubeClient, options: LockOptions): Promise<HeldLock> {
  // Two attempts: somebody else may write the lease between our read and our write, then it is read again.
  for (let attempt = 0; attempt < 2; attempt += 1) {
    const current = await getLease(client, options.service, options.namespace);
    if (current !== undefined) {
      const state = stateOf(current, options);
      if (state.holder !== undefined && !state.isStale && options.steal !== true) {
        throw lockHeld(client.name, options, state.holder);
      }
      const living = await holderAfterAll(client, options, { lease: current, state });
      if (living !== undefined) throw lockHeld(client.name, options, living);
    }
    const taken = await writeTaken(client, options, current);
    if (taken !== undefined) return hold(client, options, taken);
  }
  throw new SlipwayError({
    code: "LOCK_HELD",
    where: `${client.name}/lock`,
    message: `somebody else took the lock of ${options.service} at the same moment`,
    hint: "Run the command again.",
  });
}

/** The holder of a lease that looks run out but was renewed while we watched; undefined when it is free to take. */
async function holderAfterAll(
  client: KubeClient,
  options: LockOptions,
  seen: { readonly lease: Lease; readonly state: LockState },
): Promise<LockHolder | undefined> {
  const { holder, isDead } = seen.state;
  if (holder === undefined || isDead || options.steal === true) return undefined;
  if (options.clock.now() - holder.renewedAt > SKEW_MS) return undefined;
  await options.clock.sleep(WATCH_MS, options.signal);
  const now = await getLease(client, options.service, options.namespace);
  if (now?.spec?.renewTime === seen.lease.spec?.renewTime) return undefined;
  return now === undefined ? undefined : stateOf(now, options).holder;
}

async function getLease(client: KubeClient, service: string, namespace: string): Promise<Lease | undefined> {
  try {
    return await client.get<Lease>(leaseRef(service, namespace));
  } catch (error) {
    if (isReason(error, "NotFound")) return undefined;
    throw error;
  }
}

function stateOf(lease: Lease, options: Pick<LockOptions, "clock" | "isHolderAlive">): LockState {
  const spec = lease.spec ?? {};
  if (spec.holderIdentity === undefined || spec.holderIdentity === "")
    return { holder: undefined, isStale: false, isDead: false };
  const annotations = lease.metadata.annotations ?? {};
  const holder: LockHolder = {
    who: spec.holderIdentity.split("@")[0] ?? spec.holderIdentity,
    host: annotations[HOST] ?? "",
    pid: Number(annotations[PID] ?? 0),
    message: annotations[MESSAGE] ?? "",
    since: Date.parse(spec.acquireTime ?? "") || 0,
    renewedAt: Date.parse(spec.renewTime ?? "") || 0,
  };
  const ttlMs = (spec.leaseDurationSeconds ?? LOCK_TTL_MS / 1000) * 1000;
  const isExpired = holder.renewedAt + ttlMs <= options.clock.now();
  const isDead = options.isHolderAlive?.(holder) === false;
  return { holder, isStale: isExpired || isDead, isDead };
}

function lockHeld(cluster: string, options: LockOptions, holder: LockHolder): SlipwayError {
  const ago = formatDuration(Math.max(0, options.clock.now() - holder.since));
  const message = holder.message === "" ? "" : `, "${holder.message}"`;
  return new SlipwayError({
    code: "LOCK_HELD",
    where: `${cluster}/lock`,
    message: `${holder.who}@${holder.host} (process ${holder.pid}) has held the lock of ${options.service} for ${ago}${message}`,
    hint: `Wait for it with --wait 5m. It frees itself at most ${LOCK_TTL_MS / 1000} s after that process ends.`,
  });
}

/** Creates or replaces the lease in our name; undefined when somebody else was faster. */
async function writeTaken(
  client: KubeClient,
  options: LockOptions,
  current: Lease | undefined,
): Promise<Lease | undefined> {
  const now = microTime(options.clock.now());
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
      },
    },
    spec: {
      holderIdentity: `${options.who}@${options.host}/${options.pid}`,
      leaseDurationSeconds: LOCK_TTL_MS / 1000,
      acquireTime: now,
      renewTime: now,
      leaseTransitions: (current?.spec?.leaseTransitions ?? 0) + 1,
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

function hold(client: KubeClient, options: LockOptions, taken: Lease): HeldLock {
  const { clock } = options;
  const lost = new AbortController();
  const stop = new AbortController();
  let lease = taken;
  const isOurs = (other: Lease | undefined): boolean =>
    other?.spec?.holderIdentity === taken.spec?.holderIdentity &&
    other?.spec?.leaseTransitions === taken.spec?.leaseTransitions;
  const renew = async (): Promise<void> => {
    try {
      lease = await client.replace<Lease>({
        ...lease,
        spec: { ...lease.spec, renewTime: microTime(clock.now()) },
      });
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
    lost: lost.signal,
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
