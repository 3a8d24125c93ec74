/**
 * What a cluster holds now, by list and watch, never by polling. When the cluster does not answer, the last state
 * stays and `unreachableSince` says so: whoever judges must not judge old news.
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
  type TypeRef,
} from "@slipway/kube";

export interface Observation {
  readonly deployments: readonly Deployment[];
  readonly replicaSets: readonly ReplicaSet[];
  readonly pods: readonly Pod[];
  /** Oldest first. */
  readonly events: readonly Event[];
}

export interface Observer {
  /** Resolves when everything was listed once; rejects with the first error that is not passing. */
  readonly ready: Promise<void>;
  current(): Observation;
  /** Our clock's time since when the cluster has not answered; undefined while it does. */
  unreachableSince(): number | undefined;
  /** Why it did not answer last. */
  lastError(): string;
  /** Counts changes; read it before `current()` and give it to `changed`, then no change is missed between them. */
  version(): number;
  /** Resolves when the version is no longer `since`, or after `atMostMs`, or when `signal` aborts. */
  changed(since: number, atMostMs: number, signal?: AbortSignal): Promise<void>;
  close(): void;
}

const TYPES = {
  deployments: { apiVersion: "apps/v1", kind: "Deployment" },
  replicaSets: { apiVersion: "apps/v1", kind: "ReplicaSet" },
  pods: { apiVersion: "v1", kind: "Pod" },
  events: { apiVersion: "v1", kind: "Event" },
} as const;

/** A cluster that hangs instead of refusing is noticed by asking for its version this often. */
const PING_EVERY_MS = 5_000;
const RETRY_MS = [100, 250, 500, 1_000, 2_000] as const;

export function observe(
  client: KubeClient,
  options: { readonly namespaces: readonly string[]; readonly clock: Clock },
): Observer {
  const { clock } = options;
  const abort = new AbortController();
  const held = new Map<keyof typeof TYPES, Map<string, KubeObject>>();
  let waiters: (() => void)[] = [];
  let version = 0;
  let unreachable: number | undefined;
  let lastError = "";
  const notify = (): void => {
    version += 1;
    const waking = waiters;
    waiters = [];
    for (const wake of waking) wake();
  };
  const answered = (): void => {
    if (unreachable === undefined) return;
    unreachable = undefined;
    notify();
  };
  const failed = (error: unknown): void => {
    lastError = error instanceof Error ? error.message : String(error);
    if (unreachable !== undefined) return;
    unreachable = clock.now();
    notify();
  };

  const follow = async (
    name: keyof typeof TYPES,
    type: TypeRef,
    namespace: string,
    listed: (error?: unknown) => void,
  ): Promise<void> => {
    let attempt = 0;
    while (!abort.signal.aborted) {
      try {
        const list = await client.list(type, { namespace });
        const objects = held.get(name) as Map<string, KubeObject>;
        for (const [key, object] of objects) {
          if (object.metadata.namespace === namespace) objects.delete(key);
        }
        // Items of a list carry no kind of their own.
        for (const item of list.items) objects.set(keyOf(item), { ...item, ...type });
        attempt = 0;
        answered();
        listed();
        notify();
        const events = client.watch(type, {
          namespace,
          resourceVersion: list.metadata.resourceVersion,
          allowBookmarks: true,
          signal: abort.signal,
        });
        for await (const event of events) {
          if (event.type === "BOOKMARK") continue;
          if (event.type === "DELETED") objects.delete(keyOf(event.object));
          else objects.set(keyOf(event.object), event.object);
          notify();
        }
      } catch (error) {
        if (abort.signal.aborted) return;
        // The version is too old: list again at once.
        if (isReason(error, "Expired") || isReason(error, "Gone")) continue;
        if (isLasting(error)) {
          listed(error);
          return;
        }
        failed(error);
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
      await client.version().then(answered, failed);
    }
  };

  const lists: Promise<void>[] = [];
  for (const [name, type] of Object.entries(TYPES) as [keyof typeof TYPES, TypeRef][]) {
    held.set(name, new Map());
    for (const namespace of options.namespaces) {
      lists.push(
        new Promise((resolve, reject) => {
          void follow(name, type, namespace, (error) => (error === undefined ? resolve() : reject(error)));
        }),
      );
    }
  }
  void ping();
  const ready = Promise.all(lists).then(() => undefined);
  ready.catch(() => undefined);

  const all = <T extends KubeObject>(name: keyof typeof TYPES): T[] =>
    [...(held.get(name) as Map<string, KubeObject>).values()] as T[];
  return {
    ready,
    current: () => ({
      deployments: all("deployments"),
      replicaSets: all("replicaSets"),
      pods: all("pods"),
      events: all<Event>("events").sort((a, b) => timeOf(a) - timeOf(b)),
    }),
    unreachableSince: () => unreachable,
    lastError: () => lastError,
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

/** A refusal that asking again will not change. */
function isLasting(error: unknown): boolean {
  return error instanceof StatusError && [400, 401, 403, 404, 405].includes(error.httpCode);
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
