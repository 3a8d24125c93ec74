/**
 * A cluster in virtual time: the real controllers, the real store and API, simulated nodes and kubelets, one seed. The
 * same seed gives the same run, to the millisecond. Faults are options (`faults.ts`), properties are checked while it
 * runs (`checkers/`), and what happened can be read (`transcript.ts`).
 *
 * @example
 * const world = createWorld({ seed: 7, controllers: [deploymentController, replicaSetController] });
 * world.do("create", () => world.api.create(deployment));
 * world.run({ forMs: 60_000 });
 * console.log(world.transcript.render());
 */
import { type Random, seededRandom } from "@slipway/base";
import {
  type Api,
  bootstrapCluster,
  createApi,
  createStore,
  type Deployment,
  type Pod,
  type Store,
  type StoreEvent,
} from "@slipway/kube";
import type { Controller } from "../controllers/controller.ts";
import type { Actor, Checker } from "./checkers/checker.ts";
import { FaultCounts, type Faults, NO_FAULTS } from "./faults.ts";
import { faultyApi } from "./faulty-api.ts";
import { History } from "./history.ts";
import { Kubelets, ORDINARY_POD, type PodBehaviour } from "./pods.ts";
import { TimeQueue } from "./queue.ts";
import { Runner } from "./runner.ts";
import { Transcript } from "./transcript.ts";

export interface WorldOptions {
  readonly seed: number;
  readonly controllers: readonly Controller[];
  /** Names, or how many. Default 10. */
  readonly nodes?: number | readonly string[];
  readonly faults?: Faults;
  /** How pods of an image behave; `ORDINARY_POD` for those not named. */
  readonly behaviours?: Readonly<Record<string, PodBehaviour>>;
  readonly checkers?: readonly Checker[];
  /** No decision on a picture older than the controller's own last write. Default true; see `runner.ts`. */
  readonly isProtected?: boolean;
  /**
   * False: the API checks, validates and tracks managed fields as a server does, for worlds that more than our own
   * controllers write to; slower. Default true.
   */
  readonly isTrusted?: boolean;
  /** Virtual wall time at the start, ms since the epoch. Default 2026-01-01. */
  readonly startMs?: number;
}

export interface World {
  readonly api: Api;
  readonly store: Store;
  readonly random: Random;
  readonly transcript: Transcript;
  readonly faultCounts: FaultCounts;
  /** Virtual time, ms since the epoch. */
  now(): number;
  /** Virtual time since the start. */
  elapsedMs(): number;
  /** A step of the scenario: what the user does, logged and at once. Fault counts are kept per step. */
  do(step: string, action: () => void): void;
  after(ms: number, run: () => void): void;
  /** Runs until `until` holds, or for `forMs` of virtual time. True when `until` held. */
  run(limits: { readonly forMs: number; readonly until?: () => boolean }): boolean;
  setFaults(faults: Faults): void;
  /** Ends all faults: what lasted is repaired, what was missed is delivered in time. */
  heal(): void;
  /** Asks every checker whether the world at rest is as it should be; throws a Violation. */
  checkAtRest(): void;
  /** When the next event is due, ms since the epoch; undefined when nothing is. */
  readonly nextAtMs: number | undefined;
  /** Virtual events that were run. */
  readonly events: number;
}

export function createWorld(options: WorldOptions): World {
  const startMs = options.startMs ?? Date.UTC(2026, 0, 1);
  const random = seededRandom(options.seed);
  const checkers = options.checkers ?? [];
  const store = createStore({ replay: 64 });
  const queue = new TimeQueue();
  const history = new History(store);
  const transcript = new Transcript();
  const faultCounts = new FaultCounts();
  const isDoing: { actor: Actor; step: string } = { actor: { kind: "user" }, step: "start" };
  let faults = NO_FAULTS;
  /** Rises when faults change, so that those planned under the old ones do not strike. */
  let faultsVersion = 0;
  let quotaUntilMs = 0;
  let nowMs = startMs;
  let events = 0;

  const now = (): number => nowMs;
  const api = createApi({ store, now, random, trusted: options.isTrusted ?? true });
  const after = (ms: number, run: () => void): void => queue.add(nowMs + ms, run);
  const log = (who: string, what: string, text: string): void =>
    transcript.add(nowMs - startMs, who, what, text);
  const as = (actor: Actor, run: () => void): void => {
    const before = isDoing.actor;
    isDoing.actor = actor;
    try {
      run();
    } finally {
      isDoing.actor = before;
    }
  };
  const shared = {
    random,
    now,
    after,
    faults: () => faults,
    count: (fault: Parameters<FaultCounts["add"]>[1]) => faultCounts.add(isDoing.step, fault),
  };

  const nodes =
    typeof options.nodes === "object"
      ? options.nodes
      : Array.from({ length: options.nodes ?? 10 }, (_, index) => `node-${index + 1}`);
  const kubelets = new Kubelets(
    {
      ...shared,
      api,
      placesPods: !options.controllers.some(({ name }) => name === "default-scheduler"),
      behaviourOf: (pod: Pod) => options.behaviours?.[pod.spec.containers[0]?.image ?? ""] ?? ORDINARY_POD,
      as: (kind, run) => as({ kind }, run),
      log,
    },
    nodes,
  );
  const controllersApi = faultyApi(api, {
    strikes: () => {
      if (random.ratio(faults.writeConflictPerMille, 1000)) return "write conflict";
      if (random.ratio(faults.apiErrorPerMille, 1000)) return "api error";
      return random.ratio(faults.lostReplyPerMille, 1000) ? "lost reply" : undefined;
    },
    isQuotaFull: () => nowMs < quotaUntilMs,
    count: shared.count,
  });
  const checked = { store, now };
  const runners = options.controllers.map(
    (controller) =>
      new Runner(controller, {
        ...shared,
        api: controllersApi,
        history,
        isProtected: options.isProtected ?? true,
        decided: (who, key, snapshot, decision) => {
          for (const checker of checkers) checker.onDecision?.(who, key, snapshot, decision, nowMs);
        },
        acting: ({ name }, snapshot, run) => as({ kind: "controller", name, snapshot }, run),
        recorded: ({ name }, { about, message }) =>
          log(name.replace(/-controller$/, ""), about.name ?? "", message),
      }),
  );

  store.watch({}, (event) => {
    history.record(event, nowMs);
    for (const checker of checkers) checker.onCommit?.(event, isDoing.actor, checked);
    if (event.object.kind === "Pod") kubelets.onPod(event);
    const progress = event.object.kind === "Deployment" ? progressIn(event) : undefined;
    if (progress !== undefined) log("deployment", event.object.metadata.name, progress);
    for (const runner of runners) runner.notify(event);
  });
  as({ kind: "user" }, () => {
    if (options.isTrusted === false) bootstrapCluster(api);
    for (const name of nodes) store.commit({ op: "create", object: simulatedNode(name, nowMs) });
  });

  /** Strikes again and again at intervals of `everyMs` on average, until the faults change. */
  const strikeEvery = (everyMs: number, strike: () => void): void => {
    if (everyMs === 0) return;
    const version = faultsVersion;
    const again = (): void => {
      after(1 + random.int(2 * everyMs), () => {
        if (version !== faultsVersion) return;
        strike();
        again();
      });
    };
    again();
  };
  const setFaults = (next: Faults): void => {
    faults = next;
    faultsVersion += 1;
    strikeEvery(faults.nodeCrashEveryMs, () => kubelets.crashSomeNode());
    strikeEvery(faults.podCrashEveryMs, () => kubelets.crashSomePod());
    strikeEvery(faults.readinessFlapEveryMs, () => kubelets.flapSomePod());
    strikeEvery(faults.quotaEveryMs, () => {
      log("fault", "pods", "quota full");
      quotaUntilMs = nowMs + 2000 + random.int(8000);
    });
    strikeEvery(faults.controllerRestartEveryMs, () => {
      const runner = random.pick(runners);
      log("fault", runner.controller.name, "controller restart");
      shared.count("controller restart");
      runner.restart(1000 + random.int(4000));
    });
  };
  setFaults(options.faults ?? NO_FAULTS);

  return {
    api,
    store,
    random,
    transcript,
    faultCounts,
    now,
    after,
    setFaults,
    elapsedMs: () => nowMs - startMs,
    get nextAtMs() {
      return queue.nextAtMs;
    },
    get events() {
      return events;
    },
    do(step, action) {
      isDoing.step = step;
      log("user", "", step);
      as({ kind: "user" }, action);
    },
    run({ forMs, until }) {
      const endMs = nowMs + forMs;
      for (;;) {
        if (until?.() === true) return true;
        if ((queue.nextAtMs ?? Number.POSITIVE_INFINITY) > endMs) break;
        const next = queue.take();
        if (next === undefined) break;
        nowMs = next.atMs;
        events += 1;
        next.run();
      }
      nowMs = endMs;
      return until?.() ?? false;
    },
    heal() {
      log("user", "", "heal");
      setFaults(NO_FAULTS);
      quotaUntilMs = 0;
      kubelets.heal();
    },
    checkAtRest() {
      for (const checker of checkers) checker.atRest?.(checked);
    },
  };
}

/** How far a Deployment is, when that has changed: `8 of 10 available, 3 updated, ReplicaSetUpdated`. */
function progressIn({ object, previous, type }: StoreEvent): string | undefined {
  if (type === "DELETED") return undefined;
  const tell = ({ spec, status = {} }: Deployment): string => {
    const { availableReplicas = 0, updatedReplicas = 0, conditions = [] } = status;
    const reason = conditions.find((condition) => condition.type === "Progressing")?.reason;
    return `${availableReplicas} of ${spec.replicas ?? 1} available, ${updatedReplicas} updated${reason === undefined ? "" : `, ${reason}`}`;
  };
  const text = tell(object as Deployment);
  return previous !== undefined && tell(previous as Deployment) === text ? undefined : text;
}

function simulatedNode(name: string, now: number) {
  const time = new Date(now).toISOString().replace(/\.\d+Z$/, "Z");
  const room = { cpu: "16", memory: "64Gi", pods: "110" };
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name,
      uid: `uid-of-${name}`,
      creationTimestamp: time,
      labels: { "kubernetes.io/hostname": name },
    },
    spec: {},
    status: {
      capacity: room,
      allocatable: room,
      conditions: [{ type: "Ready", status: "True", lastTransitionTime: time }],
    },
  };
}
