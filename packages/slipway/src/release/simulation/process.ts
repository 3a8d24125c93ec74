/**
 * One process that runs the release engine: its clock, its clients, and the step it is at. It can be killed (from then on
 * nothing of it happens, not even the answer to what it has sent) or stopped for a while (a laptop that sleeps: everything
 * it had in mind happens later, when others may have gone on).
 */
import type { Clock, Random } from "@slipway/base";
import type { World } from "@slipway/cluster";
import {
  type AnyObject,
  createMemoryClient,
  type KubeClient,
  type KubeObject,
  type TypeRef,
} from "@slipway/kube";
import type { ReleaseEvent } from "../events.ts";
import type { ReleaseContext } from "../model.ts";
import type { Network } from "./network.ts";
import { type Step, stepAfterCall, stepAfterEvent } from "./steps.ts";

export interface SimulatedCluster {
  readonly name: string;
  readonly world: World;
  readonly network: Network;
}

/** What a process needs of the stage it is on. */
export interface Surroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly clusters: readonly SimulatedCluster[];
  readonly processes: readonly { readonly pid: number; readonly isDead: boolean }[];
}

/** How long a cluster may be silent before a release gives it up. */
export const UNREACHABLE_AFTER_MS = 20_000;

export class Process {
  readonly host: string;
  readonly pid: number;
  readonly clock: Clock;
  readonly events: ReleaseEvent[] = [];
  /** Its command has given a result. */
  hasEnded = false;
  /** By the stage's clock, not its own. */
  lockedAtMs: number | undefined;
  /** Asked before every call; a fault strikes here. */
  onCall: (call: {
    readonly step: Step;
    readonly cluster: SimulatedCluster;
    readonly verb: string;
    /** Of the object that is sent, where one is. */
    readonly kind: string | undefined;
  }) => void = () => undefined;
  /** Told of every event of a living process. */
  onTold: (event: ReleaseEvent) => void = () => undefined;
  readonly #stage: Surroundings;
  #isDead = false;
  #stoppedUntilMs = 0;
  #step: Step = "plan";

  constructor(
    stage: Surroundings,
    identity: { readonly host: string; readonly pid: number; readonly skewMs: number },
  ) {
    this.#stage = stage;
    this.host = identity.host;
    this.pid = identity.pid;
    const { clock } = stage;
    this.clock = {
      now: () => clock.now() + identity.skewMs,
      monotonic: () => clock.monotonic(),
      sleep: async (ms, signal) => {
        await clock.sleep(ms, signal);
        await this.#turn();
      },
    };
  }

  get step(): Step {
    return this.#step;
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  kill(): void {
    this.#isDead = true;
  }

  stopFor(ms: number): void {
    this.#stoppedUntilMs = this.#stage.clock.now() + ms;
  }

  readonly onEvent = (event: ReleaseEvent): void => {
    if (this.#isDead) return;
    if (event.type === "locked") this.lockedAtMs = this.#stage.clock.now();
    this.events.push(event);
    this.#step = stepAfterEvent(this.#step, event);
    this.onTold(event);
  };

  context(
    changes: Pick<ReleaseContext, "service" | "namespace" | "release"> & Partial<ReleaseContext>,
  ): ReleaseContext {
    return {
      environment: "simulated",
      clock: this.clock,
      random: this.#stage.random,
      who: `someone-on-${this.host}`,
      from: "simulation",
      host: this.host,
      pid: this.pid,
      targets: this.#stage.clusters.map((cluster) => ({ name: cluster.name, client: this.#client(cluster) })),
      isHolderAlive: (holder) => {
        if (holder.host !== this.host) return undefined;
        return this.#stage.processes.some(({ pid, isDead }) => pid === holder.pid && !isDead);
      },
      unreachableAfterMs: UNREACHABLE_AFTER_MS,
      ...changes,
    };
  }

  /** Passes when the process is running; never, when it is dead. */
  async #turn(): Promise<void> {
    if (this.#isDead) return new Promise<never>(() => undefined);
    const { clock } = this.#stage;
    while (clock.now() < this.#stoppedUntilMs) await clock.sleep(this.#stoppedUntilMs - clock.now());
    return this.#isDead ? new Promise<never>(() => undefined) : undefined;
  }

  #client(cluster: SimulatedCluster): KubeClient {
    const { name, network } = cluster;
    const inner = createMemoryClient({ name, api: cluster.world.api });
    const call =
      <A extends unknown[], R>(verb: string, isWrite: boolean, perform: (...args: A) => Promise<R>) =>
      async (...args: A): Promise<R> => {
        await this.#turn();
        this.#step = stepAfterCall(this.#step, verb, args[0] as AnyObject | undefined);
        const sent = args[0] as AnyObject | undefined;
        this.onCall({ step: this.#step, cluster, verb, kind: sent?.kind });
        await this.#turn();
        const answer = await network
          .call(name, isWrite, () => perform(...args))
          .then(
            (value) => ({ value }),
            (error: unknown) => ({ error }),
          );
        await this.#turn();
        if ("error" in answer) throw answer.error;
        return answer.value;
      };
    return {
      ...inner,
      version: call("version", false, inner.version),
      get: call("get", false, inner.get) as KubeClient["get"],
      list: call("list", false, inner.list) as KubeClient["list"],
      create: call("create", true, inner.create) as KubeClient["create"],
      replace: call("replace", true, inner.replace) as KubeClient["replace"],
      patch: call("patch", true, inner.patch) as KubeClient["patch"],
      apply: call("apply", true, inner.apply) as KubeClient["apply"],
      delete: call("delete", true, inner.delete),
      watch: ((type: TypeRef, options: Parameters<KubeClient["watch"]>[1]) =>
        this.#watch(cluster, inner, type, options)) as KubeClient["watch"],
      logs: async function* () {
        yield Buffer.from("the program says why\n");
      },
    };
  }

  async *#watch(
    { name, network }: SimulatedCluster,
    inner: KubeClient,
    type: TypeRef,
    options: Parameters<KubeClient["watch"]>[1],
  ): AsyncGenerator<unknown> {
    await this.#turn();
    await network.call(name, false, async () => undefined);
    const { ended, forget } = network.watchEnd();
    const events = inner.watch<KubeObject>(type, options)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await Promise.race([events.next(), ended]);
        await this.#turn();
        if (next === "cut") await network.silence(name);
        if (next === "cut" || next === "closed" || next.done === true) return;
        yield next.value;
      }
    } finally {
      forget();
      await events.return?.(undefined);
    }
  }
}
