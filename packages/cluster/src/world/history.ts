/**
 * The recent past of a store, and how it looked then: what a controller with a slow cache sees. A past state is the
 * present one with the newest events taken back, so it costs as much as it is old.
 */
import type { KubeObject, ObjectOf, Reader, Store, StoreEvent } from "@slipway/kube";

/** Events older than this are forgotten; no cache lags longer. */
const KEPT_MS = 20_000;

export class History {
  readonly #store: Store;
  readonly #events: { readonly atMs: number; readonly event: StoreEvent }[] = [];
  /** Events before this index are forgotten. */
  #start = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  record(event: StoreEvent, atMs: number): void {
    this.#events.push({ atMs, event });
    while ((this.#events[this.#start]?.atMs ?? atMs) < atMs - KEPT_MS) this.#start += 1;
    if (this.#start > 4096) {
      this.#events.splice(0, this.#start);
      this.#start = 0;
    }
  }

  /** The newest version that was committed at `atMs` or before, as far as it is remembered. */
  versionAt(atMs: number): number {
    let index = this.#events.length;
    while (index > this.#start && (this.#events[index - 1]?.atMs ?? 0) > atMs) index -= 1;
    const next = this.#events[index]?.event;
    return next === undefined ? this.#store.resourceVersion : next.resourceVersion - 1;
  }

  /** The store as it was at `version`. */
  at(version: number): Reader {
    if (version >= this.#store.resourceVersion) return this.#store;
    const before = new Map<string, { readonly kind: string; readonly object: KubeObject | undefined }>();
    for (let index = this.#events.length - 1; index >= this.#start; index -= 1) {
      const event = this.#events[index]?.event;
      if (event === undefined || event.resourceVersion <= version) break;
      const { kind, metadata } = event.object;
      // Going backwards, the last one seen is the earliest after `version`: what was there before it counts.
      before.set(nameOf(kind, metadata.namespace ?? "", metadata.name), { kind, object: event.previous });
    }
    return new PastReader(this.#store, before);
  }
}

class PastReader implements Reader {
  readonly #store: Store;
  readonly #before: ReadonlyMap<string, { readonly kind: string; readonly object: KubeObject | undefined }>;

  constructor(
    store: Store,
    before: ReadonlyMap<string, { readonly kind: string; readonly object: KubeObject | undefined }>,
  ) {
    this.#store = store;
    this.#before = before;
  }

  get<K extends string>(kind: K, namespace: string, name: string): ObjectOf<K> | undefined {
    const past = this.#before.get(nameOf(kind, namespace, name));
    return past === undefined
      ? this.#store.get(kind, namespace, name)
      : (past.object as ObjectOf<K> | undefined);
  }

  list<K extends string>(kind: K, namespace?: string): readonly ObjectOf<K>[] {
    const now = this.#store.list(kind, namespace) as readonly KubeObject[];
    return this.#rewind(now, (past) => {
      return past.kind === kind && (namespace === undefined || past.metadata.namespace === namespace);
    }) as readonly ObjectOf<K>[];
  }

  ownedBy(uid: string): readonly KubeObject[] {
    return this.#rewind(
      this.#store.ownedBy(uid),
      (past) => past.metadata.ownerReferences?.some((owner) => owner.uid === uid) ?? false,
    );
  }

  /** Those unchanged since, and those that were there then; in the store's order. */
  #rewind(now: readonly KubeObject[], belongs: (past: KubeObject) => boolean): readonly KubeObject[] {
    const unchanged = now.filter(
      ({ kind, metadata }) => !this.#before.has(nameOf(kind, metadata.namespace ?? "", metadata.name)),
    );
    const past: KubeObject[] = [];
    for (const { object } of this.#before.values())
      if (object !== undefined && belongs(object)) past.push(object);
    if (past.length === 0) return unchanged;
    return [...unchanged, ...past].sort((a, b) => compare(sortKey(a), sortKey(b)));
  }
}

function nameOf(kind: string, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`;
}

function sortKey({ kind, metadata }: KubeObject): string {
  return nameOf(kind, metadata.namespace ?? "", metadata.name);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
