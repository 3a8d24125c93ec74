/**
 * One controller in virtual time: a queue of keys, back-off, and a cache that may lag. The promise that makes a lagging
 * cache safe is kept here: no decision on a picture older than the controller's own last write for that key
 * (`isProtected`; the tests turn it off to see that it matters).
 */
import type { Random } from "@slipway/base";
import type { Api, StoreEvent } from "@slipway/kube";
import type { Controller, Decision, Key, Snapshot } from "../controllers/controller.ts";
import { type EventCommand, execute } from "../controllers/execute.ts";
import type { Fault, Faults } from "./faults.ts";
import type { History } from "./history.ts";

/** What a runner needs of its world. */
export interface Surroundings {
  readonly api: Api;
  readonly history: History;
  readonly random: Random;
  readonly isProtected: boolean;
  now(): number;
  after(ms: number, run: () => void): void;
  faults(): Faults;
  count(fault: Fault): void;
  /** Around each decision's writes, so that checkers know who writes and what it had seen. */
  decided(controller: Controller, key: Key, snapshot: Snapshot, decision: Decision): void;
  acting(controller: Controller, snapshot: Snapshot, run: () => void): void;
  recorded(controller: Controller, event: EventCommand): void;
}

/** A key that keeps failing is asked again after 5 ms, 10 ms, 20 ms, … up to 1,000 s, as in client-go. */
const FIRST_BACK_OFF_MS = 5;
const MAX_BACK_OFF_MS = 1_000_000;
const MAX_LAG_MS = 2000;

export class Runner {
  readonly controller: Controller;
  readonly #world: Surroundings;
  readonly #dueAtMs = new Map<Key, number>();
  readonly #failures = new Map<Key, number>();
  readonly #ownWrites = new Map<Key, number>();
  #seenVersion = 0;
  #isDown = false;
  #isListing = false;
  /** Timers set before a restart mean nothing after it. */
  #life = 0;

  constructor(controller: Controller, world: Surroundings) {
    this.controller = controller;
    this.#world = world;
  }

  notify(event: StoreEvent): void {
    if (this.#isDown) return;
    const { random, api } = this.#world;
    const faults = this.#world.faults();
    for (const { kind, keys } of this.controller.watches) {
      if (kind !== event.object.kind) continue;
      for (const key of keys(event.object, event.previous, api.store)) {
        if (random.ratio(faults.droppedNotificationPerMille, 1000)) {
          this.#world.count("dropped notification");
          this.#listLater();
        } else if (random.ratio(faults.delayedNotificationPerMille, 1000)) {
          this.#world.count("delayed notification");
          this.enqueue(key, 200 + random.int(2800));
        } else {
          this.enqueue(key, 1 + random.int(4));
          if (random.ratio(faults.duplicatedNotificationPerMille, 1000)) {
            this.#world.count("duplicated notification");
            this.#world.after(5 + random.int(500), () => this.enqueue(key, 0));
          }
        }
      }
    }
  }

  enqueue(key: Key, afterMs: number): void {
    if (this.#isDown) return;
    const atMs = this.#world.now() + afterMs;
    const due = this.#dueAtMs.get(key);
    if (due !== undefined && due <= atMs) return;
    this.#dueAtMs.set(key, atMs);
    const life = this.#life;
    this.#world.after(afterMs, () => {
      if (life !== this.#life || this.#dueAtMs.get(key) !== atMs) return;
      this.#dueAtMs.delete(key);
      this.#turn(key);
    });
  }

  /** Everything that the controller watches, as after a start. */
  list(): void {
    const { api } = this.#world;
    for (const { kind, keys } of this.controller.watches) {
      for (const object of api.store.list(kind)) {
        for (const key of keys(object, undefined, api.store)) this.enqueue(key, 1);
      }
    }
  }

  restart(downMs: number): void {
    if (this.#isDown) return;
    this.#isDown = true;
    this.#life += 1;
    this.#dueAtMs.clear();
    this.#failures.clear();
    this.#ownWrites.clear();
    this.#world.after(downMs, () => {
      this.#isDown = false;
      // A new process lists first: its cache begins with the present, which includes all it ever wrote.
      this.#seenVersion = this.#world.api.store.resourceVersion;
      this.list();
    });
  }

  /** A lost watch is opened again with a list, which makes good whatever was missed. */
  #listLater(): void {
    if (this.#isListing) return;
    this.#isListing = true;
    this.#world.after(5000 + this.#world.random.int(5000), () => {
      this.#isListing = false;
      if (!this.#isDown) this.list();
    });
  }

  #turn(key: Key): void {
    const version = this.#pictureFor(key);
    if (version === undefined) return;
    const { history } = this.#world;
    const snapshot = history.at(version);
    const now = this.#world.now();
    const decision = this.controller.decide(snapshot, key, now);
    this.#world.decided(this.controller, key, snapshot, decision);
    this.#world.acting(this.controller, snapshot, () => this.#act(key, decision));
    if (decision.requeueAfterMs !== undefined) this.enqueue(key, decision.requeueAfterMs);
  }

  /** The version to decide on, or undefined when the key was put back until the cache has caught up. */
  #pictureFor(key: Key): number | undefined {
    const { random, history, api } = this.#world;
    const newest = api.store.resourceVersion;
    const isStale = random.ratio(this.#world.faults().staleSnapshotPerMille, 1000);
    if (!isStale) {
      this.#seenVersion = newest;
      return newest;
    }
    const lagMs = random.int(MAX_LAG_MS);
    const version = Math.max(this.#seenVersion, history.versionAt(this.#world.now() - lagMs));
    if (version >= newest) return newest;
    this.#world.count("stale snapshot");
    // What this picture does not show yet will be notified when it does.
    this.enqueue(key, Math.max(1, lagMs));
    if (this.#world.isProtected && version < (this.#ownWrites.get(key) ?? 0)) {
      this.enqueue(key, 20);
      return undefined;
    }
    this.#seenVersion = version;
    return version;
  }

  #act(key: Key, decision: Decision): void {
    const { api } = this.#world;
    const outcome = execute(decision, {
      api,
      recordEvent: (event) => this.#world.recorded(this.controller, event),
    });
    if (outcome.resourceVersion !== undefined) this.#ownWrites.set(key, outcome.resourceVersion);
    if (outcome.kind === "applied") {
      this.#failures.delete(key);
      return;
    }
    // After an error nobody knows whether the write was stored: only a picture from now on can tell.
    if (outcome.kind === "refused") this.#ownWrites.set(key, api.store.resourceVersion);
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.enqueue(key, Math.min(MAX_BACK_OFF_MS, FIRST_BACK_OFF_MS * 2 ** failures));
  }
}
