/**
 * Runs controllers in real time: a change in the store puts keys into the queues of the controllers it concerns,
 * each key is decided on the snapshot of that moment, and the commands are written through the API in order.
 *
 * The store and the API are synchronous, so a decision and its writes are one atomic step: no informer lag, no
 * expectations, no locks. Turns are taken in microtasks and handed back to the event loop every few
 * milliseconds, so that a large rollout does not starve sockets.
 */
import { type Clock, until } from "@slipway/base";
import type { Api, StoreEvent, Watch } from "@slipway/kube";
import type { Controller, Key } from "../controllers/controller.ts";
import { execute } from "../controllers/execute.ts";
import { WorkQueue } from "./queue.ts";
import { createRecorder, type EventRecorder } from "./recorder.ts";

export interface Driver {
  /** Looks at everything that exists, then follows changes. */
  start(): void;
  /** No command is written after this returns. */
  stop(): void;
  /** Resolves when no key waits and none is between failures; timers (deadlines, minReadySeconds) may be set. */
  idle(timeoutMs?: number): Promise<void>;
}

export interface DriverOptions {
  readonly api: Api;
  readonly controllers: readonly Controller[];
  readonly clock: Clock;
  /** Told of errors that are no answers of the API: bugs. The key is retried either way. */
  readonly onError?: (error: unknown, controller: string, key: Key) => void;
}

/** How long the driver holds the event loop before it lets input and output have a turn. */
const TURN_MS = 8;

interface Runner {
  readonly controller: Controller;
  readonly queue: WorkQueue;
  readonly recorder: EventRecorder;
}

export function createDriver({ api, controllers, clock, onError }: DriverOptions): Driver {
  let watch: Watch | undefined;
  let isPumping = false;

  const wake = (): void => {
    if (isPumping || watch === undefined) return;
    isPumping = true;
    queueMicrotask(pump);
  };

  const runners = controllers.map(
    (controller): Runner => ({
      controller,
      queue: new WorkQueue(clock, wake),
      recorder: createRecorder({ api, now: () => clock.now(), component: controller.name }),
    }),
  );
  const interested = Map.groupBy(
    runners.flatMap((runner) => runner.controller.watches.map((interest) => ({ runner, ...interest }))),
    ({ kind }) => kind,
  );

  const onEvent = ({ object, previous }: Pick<StoreEvent, "object" | "previous">): void => {
    for (const { runner, keys } of interested.get(object.kind) ?? []) {
      for (const key of keys(object, previous, api.store)) runner.queue.add(key);
    }
  };

  const pump = (): void => {
    const startedMs = clock.monotonic();
    let busy = true;
    while (busy && watch !== undefined) {
      busy = false;
      for (const runner of runners) {
        const key = runner.queue.take();
        if (key === undefined) continue;
        busy = true;
        turn(runner, key);
      }
      if (busy && clock.monotonic() - startedMs > TURN_MS) {
        setImmediate(pump);
        return;
      }
    }
    isPumping = false;
  };

  const turn = ({ controller, queue, recorder }: Runner, key: Key): void => {
    try {
      const decision = controller.decide(api.store, key, clock.now());
      const outcome = execute(decision, {
        api,
        fieldManager: controller.name,
        recordEvent: (event) => recorder.record(event),
      });
      if (outcome.kind !== "applied") return queue.failed(key);
      queue.succeeded(key);
      if (decision.requeueAfterMs !== undefined) queue.addAfter(key, decision.requeueAfterMs);
    } catch (error) {
      queue.failed(key);
      onError?.(error, controller.name, key);
    }
  };

  return {
    start() {
      if (watch !== undefined) return;
      watch = api.store.watch({}, onEvent);
      for (const kind of interested.keys()) {
        for (const object of api.store.list(kind)) onEvent({ object, previous: undefined });
      }
      wake();
    },
    stop() {
      watch?.close();
      watch = undefined;
      for (const { queue } of runners) queue.close();
    },
    async idle(timeoutMs = 10_000) {
      const isIdle = (): boolean =>
        !isPumping && runners.every(({ queue }) => queue.size === 0 && !queue.isRetrying);
      await until("the controllers to be idle", isIdle, { clock, timeoutMs });
    },
  };
}
