/**
 * What a release knows while it runs, shared by the parts of the engine: the state that `decide` reads, who observes
 * which cluster, and what the record will say. Parts report by `set`, which wakes the engine's loop.
 */
import { SlipwayError } from "@slipway/base";
import { APPLY_PATIENCE_MS } from "../apply/apply.ts";
import type { ReleaseNews } from "../events.ts";
import type { Evidence } from "../evidence/evidence.ts";
import type { GateRecord, ServedCount, WaveSettings } from "../gates/gate.ts";
import type { HookRecord } from "../hooks/hook.ts";
import type { Cause } from "../judge/causes.ts";
import { JUDGED_KINDS, type WorkloadKind } from "../judge/workload.ts";
import type { Outcome, ReleaseContext, ReleaseRecord, Target } from "../model.ts";
import { hasPassed, type Resumed } from "../resume.ts";
import type { ClusterState, Forward, WaveState } from "./decide.ts";
import { type Observer, observe } from "./observe.ts";
import { createKeeper, type Keeper, recordOf } from "./record-keeper.ts";
import type { RolloutFact } from "./rollout.ts";
import { REQUEUE_FOR_MS } from "./wave-settings.ts";

export interface RunInput {
  readonly context: ReleaseContext;
  /** Complete but for the clusters' progress: number, objects, waves, fence, outcome in-progress. */
  readonly record: ReleaseRecord;
  readonly bakeMs: number;
  readonly onFailure: WaveState["onFailure"];
  /** Where to go back to on failure. */
  readonly backTo: ReleaseRecord | undefined;
  /** Clusters that could not be reached before the start, and why; they end as `unknown` unless requeued. */
  readonly skipped: ReadonlyMap<string, string>;
  readonly emit: (news: ReleaseNews) => void;
  readonly signal: AbortSignal;
  /** Asked before each object that is applied; rejects when the lock is gone, which also aborts `signal`. */
  readonly assureLock?: (() => Promise<void>) | undefined;
  /** By wave of the record: what differs from `bakeMs`, and the gates. One more is for the wave of the requeued. */
  readonly settings?: readonly WaveSettings[] | undefined;
  /** What a cluster without an answer means; `fail` when absent. */
  readonly unreachable?: "fail" | "skip" | "requeue" | undefined;
  /** How long requeued clusters are tried after the other waves. Default 10 min. */
  readonly requeueForMs?: number | undefined;
  /**
   * Lets in a cluster that was away at the start: plans it and takes its lock. Resolves with why this release may not go
   * there, empty when it may; rejects when that cannot be said now.
   */
  readonly admit?: ((cluster: string) => Promise<readonly SlipwayError[]>) | undefined;
  /** Clusters that were away when a release began that is gone on with; they are let in likewise. */
  readonly unplanned?: ReadonlySet<string> | undefined;
  /** Person gates are passed without asking, by whoever runs this. */
  readonly approveGates?: boolean | undefined;
  /** Where each cluster stands in a release that was cut off; from the start when absent. */
  readonly resumed?: Resumed | undefined;
  /** A record was refused because a later holder of the lock has written it; ends in an abort of `signal`. */
  readonly onFenced?: ((refusal: SlipwayError) => void) | undefined;
  /** `report`: healthy as soon as every new pod is; old ones that still drain are told about and not waited for. */
  readonly oldPods?: "wait" | "report" | undefined;
}

/** How long a requeued cluster is left alone before it is tried again, at most; never longer than it may be silent. */
const RETRY_REQUEUED_MS = 5_000;

export class Run {
  readonly input: RunInput;
  readonly keeper: Keeper;
  /** Ends everything that goes on, in every cluster. */
  readonly stop = new AbortController();
  /** Ends gates that are being asked: the wave has failed meanwhile. */
  gating = new AbortController();
  /** What goes forward in a cluster, to be ended before it is restored. */
  readonly forwarding = new Map<string, { readonly abort: AbortController; readonly task: Promise<void> }>();
  readonly doomed = new Map<string, Extract<RolloutFact, { kind: "doomed" }>>();
  readonly eventsBefore = new Map<string, ReadonlyMap<string, number>>();
  /** By cluster: the newest ReplicaSet of each Deployment before anything was applied there. */
  readonly replicaSetsBefore = new Map<string, readonly string[]>();
  /** Lines that a failed gate or hook left, by cluster. */
  readonly notes = new Map<string, readonly string[]>();
  /** What a cluster waits for, as last judged. */
  readonly waitingFor = new Map<string, readonly Cause[]>();
  readonly evidence: Evidence[];
  readonly finishedAt = new Map<string, number>();
  /** Clusters to which something of this release was sent, arrived or not. */
  readonly sentTo = new Set<string>();
  /** Clusters that were away at the start and have been let in since. */
  readonly admitted = new Set<string>();
  state: WaveState;
  outcome: Outcome = "in-progress";
  /** The edge's counters when the release began. */
  servedBefore: readonly ServedCount[] = [];
  gates: readonly GateRecord[];
  hooks: readonly HookRecord[];
  wake: () => void = () => undefined;
  readonly #requeued = new Set<string>();
  readonly #observers = new Map<string, Observer>();
  readonly #tasks = new Set<Promise<void>>();

  constructor(input: RunInput) {
    this.input = input;
    this.evidence = [...input.record.evidence];
    // In a release that is gone on with, whoever was before has sent something there.
    for (const [name, { runs }] of Object.entries(input.record.clusters)) {
      if (runs !== undefined) this.sentTo.add(name);
    }
    this.gates = input.record.gates ?? [];
    this.hooks = input.record.hooks ?? [];
    this.state = firstState(input);
    this.keeper = createKeeper({
      context: input.context,
      targets: () =>
        input.context.targets.filter(({ name }) => !input.skipped.has(name) || this.admitted.has(name)),
      revision: input.record.revision,
      record: (revision) => this.record(revision),
      emit: input.emit,
      onFenced: input.onFenced,
    });
    if (input.unreachable === "requeue" && input.admit !== undefined) {
      const known = new Set(input.context.targets.map(({ name }) => name));
      for (const [cluster, reason] of input.skipped) {
        // One that the configuration no longer has cannot come back.
        if (!known.has(cluster)) continue;
        this.requeue(cluster, reason, undefined);
        input.emit({ type: "requeued", cluster, reason, forMs: this.requeueForMs });
      }
    }
  }

  /** The release as it is now. */
  record(revision: number): ReleaseRecord {
    return recordOf({ ...this.input, ...this, revision, now: this.now() });
  }

  now(): number {
    return this.input.context.clock.now();
  }

  target(name: string): Target {
    const target = this.input.context.targets.find((one) => one.name === name);
    if (target === undefined) throw new Error(`no target ${name}`);
    return target;
  }

  forward(name: string): Forward {
    return (this.state.clusters[name] as ClusterState).forward;
  }

  startedAt(name: string): number {
    const forward = this.forward(name);
    return forward.step === "pending" ? this.now() : (forward.startedAt ?? this.now());
  }

  set(name: string, change: Partial<ClusterState>): void {
    const current = this.state.clusters[name] ?? UNTOUCHED;
    this.change({ clusters: { ...this.state.clusters, [name]: { ...current, ...change } } });
  }

  change(part: Partial<WaveState>): void {
    this.state = { ...this.state, ...part };
    this.wake();
  }

  /** A task of which the end matters only by what it has reported. */
  spawn(task: Promise<void>): void {
    const tracked = task.finally(() => {
      this.#tasks.delete(tracked);
      this.wake();
    });
    tracked.catch(() => undefined);
    this.#tasks.add(tracked);
  }

  async close(): Promise<void> {
    this.stop.abort();
    await Promise.allSettled(this.#tasks);
    for (const observer of this.#observers.values()) observer.close();
  }

  /** The cluster's observer, when it has listed everything once. Throws CLUSTER_UNREACHABLE. */
  async observer(name: string): Promise<Observer> {
    const { clock } = this.input.context;
    const observer = this.#observers.get(name) ?? observe(this.target(name).client, this.#scope());
    this.#observers.set(name, observer);
    const timer = new AbortController();
    const signal = AbortSignal.any([timer.signal, this.stop.signal]);
    const patience = clock.sleep(this.patienceMs(), signal).then(() => {
      throw new SlipwayError({
        code: "CLUSTER_UNREACHABLE",
        where: name,
        message: observer.lastError() || "the cluster does not answer",
        exitCode: 3,
      });
    });
    patience.catch(() => undefined);
    await Promise.race([observer.ready, patience]).finally(() => timer.abort());
    return observer;
  }

  /** It was away when the others were planned, and has not been let in. */
  isLate(name: string): boolean {
    const { skipped, unplanned } = this.input;
    return (skipped.has(name) || unplanned?.has(name) === true) && !this.admitted.has(name);
  }

  observed(name: string): Observer | undefined {
    return this.#observers.get(name);
  }

  /** How long a write is tried again while the cluster does not answer. */
  patienceMs(): number {
    return Math.min(APPLY_PATIENCE_MS, this.input.context.unreachableAfterMs ?? APPLY_PATIENCE_MS);
  }

  #scope(): Parameters<typeof observe>[1] {
    const { record, backTo, context } = this.input;
    const namespaces = new Set([record.namespace]);
    const kinds = new Set<WorkloadKind>();
    for (const object of [...record.objects, ...(backTo?.objects ?? [])]) {
      const kind = JUDGED_KINDS.find((one) => one === object.kind);
      if (kind === undefined) continue;
      kinds.add(kind);
      if (object.metadata.namespace !== undefined) namespaces.add(object.metadata.namespace);
    }
    return { namespaces: [...namespaces], kinds: [...kinds], clock: context.clock };
  }

  /** Moves a cluster that does not answer to the last wave, which is made when the first one comes. */
  requeue(name: string, reason: string, startedAt: number | undefined): void {
    const { waves } = this.state;
    // The last place; `settings` may have an entry for it.
    const last = this.input.record.waves.length;
    const isNew = waves.length === last;
    const left = waves.map((wave) => wave.filter((one) => one !== name));
    this.change({ waves: isNew ? [...left, [name]] : left.with(last, [...(left[last] ?? []), name]) });
    this.#requeued.add(name);
    const { unreachableAfterMs = RETRY_REQUEUED_MS } = this.input.context;
    const retryAt = this.now() + Math.min(RETRY_REQUEUED_MS, unreachableAfterMs);
    this.set(name, { forward: { step: "requeued", startedAt, reason, retryAt } });
  }

  isRequeueWave(wave: number): boolean {
    return wave === this.input.record.waves.length;
  }

  wasRequeued(name: string): boolean {
    return this.#requeued.has(name);
  }

  get requeueForMs(): number {
    return this.input.requeueForMs ?? REQUEUE_FOR_MS;
  }
}

const UNTOUCHED: ClusterState = { forward: { step: "pending" }, restore: { step: "none" } };

function firstState(input: RunInput): WaveState {
  const { record, skipped, settings = [] } = input;
  const clusters: Record<string, ClusterState> = {};
  for (const name of record.waves.flat()) {
    if (!skipped.has(name)) clusters[name] = input.resumed?.clusters[name] ?? UNTOUCHED;
  }
  const hooks = record.hooks ?? [];
  const side = (when: "before" | "after"): WaveState["before"] => {
    const runs = hooks.filter(({ hook }) => hook.when === when);
    if (runs.length === 0) return undefined;
    // They came before the first change anywhere; a cluster that was away has its own when it is come to.
    if (when === "before" && Object.values(record.clusters).some((one) => one.runs !== undefined))
      return "passed";
    return runs.every(
      (one) => one.runs.length > 0 && one.runs.every(({ outcome }) => outcome === "succeeded"),
    )
      ? "passed"
      : "pending";
  };
  return {
    // Positions stay those of the record, so that settings and gates are found by them; an empty wave is behind us.
    waves: record.waves.map((wave) => wave.filter((name) => !skipped.has(name))),
    bakeMs: input.bakeMs,
    bakes: settings.map(({ bakeMs }) => bakeMs),
    maxParallel: settings.map(({ maxParallel }) => maxParallel),
    gates: settings.map(({ gates }, wave) =>
      gates.map((gate) =>
        input.resumed !== undefined && hasPassed(record, input.resumed, { wave, gate })
          ? "passed"
          : "pending",
      ),
    ),
    before: side("before"),
    after: side("after"),
    onFailure: input.onFailure,
    backTo: input.backTo?.number,
    clusters,
    stopped: undefined,
  };
}

export function kubectlFor(context: ReleaseContext, cluster: string): string {
  return context.kubectl?.(cluster) ?? `kubectl --context ${cluster}`;
}
