/**
 * What the lease of a service says in one cluster, and how it is written: who holds the lock, by which process, since when,
 * and whether the service is frozen. The times in it are its holder's. Whether it may be taken is decided in `lock.ts`.
 */
import { type Clock, formatDuration, type ProcessIdentity } from "@slipway/base";
import { findObject, type KubeClient, type Lease } from "@slipway/kube";
import { MANAGED_BY_LABEL, SERVICE_LABEL } from "../manifests/render.ts";

/** For longer than this a dead holder on another machine is in nobody's way. */
export const LOCK_TTL_MS = 30_000;

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

/** Whose lease it is. */
export interface LeaseName {
  readonly service: string;
  readonly namespace: string;
}

/** How it is judged. */
export interface LeaseReader {
  readonly clock: Clock;
  /** False when the holder is known to be gone, which frees its lock at once; undefined when that cannot be known. */
  readonly isHolderAlive?: ((holder: ProcessIdentity) => boolean | undefined) | undefined;
}

/** In whose name it is written. The process is part of it, so that others can judge whether it still runs. */
export interface LeaseTaker extends ProcessIdentity, LeaseName {
  readonly who: string;
  readonly message: string;
}

const MESSAGE = "slipway.dev/message";
const HOST = "slipway.dev/host";
const PID = "slipway.dev/pid";
/** JSON: what else identifies the holder's process, and the taking that it belongs to. */
const PROCESS = "slipway.dev/process";
export const FREEZE_ANNOTATION = "slipway.dev/freeze";

/** Who holds the lock in this cluster. */
export async function readLock(client: KubeClient, options: LeaseName & LeaseReader): Promise<LockState> {
  return stateOf(await getLease(client, options), options);
}

export function getLease(client: KubeClient, name: LeaseName): Promise<Lease | undefined> {
  return findObject<Lease>(client, leaseRef(name));
}

function leaseRef({ service, namespace }: LeaseName) {
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    name: `slipway.${service}`,
    namespace,
  } as const;
}

export function stateOf(lease: Lease | undefined, options: LeaseReader): LockState {
  const { annotations = {} } = lease?.metadata ?? {};
  const spec = lease?.spec ?? {};
  const freeze = freezeIn(annotations[FREEZE_ANNOTATION], options.clock.now());
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

/** For how long it is valid after a renewal. */
export function ttlOf(lease: Lease | undefined): number {
  return (lease?.spec?.leaseDurationSeconds ?? LOCK_TTL_MS / 1000) * 1000;
}

type ProcessMarks = Omit<ProcessIdentity, "host" | "pid">;

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

/** The lease in the name of who takes it. The version of the one that it replaces goes with it: a compare-and-swap. */
export function takenLease(taker: LeaseTaker, current: Lease | undefined, nowMs: number): Lease {
  const now = microTime(nowMs);
  const fence = (current?.spec?.leaseTransitions ?? 0) + 1;
  const ref = leaseRef(taker);
  return {
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
        [SERVICE_LABEL]: taker.service,
      },
      annotations: {
        ...current?.metadata.annotations,
        [MESSAGE]: taker.message,
        [HOST]: taker.host,
        [PID]: String(taker.pid),
        [PROCESS]: marksOf(taker, fence),
      },
    },
    spec: {
      holderIdentity: `${taker.who}@${taker.host}/${taker.pid}`,
      leaseDurationSeconds: LOCK_TTL_MS / 1000,
      acquireTime: now,
      renewTime: now,
      leaseTransitions: fence,
    },
  };
}

function marksOf(process: ProcessIdentity, fence: number): string {
  const { bootId, startTicks, pidNamespace, machineId } = process;
  return JSON.stringify({ fence, bootId, startTicks, pidNamespace, machineId });
}

/** A lease that nobody has held yet. */
export function emptyLease(name: LeaseName): Lease {
  const { apiVersion, kind, ...metadata } = leaseRef(name);
  const labels = { [MANAGED_BY_LABEL]: "slipway", [SERVICE_LABEL]: name.service };
  return {
    apiVersion,
    kind,
    metadata: { ...metadata, labels },
    spec: { holderIdentity: "", leaseTransitions: 0 },
  };
}

/** RFC 3339 with six decimals, as Lease times are written. */
export function microTime(ms: number): string {
  return new Date(ms).toISOString().replace("Z", "000Z");
}
