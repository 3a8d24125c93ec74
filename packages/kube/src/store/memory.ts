/**
 * The store in memory: what the simulation, the tests and (behind `journal.ts`) the local clusters run on.
 *
 * Made for many small commits: an update is one map look-up and one new object, order is kept by inserting into a
 * sorted array, and a list is an array that is built when first asked for and reused until the next commit to it.
 * A list that was handed out never changes; nobody needs to copy one.
 */
import { assert } from "@slipway/base";
import { alreadyExists, conflict, expired, notFound } from "../api/errors.ts";
import type { ObjectOf } from "../resources/kinds.ts";
import type { KubeObject, OwnerReference } from "../resources/meta.ts";
import type { Store, StoreEvent, Watch, Write } from "./store.ts";

/** Everything a store holds at one version; what `createStore({ from })` starts with. */
export interface StoreSnapshot {
  readonly resourceVersion: number;
  readonly objects: readonly KubeObject[];
}

export interface MemoryStore extends Store {
  /** All objects of all kinds, by kind, namespace and name. */
  snapshot(): StoreSnapshot;
}

export interface StoreOptions {
  readonly from?: StoreSnapshot;
  /** How many of the newest events are kept for watches that start in the past. Default 10,000. */
  readonly replay?: number;
  /**
   * Called with every commit before it takes effect and before anyone hears of it. When it throws, the commit
   * throws that error and nothing has happened.
   */
  readonly persist?: (event: StoreEvent) => void;
}

/** The place of one object. It outlives updates, so that the indexes need not be touched by them. */
interface Entry {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  object: KubeObject;
}

interface NamespaceIndex {
  readonly byName: Map<string, Entry>;
  /** By name, in order of code units. */
  readonly sorted: Entry[];
  list: readonly KubeObject[] | undefined;
}

interface KindIndex {
  readonly byNamespace: Map<string, NamespaceIndex>;
  /** Names of the namespaces, in order. Empty ones stay: they are few. */
  readonly namespaces: string[];
  list: readonly KubeObject[] | undefined;
}

interface OwnedIndex {
  readonly entries: Set<Entry>;
  /** The entries in order, until one joins or leaves. */
  sorted: readonly Entry[] | undefined;
  list: readonly KubeObject[] | undefined;
}

interface Watcher {
  readonly listener: (event: StoreEvent) => void;
  /** The newest version this watcher knows of. */
  seen: number;
}

const NOTHING: readonly never[] = [];
const EVERY_KIND = "";

export function createStore(options: StoreOptions = {}): MemoryStore {
  return new IndexedStore(options);
}

class IndexedStore implements MemoryStore {
  #resourceVersion: number;
  /** Watches may start at this version or later. */
  #oldest: number;
  readonly #kinds = new Map<string, KindIndex>();
  readonly #owned = new Map<string, OwnedIndex>();
  /** The event of version v is at v % capacity: versions rise by one, so the slot that is reused is the oldest. */
  readonly #ring: StoreEvent[] = [];
  readonly #capacity: number;
  readonly #watchers = new Map<string, Set<Watcher>>();
  readonly #persist: ((event: StoreEvent) => void) | undefined;
  #undelivered: StoreEvent[] = [];
  #delivering = false;

  constructor(options: StoreOptions) {
    this.#capacity = options.replay ?? 10_000;
    assert(this.#capacity > 0, "a store keeps at least one event");
    this.#persist = options.persist;
    this.#resourceVersion = options.from?.resourceVersion ?? 0;
    this.#oldest = this.#resourceVersion;
    for (const object of options.from?.objects ?? []) {
      const version = Number(object.metadata.resourceVersion);
      assert(version <= this.#resourceVersion, "a snapshot holds no object newer than itself");
      this.#insert(object);
    }
  }

  get resourceVersion(): number {
    return this.#resourceVersion;
  }

  get<K extends string>(kind: K, namespace: string, name: string): ObjectOf<K> | undefined {
    return this.#entry(kind, namespace, name)?.object as ObjectOf<K> | undefined;
  }

  list<K extends string>(kind: K, namespace?: string): readonly ObjectOf<K>[] {
    const index = this.#kinds.get(kind);
    if (index === undefined) return NOTHING;
    if (namespace !== undefined) {
      const inNamespace = index.byNamespace.get(namespace);
      return inNamespace === undefined ? NOTHING : (listOf(inNamespace) as readonly ObjectOf<K>[]);
    }
    index.list ??= index.namespaces.flatMap((each) => listOf(index.byNamespace.get(each) as NamespaceIndex));
    return index.list as readonly ObjectOf<K>[];
  }

  ownedBy(uid: string): readonly KubeObject[] {
    const owned = this.#owned.get(uid);
    if (owned === undefined) return NOTHING;
    // Sorted, so that a store that was read back from a snapshot answers in the same order.
    owned.sorted ??= [...owned.entries].sort(compareEntries);
    owned.list ??= owned.sorted.map((entry) => entry.object);
    return owned.list;
  }

  snapshot(): StoreSnapshot {
    const objects = [...this.#kinds.keys()]
      .sort()
      .flatMap((kind) => this.list(kind) as readonly KubeObject[]);
    return { resourceVersion: this.#resourceVersion, objects };
  }

  commit(write: Write): KubeObject {
    const event = this.#plan(write);
    this.#persist?.(event);
    this.#apply(event);
    assert(event.resourceVersion === this.#resourceVersion, "a commit takes exactly the next version");
    this.#ring[event.resourceVersion % this.#capacity] = event;
    this.#oldest = Math.max(this.#oldest, event.resourceVersion - this.#capacity);
    if (this.#watchers.size > 0) this.#deliver(event);
    return event.object;
  }

  watch(
    filter: { readonly kind?: string; readonly from?: number },
    listener: (event: StoreEvent) => void,
  ): Watch {
    const from = filter.from ?? this.#resourceVersion;
    if (from < this.#oldest) throw expired(from, this.#oldest);
    const kind = filter.kind ?? EVERY_KIND;
    const watcher: Watcher = { listener, seen: Math.max(from, this.#resourceVersion) };
    const group = this.#watchers.get(kind) ?? new Set();
    this.#watchers.set(kind, group.add(watcher));
    // Bounded by the version of this moment: what the listener itself commits is delivered as live events.
    const newest = this.#resourceVersion;
    for (let version = from + 1; version <= newest; version += 1) {
      const event = this.#ring[version % this.#capacity] as StoreEvent;
      assert(event.resourceVersion === version, "the ring holds every version of the replay window");
      if (kind === EVERY_KIND || event.object.kind === kind) listener(event);
    }
    return {
      close: () => {
        group.delete(watcher);
        if (group.size === 0 && this.#watchers.get(kind) === group) this.#watchers.delete(kind);
      },
    };
  }

  /** What the write will do, or the error that refuses it. Changes nothing. */
  #plan(write: Write): StoreEvent {
    const resourceVersion = this.#resourceVersion + 1;
    switch (write.op) {
      case "create": {
        const { kind, metadata } = write.object;
        assert(metadata.name !== undefined && metadata.name !== "", "a stored object has a name");
        if (this.#entry(kind, metadata.namespace ?? "", metadata.name) !== undefined) {
          throw alreadyExists(kind, metadata.name);
        }
        const object = withVersion(write.object, resourceVersion);
        return { type: "ADDED", object, previous: undefined, resourceVersion };
      }
      case "update": {
        const { kind, metadata } = write.object;
        const previous = this.#expect(kind, metadata.namespace ?? "", metadata.name, write.expect).object;
        assert(metadata.uid === previous.metadata.uid, "an update keeps the uid");
        const object = withVersion(write.object, resourceVersion);
        return { type: "MODIFIED", object, previous, resourceVersion };
      }
      case "delete": {
        const previous = this.#expect(write.kind, write.namespace, write.name, write.expect).object;
        return { type: "DELETED", object: withVersion(previous, resourceVersion), previous, resourceVersion };
      }
    }
  }

  #apply({ type, object, previous, resourceVersion }: StoreEvent): void {
    this.#resourceVersion = resourceVersion;
    if (type === "ADDED") {
      this.#insert(object);
      return;
    }
    const { namespace = "", name } = object.metadata;
    const entry = this.#entry(object.kind, namespace, name);
    assert(
      entry !== undefined && entry.object === previous,
      "a commit is applied to the state it was made from",
    );
    if (type === "MODIFIED") this.#replace(entry, object);
    else this.#remove(entry);
  }

  #entry(kind: string, namespace: string, name: string): Entry | undefined {
    return this.#kinds.get(kind)?.byNamespace.get(namespace)?.byName.get(name);
  }

  #expect(kind: string, namespace: string, name: string, expect: string | undefined): Entry {
    const entry = this.#entry(kind, namespace, name);
    if (entry === undefined) throw notFound(kind, name);
    if (expect !== undefined && entry.object.metadata.resourceVersion !== expect) throw conflict(kind, name);
    return entry;
  }

  #insert(object: KubeObject): void {
    const { name, namespace = "", ownerReferences } = object.metadata;
    let kindIndex = this.#kinds.get(object.kind);
    if (kindIndex === undefined) {
      kindIndex = { byNamespace: new Map(), namespaces: [], list: undefined };
      this.#kinds.set(object.kind, kindIndex);
    }
    let index = kindIndex.byNamespace.get(namespace);
    if (index === undefined) {
      index = { byName: new Map(), sorted: [], list: undefined };
      kindIndex.byNamespace.set(namespace, index);
      kindIndex.namespaces.push(namespace);
      kindIndex.namespaces.sort();
    }
    const entry: Entry = { kind: object.kind, namespace, name, object };
    index.byName.set(name, entry);
    index.sorted.splice(positionOf(index.sorted, name), 0, entry);
    assert(index.byName.size === index.sorted.length, "map and order hold the same objects");
    index.list = undefined;
    kindIndex.list = undefined;
    if (ownerReferences !== undefined) this.#own(entry, ownerReferences);
  }

  #replace(entry: Entry, object: KubeObject): void {
    const kindIndex = this.#kinds.get(entry.kind) as KindIndex;
    kindIndex.list = undefined;
    (kindIndex.byNamespace.get(entry.namespace) as NamespaceIndex).list = undefined;
    const before = entry.object.metadata.ownerReferences;
    const after = object.metadata.ownerReferences;
    entry.object = object;
    if (before === after) {
      for (const { uid } of after ?? NOTHING) (this.#owned.get(uid) as OwnedIndex).list = undefined;
      return;
    }
    if (before !== undefined) this.#disown(entry, before);
    if (after !== undefined) this.#own(entry, after);
  }

  #remove(entry: Entry): void {
    const kindIndex = this.#kinds.get(entry.kind) as KindIndex;
    const index = kindIndex.byNamespace.get(entry.namespace) as NamespaceIndex;
    const position = positionOf(index.sorted, entry.name);
    assert(index.sorted[position] === entry, "every object has its place in the order");
    index.sorted.splice(position, 1);
    index.byName.delete(entry.name);
    assert(index.byName.size === index.sorted.length, "map and order hold the same objects");
    index.list = undefined;
    kindIndex.list = undefined;
    const { ownerReferences } = entry.object.metadata;
    if (ownerReferences !== undefined) this.#disown(entry, ownerReferences);
  }

  #own(entry: Entry, references: readonly OwnerReference[]): void {
    for (const { uid } of references) {
      let owned = this.#owned.get(uid);
      if (owned === undefined) {
        owned = { entries: new Set(), sorted: undefined, list: undefined };
        this.#owned.set(uid, owned);
      }
      owned.entries.add(entry);
      owned.sorted = undefined;
      owned.list = undefined;
    }
  }

  #disown(entry: Entry, references: readonly OwnerReference[]): void {
    for (const { uid } of references) {
      const owned = this.#owned.get(uid);
      if (owned === undefined) continue; // named twice in one list
      owned.entries.delete(entry);
      owned.sorted = undefined;
      owned.list = undefined;
      if (owned.entries.size === 0) this.#owned.delete(uid);
    }
  }

  /**
   * Watchers see events in the order of their versions, also when a listener commits: such a commit returns first
   * and its event follows the one being delivered. A listener that throws keeps no other from hearing the event.
   */
  #deliver(event: StoreEvent): void {
    this.#undelivered.push(event);
    if (this.#delivering) return;
    this.#delivering = true;
    let failure: { error: unknown } | undefined;
    for (let next = this.#undelivered.shift(); next !== undefined; next = this.#undelivered.shift()) {
      for (const group of [this.#watchers.get(next.object.kind), this.#watchers.get(EVERY_KIND)]) {
        for (const watcher of group ?? NOTHING) {
          if (watcher.seen >= next.resourceVersion) continue; // it started after this event
          watcher.seen = next.resourceVersion;
          try {
            watcher.listener(next);
          } catch (error) {
            failure ??= { error };
          }
        }
      }
    }
    this.#delivering = false;
    if (failure !== undefined) throw failure.error;
  }
}

function withVersion(object: KubeObject, resourceVersion: number): KubeObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(resourceVersion) } };
}

function listOf(index: NamespaceIndex): readonly KubeObject[] {
  index.list ??= index.sorted.map((entry) => entry.object);
  return index.list;
}

/** Where `name` is, or belongs, in the order. */
function positionOf(sorted: readonly Entry[], name: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as Entry).name < name) low = middle + 1;
    else high = middle;
  }
  return low;
}

function compareEntries(a: Entry, b: Entry): number {
  return compareText(a.kind, b.kind) || compareText(a.namespace, b.namespace) || compareText(a.name, b.name);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
