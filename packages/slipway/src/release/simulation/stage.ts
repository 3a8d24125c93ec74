/**
 * The stage of a simulated release: several clusters in virtual time (the real controllers on a real API, with simulated
 * kubelets), one clock for all of them, and processes that run the real release engine over a network that may fail.
 * One seed, one run, to the millisecond.
 */
import { type Random, seededRandom, VirtualClock } from "@slipway/base";
import {
  type Checker,
  createWorld,
  deploymentController,
  replicaSetController,
  Violation,
} from "@slipway/cluster";
import { Network } from "./network.ts";
import { Process, type SimulatedCluster } from "./process.ts";

export interface StageOptions {
  readonly seed: number;
  readonly clusters: readonly string[];
  /** Images whose container ends at once, and images that never become ready. */
  readonly crashing: readonly string[];
  readonly checkers: (cluster: string) => readonly Checker[];
}

export class Stage {
  readonly clock = new VirtualClock();
  readonly random: Random;
  readonly clusters: readonly SimulatedCluster[];
  readonly processes: Process[] = [];
  #nextPid = 100;
  /** How far the clock of each machine is off. */
  readonly #skews = new Map<string, number>();
  #violation: Violation | undefined;

  constructor(options: StageOptions) {
    this.random = seededRandom(options.seed);
    const behaviours = Object.fromEntries(
      options.crashing.map((image) => [image, { ...QUICK_POD, crashesAfterMs: 300 }]),
    );
    this.clusters = options.clusters.map((name, index) => ({
      name,
      world: createWorld({
        seed: options.seed * 16 + index,
        controllers: [deploymentController, replicaSetController],
        nodes: 4,
        behaviours,
        checkers: options.checkers(name).map((checker) => this.#remembering(checker)),
        isTrusted: false,
        startMs: this.clock.now(),
      }),
      network: new Network(this.clock, this.random),
    }));
  }

  /** A process on a machine, whose clock may be off; it knows of another one's death only on the same `host`. */
  start(host: string): Process {
    this.#nextPid += 1;
    let skewMs = this.#skews.get(host);
    if (skewMs === undefined) {
      skewMs = this.random.pick([0, 0, -120_000, -20_000, 20_000, 120_000]);
      this.#skews.set(host, skewMs);
    }
    const process = new Process(this, { host, pid: this.#nextPid, skewMs });
    this.processes.push(process);
    return process;
  }

  cluster(name: string): SimulatedCluster {
    const found = this.clusters.find((cluster) => cluster.name === name);
    if (found === undefined) throw new Error(`no simulated cluster ${name}`);
    return found;
  }

  /** Lets virtual time pass until `until` holds or `forMs` are over. True when it held. */
  async run(limits: { readonly forMs: number; readonly until: () => boolean }): Promise<boolean> {
    const endMs = this.clock.now() + limits.forMs;
    for (;;) {
      await this.clock.advance(0);
      if (this.#violation !== undefined) throw this.#violation;
      if (limits.until()) return true;
      const due = [this.clock.nextAtMs, ...this.clusters.map(({ world }) => world.nextAtMs)];
      const next = Math.min(...due.map((at) => at ?? Number.POSITIVE_INFINITY));
      if (next > endMs) {
        await this.#advanceTo(endMs);
        return limits.until();
      }
      await this.#advanceTo(next);
    }
  }

  /** Runs a task of a process to its end; undefined when it did not end in time (its process died, or it hangs). */
  async finish<T>(task: Promise<T>, forMs: number): Promise<Settled<T> | undefined> {
    let settled: Settled<T> | undefined;
    task.then(
      (value) => {
        settled = { ok: true, value };
      },
      (error: unknown) => {
        settled = { ok: false, error };
      },
    );
    await this.run({ forMs, until: () => settled !== undefined });
    return settled;
  }

  /** Ends everything that lasts: cuts, delays, errors, and the controllers' troubles. */
  heal(): void {
    for (const { network, world } of this.clusters) {
      network.heal();
      world.heal();
    }
  }

  /**
   * A write of the engine itself that breaks a promise is met inside its own call, where it looks like an answer of the
   * API and may be tried again: it is kept, and ends the run.
   */
  #remembering(checker: Checker): Checker {
    return {
      ...checker,
      onCommit: (...seen) => {
        try {
          checker.onCommit?.(...seen);
        } catch (error) {
          if (error instanceof Violation) this.#violation ??= error;
          throw error;
        }
      },
    };
  }

  async #advanceTo(ms: number): Promise<void> {
    for (const { world } of this.clusters) world.run({ forMs: Math.max(0, ms - world.now()) });
    await this.clock.advance(Math.max(0, ms - this.clock.now()));
  }
}

export type Settled<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: unknown };

const QUICK_POD = {
  startMs: [100, 600],
  readyMs: [100, 900],
  endMs: [100, 1000],
} as const;
