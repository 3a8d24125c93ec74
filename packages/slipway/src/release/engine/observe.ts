/**
 * What a cluster holds now, by list and watch, never by polling. When the cluster does not answer, the last state
 * stays and `unreachableSince` says so: whoever judges must not judge old news.
 *
 * What can go wrong with a watch, and what is done about it:
 *   ends (server restart, its own time limit)   watched again from the last version that was seen
 *   version too old (410)                       listed again
 *   breaks, 429, 5xx                            listed again after a while, and the stream counts as silent until then
 *   stays open and says nothing                 given up after its time limit, listed again; a ping asks meanwhile
 *   refused later (token ran out)               silent until it is allowed again
 */
import type { Clock } from "@slipway/base";
import {
  type Deployment,
  type Event,
  isReason,
  type KubeClient,
  type KubeObject,
  type Pod,
  type ReplicaSet,
  StatusError,
} from "@slipway/kube";
import type { DaemonSet, Job, StatefulSet, WorkloadKind } from "../judge/workload.ts";

export interface Observation {
  readonly deployments: readonly Deployment[];
  readonly statefulSets: readonly StatefulSet[];
  readonly daemonSets: readonly DaemonSet[];
  readonly jobs: readonly Job[];
  readonly replicaSets: readonly ReplicaSet[];
  readonly pods: readonly Pod[];
  /** Oldest first, by the cluster's clock. */
  readonly events: readonly Event[];
}

export const NOTHING_OBSERVED: Observation = {
  deployments: [],
  statefulSets: [],
  daemonSets: [],
  jobs: [],
  replicaSets: [],
  pods: [],
  events: [],
};

export interface Observer {
  /** Resolves when everything was listed once; rejects with the first error that is not passing. */
  readonly ready: Promise<void>;
  current(): Observation;
  /** Lists everything once more: true when `current` is now no older than this call, false when it could not be had. */
  refresh(signal?: AbortSignal): Promise<boolean>;
  /** Our clock's time since when a part of the cluster's state has not been had; undefined while all is. */
  unreachableSince(): number | undefined;
  /** Why it did not answer last. */
  lastError(): string;
  /** True when it answers, but with 429 or 5xx. */
  isOverloaded(): boolean;
  /** Counts changes; read it before `current()` and give it to `changed`, then no change is missed between them. */
  version(): number;
  /** Resolves when the version is no longer `since`, or after `atMostMs`, or when `signal` aborts. */
  changed(since: number, atMostMs: number, signal?: AbortSignal): Promise<void>;
  close(): void;
}

const TYPES = {
  deployments: { apiVersion: "apps/v1", kind: "Deployment" },
  statefulSets: { apiVersion: "apps/v1", kind: "StatefulSet" },
  daemonSets: { apiVersion: "apps/v1", kind: "DaemonSet" },
  jobs: { apiVersion: "batch/v1", kind: "Job" },
  replicaSets: { apiVersion: "apps/v1", kind: "ReplicaSet" },
  pods: { apiVersion: "v1", kind: "Pod" },
  events: { apiVersion: "v1", kind: "Event" },
} as const;
type Part = keyof typeof TYPES;

/** A cluster that hangs instead of refusing is noticed by asking for its version this often. */
const PING_EVERY_MS = 5_000;
/** One question may take this long before it counts as silence. */
const ANSWER_WITHIN_MS = 10_000;
/** The server ends a watch after this, and one that it does not end is given up a little later. */
const WATCH_SECONDS = 60;
const WATCH_GRACE_MS = 15_000;
const RETRY_MS = [100, 250, 500, 1_000, 2_000] as const;

export function observe(
  client: KubeClient,
  options: {
    readonly namespaces: readonly string[];
    readonly clock: Clock;
    /** Which kinds of workloads the release has; only Deployments by default, so that no right is needed for others. */
    readonly kinds?: readonly WorkloadKind[] | undefined;
  },
): Observer {
  const { clock } = options;
  const abort = new AbortController();
  const held = new Map<Part, Map<string, KubeObject>>();
  const silent = new Map<string, { readonly since: number; readonly error: unknown }>();
  let waiters: (() => void)[] = [];
  let version = 0;
  let lastError: unknown;
  const notify = (): void => {
    version += 1;
    const waking = waiters;
    waiters = [];
    for (const wake of waking) wake();
  };
  const answered = (stream: string): void => {
    if (silent.delete(stream)) notify();
  };
  const failed = (stream: string, error: unknown): void => {
    lastError = error;
    const known = silent.get(stream);
    silent.set(stream, { since: known?.since ?? clock.now(), error });
    if (known === undefined) notify();
  };

  /** Rejects when there is no answer in time; a client that hangs must not hang us. */
  const within = async <T>(answer: Promise<T>, atMostMs: number): Promise<T> => {
    const timer = new AbortController();
    const late = clock.sleep(atMostMs, timer.signal).then(() => {
      throw new Error(`no answer within ${atMostMs / 1000} s`);
    });
    late.catch(() => undefined);
    answer.catch(() => undefined);
    return await Promise.race([answer, late]).finally(() => timer.abort());
  };

  const list = async (part: Part, namespace: string): Promise<string | undefined> => {
    const type = TYPES[part];
    const answer = await within(client.list(type, { namespace }), 3 * ANSWER_WITHIN_MS);
    const objects = held.get(part) as Map<string, KubeObject>;
    // Items of a list carry no kind of their own.
    const items = new Map(answer.items.map((item) => [keyOf(item), { ...item, ...type } as KubeObject]));
    for (const [key, object] of objects) {
      // A watch may have told of it after the list was made.
      const isNewer = isNewerThan(object, answer.metadata.resourceVersion);
      if (object.metadata.namespace === namespace && !items.has(key) && !isNewer) objects.delete(key);
    }
    for (const [key, item] of items) {
      const known = objects.get(key);
      if (known === undefined || !isNewerThan(known, item.metadata.resourceVersion)) objects.set(key, item);
    }
    notify();
    return answer.metadata.resourceVersion;
  };

  const follow = async (part: Part, namespace: string, listed: (error?: unknown) => void): Promise<void> => {
    const stream = `${part}/${namespace}`;
    const objects = held.get(part) as Map<string, KubeObject>;
    let attempt = 0;
    let resourceVersion: string | undefined;
    let isFirst = true;
    while (!abort.signal.aborted) {
      const limit = new AbortController();
      try {
        if (resourceVersion === undefined) {
          resourceVersion = await list(part, namespace);
          answered(stream);
          listed();
          isFirst = false;
        }
        const ending = AbortSignal.any([abort.signal, limit.signal]);
        const events = client.watch(TYPES[part], {
          namespace,
          ...(resourceVersion === undefined ? {} : { resourceVersion }),
          allowBookmarks: true,
          timeoutSeconds: WATCH_SECONDS,
          signal: ending,
        });
        const guard = clock
          .sleep(WATCH_SECONDS * 1000 + WATCH_GRACE_MS, ending)
          .then(() => limit.abort(new Error("the watch said nothing and did not end")));
        guard.catch(() => undefined);
        for await (const event of until(ending, events)) {
          attempt = 0;
          resourceVersion = event.object.metadata.resourceVersion ?? resourceVersion;
          if (event.type === "BOOKMARK") continue;
          if (event.type === "DELETED") objects.delete(keyOf(event.object));
          else objects.set(keyOf(event.object), event.object);
          notify();
        }
        // Given up by us: what it did not say has to be listed.
        if (limit.signal.aborted) resourceVersion = undefined;
      } catch (error) {
        if (abort.signal.aborted) return;
        resourceVersion = undefined;
        const isTooOld = isReason(error, "Expired") || isReason(error, "Gone");
        if (isFirst && isLasting(error)) {
          listed(error);
          return;
        }
        // The first list again is made at once; a server that goes on refusing is not asked in a tight loop.
        if (isTooOld && attempt === 0) {
          attempt += 1;
          continue;
        }
        if (!isTooOld) failed(stream, error);
      } finally {
        limit.abort();
      }
      if (abort.signal.aborted) return;
      const wait = RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)] as number;
      attempt += 1;
      await clock.sleep(wait, abort.signal).catch(() => undefined);
    }
  };

  const ping = async (): Promise<void> => {
    while (!abort.signal.aborted) {
      await clock.sleep(PING_EVERY_MS, abort.signal).catch(() => undefined);
      if (abort.signal.aborted) return;
      await within(client.version(), ANSWER_WITHIN_MS).then(
        () => answered("ping"),
        (error: unknown) => failed("ping", error),
      );
    }
  };

  const parts = partsFor(options.kinds ?? ["Deployment"]);
  const lists: Promise<void>[] = [];
  for (const part of parts) {
    held.set(part, new Map());
    for (const namespace of options.namespaces) {
      lists.push(
        new Promise((resolve, reject) => {
          void follow(part, namespace, (error) => (error === undefined ? resolve() : reject(error)));
        }),
      );
    }
  }
  void ping();
  const ready = Promise.all(lists).then(() => undefined);
  ready.catch(() => undefined);

  const all = <T extends KubeObject>(part: Part): T[] => [...(held.get(part)?.values() ?? [])] as T[];
  return {
    ready,
    current: () => ({
      deployments: all("deployments"),
      statefulSets: all("statefulSets"),
      daemonSets: all("daemonSets"),
      jobs: all("jobs"),
      replicaSets: all("replicaSets"),
      pods: all("pods"),
      events: all<Event>("events").sort((a, b) => timeOf(a) - timeOf(b)),
    }),
    refresh: async (signal) => {
      const asked = parts.flatMap((part) => options.namespaces.map((namespace) => list(part, namespace)));
      try {
        await within(Promise.all(asked), ANSWER_WITHIN_MS);
        return signal?.aborted !== true;
      } catch (error) {
        lastError = error;
        return false;
      }
    },
    unreachableSince: () =>
      silent.size === 0 ? undefined : Math.min(...[...silent.values()].map(({ since }) => since)),
    lastError: () => (lastError === undefined ? "" : messageOf(lastError)),
    isOverloaded: () => isOverload([...silent.values()].at(-1)?.error ?? lastError),
    version: () => version,
    changed: async (since, atMostMs, signal) => {
      if (version !== since || signal?.aborted || abort.signal.aborted) return;
      const wake = new AbortController();
      const stop = (): void => wake.abort();
      signal?.addEventListener("abort", stop, { once: true });
      abort.signal.addEventListener("abort", stop, { once: true });
      waiters.push(stop);
      await clock.sleep(Math.max(0, atMostMs), wake.signal).catch(() => undefined);
      waiters = waiters.filter((waiter) => waiter !== stop);
      signal?.removeEventListener("abort", stop);
      abort.signal.removeEventListener("abort", stop);
    },
    close: () => {
      abort.abort();
      notify();
    },
  };
}

/** The items until `signal` aborts, also of a source that does not listen to it. */
async function* until<T>(signal: AbortSignal, source: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  const { promise: aborted, resolve } = Promise.withResolvers<undefined>();
  const stop = (): void => resolve(undefined);
  signal.addEventListener("abort", stop, { once: true });
  try {
    while (!signal.aborted) {
      const next = await Promise.race([iterator.next(), aborted]);
      if (next === undefined || next.done === true) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener("abort", stop);
    void iterator.return?.().catch(() => undefined);
  }
}

function partsFor(kinds: readonly WorkloadKind[]): readonly Part[] {
  const has = (kind: WorkloadKind): boolean => kinds.includes(kind);
  return [
    "deployments",
    "replicaSets",
    "pods",
    "events",
    ...(has("StatefulSet") ? (["statefulSets"] as const) : []),
    ...(has("DaemonSet") ? (["daemonSets"] as const) : []),
    ...(has("Job") ? (["jobs"] as const) : []),
  ];
}

/** A refusal that asking again will not change. */
function isLasting(error: unknown): boolean {
  return error instanceof StatusError && [400, 401, 403, 404, 405].includes(error.httpCode);
}

function isOverload(error: unknown): boolean {
  return error instanceof StatusError && (error.httpCode === 429 || error.httpCode >= 500);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Versions are compared as numbers, which they are in every API server with etcd behind it (KEP-5504 makes it a
 * promise). One that is not a number is never newer.
 */
function isNewerThan(object: KubeObject, version: string | undefined): boolean {
  const [own, other] = [object.metadata.resourceVersion, version].map((text) =>
    /^\d+$/.test(text ?? "") ? BigInt(text as string) : undefined,
  );
  return own !== undefined && other !== undefined && own > other;
}

function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ""}/${object.metadata.name}`;
}

/** When an event was last seen, in milliseconds since the epoch. */
export function timeOf(event: Event): number {
  const time =
    event.series?.lastObservedTime ??
    event.lastTimestamp ??
    event.eventTime ??
    event.metadata.creationTimestamp ??
    "";
  return Date.parse(time) || 0;
}

/** Names of the newest ReplicaSet of every Deployment. */
export function newestReplicaSets({
  deployments,
  replicaSets,
}: Pick<Observation, "deployments" | "replicaSets">): readonly string[] {
  const revision = "deployment.kubernetes.io/revision";
  return deployments.flatMap(({ metadata }) =>
    replicaSets
      .filter(
        (one) =>
          one.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid) === true &&
          one.metadata.annotations?.[revision] === metadata.annotations?.[revision],
      )
      .map((one) => one.metadata.name),
  );
}
