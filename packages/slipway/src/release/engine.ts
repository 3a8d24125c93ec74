/**
 * The driver of `decide`: does its commands, reports what happens into the state, tells it as events, and keeps the
 * record in the clusters up to date at every step, so that a process that dies here leaves a state that explains
 * itself. Locks, numbers and targets are `release.ts`'s business; this runs one release that may run.
 */
import { assertNever, SlipwayError } from "@slipway/base";
import { type AnyObject, type Pod, StatusError } from "@slipway/kube";
import { APPLY_PATIENCE_MS, type Applied, applyObjects, patiently, stamp } from "./apply.ts";
import { type Cause, causeSentence, makeCause } from "./causes.ts";
import { type ClusterState, decide, type Forward, type WaveCommand, type WaveState } from "./decide.ts";
import type { Progress, ReleaseNews } from "./events.ts";
import { countsOf, type Evidence, takeEvidence } from "./evidence.ts";
import { writeRecord } from "./history.ts";
import { baselineOf } from "./judge/crash.ts";
import type { ClusterRecord, Outcome, ReleaseContext, ReleaseRecord, Target } from "./model.ts";
import { type Observer, observe } from "./observe.ts";
import { prune, toPrune } from "./prune.ts";
import { followRollout, type RolloutFact, UNREACHABLE_PATIENCE_MS } from "./rollout.ts";
import { podSpecOf } from "./workload.ts";

export interface RunInput {
  readonly context: ReleaseContext;
  /** Complete but for the clusters' progress: number, objects, waves, fence, outcome in-progress. */
  readonly record: ReleaseRecord;
  readonly bakeMs: number;
  readonly onFailure: WaveState["onFailure"];
  /** Where to go back to on failure. */
  readonly backTo: ReleaseRecord | undefined;
  /** Clusters that could not be reached before the start, and why; they are left out and end as `unknown`. */
  readonly skipped: ReadonlyMap<string, string>;
  readonly emit: (news: ReleaseNews) => void;
  readonly signal: AbortSignal;
}

/** Runs the release to its end and returns the final record, which has been written to every cluster that answers. */
export async function runRelease(input: RunInput): Promise<ReleaseRecord> {
  const run = new Run(input);
  return run.toEnd();
}

/** How long one cluster may take to store a record before it is left behind. */
const WRITE_PATIENCE_MS = 5_000;

class Run {
  readonly #input: RunInput;
  readonly #observers = new Map<string, Observer>();
  /** Ends what goes forward in a cluster, before it is restored. */
  readonly #forwarding = new Map<string, { readonly abort: AbortController; readonly task: Promise<void> }>();
  readonly #doomed = new Map<string, Pod | undefined>();
  readonly #eventsBefore = new Map<string, ReadonlyMap<string, number>>();
  readonly #evidence: Evidence[] = [];
  readonly #tasks = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  readonly #finished = new Map<string, number>();
  #state: WaveState;
  #wake: () => void = () => undefined;
  #outcome: Outcome = "in-progress";
  #revision: number;
  #saving: Promise<void> = Promise.resolve();
  #savePending = false;
  #bakingWave = -1;
  #lastProgress = new Map<string, string>();

  constructor(input: RunInput) {
    this.#input = input;
    this.#revision = input.record.revision;
    const clusters: Record<string, ClusterState> = {};
    for (const name of input.record.waves.flat()) {
      if (!input.skipped.has(name))
        clusters[name] = { forward: { step: "pending" }, restore: { step: "none" } };
    }
    this.#state = {
      waves: input.record.waves
        .map((wave) => wave.filter((name) => !input.skipped.has(name)))
        .filter((wave) => wave.length > 0),
      bakeMs: input.bakeMs,
      onFailure: input.onFailure,
      backTo: input.backTo?.number,
      clusters,
      stopped: undefined,
    };
  }

  async toEnd(): Promise<ReleaseRecord> {
    const { context, signal } = this.#input;
    const onStop = (): void => {
      const reason: unknown = signal.reason;
      this.#state = {
        ...this.#state,
        stopped: reason instanceof SlipwayError ? reason.message : "it was interrupted",
      };
      this.#stop.abort(reason);
      this.#wake();
    };
    if (signal.aborted) onStop();
    else signal.addEventListener("abort", onStop, { once: true });
    try {
      for (;;) {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wake = resolve;
        const decision = decide(this.#state, context.clock.now());
        const finish = decision.commands.find((command) => command.do === "finish");
        if (finish !== undefined) {
          this.#outcome = finish.outcome;
          break;
        }
        for (const command of decision.commands) this.#execute(command);
        if (decision.commands.length > 0) continue;
        if (decision.requeueAfterMs !== undefined) {
          this.#announceBake();
          const timer = new AbortController();
          const slept = context.clock.sleep(decision.requeueAfterMs, timer.signal).catch(() => undefined);
          await Promise.race([promise, slept]);
          timer.abort();
        } else {
          await promise;
        }
      }
    } finally {
      signal.removeEventListener("abort", onStop);
      this.#stop.abort();
      await Promise.allSettled(this.#tasks);
      for (const observer of this.#observers.values()) observer.close();
    }
    if (this.#outcome === "healthy" && this.#input.skipped.size > 0) this.#outcome = "unknown";
    const lost = signal.reason instanceof SlipwayError && signal.reason.code === "LOCK_LOST";
    // Whoever took the lock writes the record from now on.
    if (!lost) {
      this.#save();
      await this.#saving;
    }
    return this.record();
  }

  /** The release as it is now. */
  record(): ReleaseRecord {
    const { record, backTo } = this.#input;
    const clusters: Record<string, ClusterRecord> = {};
    for (const name of record.waves.flat()) {
      const state = this.#state.clusters[name];
      clusters[name] =
        state === undefined
          ? { verdict: "unknown", step: "done", reason: this.#input.skipped.get(name) }
          : this.#clusterRecord(state, this.#finished.get(name));
    }
    const isOver = this.#outcome !== "in-progress";
    return {
      ...record,
      outcome: this.#outcome,
      clusters,
      evidence: this.#evidence,
      revision: this.#revision,
      held: isOver ? [...record.held, ...heldAfter(record, clusters, backTo)] : record.held,
      ...(isOver ? { finishedAt: this.#input.context.clock.now() } : {}),
    };
  }

  #clusterRecord(state: ClusterState, finishedAt: number | undefined): ClusterRecord {
    const { record, backTo } = this.#input;
    const { forward, restore } = state;
    if (forward.step === "pending") {
      return { verdict: "not-started", step: this.#outcome === "in-progress" ? "pending" : "done" };
    }
    const isBack = restore.step === "ok";
    const common = {
      startedAt: forward.startedAt,
      ...(finishedAt === undefined ? {} : { finishedAt }),
      runs: isBack && backTo !== undefined ? backTo.number : record.number,
      ...(backTo === undefined || (restore.step !== "ok" && restore.step !== "failed")
        ? {}
        : {
            restored: {
              to: backTo.number,
              ok: isBack,
              ...(restore.step === "failed" ? { reason: restore.reason } : {}),
            },
          }),
    };
    const isRestoring = restore.step === "running";
    switch (forward.step) {
      case "applying":
        return { ...common, verdict: "unknown", step: isRestoring ? "restoring" : "applying" };
      case "rolling": {
        const step = forward.okSince === undefined ? "judging" : "baking";
        return { ...common, verdict: "unknown", step: isRestoring ? "restoring" : step };
      }
      case "healthy":
        return { ...common, verdict: "healthy", step: isRestoring ? "restoring" : "done" };
      case "failed":
        return {
          ...common,
          verdict: "failed",
          step: isRestoring ? "restoring" : "done",
          cause: forward.cause,
        };
      case "unknown":
        return {
          ...common,
          verdict: "unknown",
          step: isRestoring ? "restoring" : "done",
          reason: forward.reason,
        };
      default:
        return assertNever(forward);
    }
  }

  #target(name: string): Target {
    const target = this.#input.context.targets.find((one) => one.name === name);
    if (target === undefined) throw new Error(`no target ${name}`);
    return target;
  }

  #set(name: string, change: Partial<ClusterState>): void {
    const current = this.#state.clusters[name] as ClusterState;
    this.#state = {
      ...this.#state,
      clusters: { ...this.#state.clusters, [name]: { ...current, ...change } },
    };
    this.#wake();
  }

  #forward(name: string): Forward {
    return (this.#state.clusters[name] as ClusterState).forward;
  }

  #execute(command: WaveCommand): void {
    switch (command.do) {
      case "start":
        return this.#start(command.cluster, command.wave);
      case "take-evidence":
        return this.#spawn(this.#takeEvidence(command.cluster));
      case "settle":
        return this.#settle(command.cluster);
      case "restore":
        return this.#beginRestore(command.cluster);
      case "finish":
        return;
      default:
        assertNever(command);
    }
  }

  #spawn(task: Promise<void>): void {
    const tracked = task.finally(() => {
      this.#tasks.delete(tracked);
      this.#wake();
    });
    tracked.catch(() => undefined);
    this.#tasks.add(tracked);
  }

  #start(name: string, wave: number): void {
    const isFirst = (this.#state.waves[wave] ?? []).every((one) => this.#forward(one).step === "pending");
    this.#set(name, { forward: { step: "applying", startedAt: this.#now() } });
    if (isFirst) {
      this.#input.emit({
        type: "wave-started",
        wave,
        waves: this.#state.waves.length,
        clusters: this.#state.waves[wave] ?? [],
      });
    }
    // The record says that this cluster is being changed before it is.
    this.#save();
    const abort = new AbortController();
    const signal = AbortSignal.any([abort.signal, this.#stop.signal]);
    const task = this.#saving.then(() => this.#applyAndFollow(name, signal));
    this.#forwarding.set(name, { abort, task });
    this.#spawn(task);
  }

  async #applyAndFollow(name: string, signal: AbortSignal): Promise<void> {
    const { record, emit } = this.#input;
    try {
      const observer = await this.#observer(name);
      const { pods, events } = observer.current();
      const baseline = baselineOf(pods);
      this.#eventsBefore.set(name, countsOf(events));
      const applied = await this.#apply(name, record, signal);
      emit({ type: "applied", cluster: name, objects: applied.objects });
      const startedAt = this.#startedAt(name);
      this.#set(name, { forward: { step: "rolling", startedAt, okSince: undefined } });
      this.#save();
      const from = { applied, baseline, observer, signal };
      await this.#follow(name, record, from, (fact) => this.#onFact(name, fact));
    } catch (error) {
      if (signal.aborted) return;
      this.#onApplyError(name, error);
    }
  }

  async #observer(name: string): Promise<Observer> {
    let observer = this.#observers.get(name);
    if (observer === undefined) {
      const { context, record } = this.#input;
      const namespaces = new Set([record.namespace]);
      for (const object of [...record.objects, ...(this.#input.backTo?.objects ?? [])]) {
        if (object.kind === "Deployment" && object.metadata.namespace !== undefined) {
          namespaces.add(object.metadata.namespace);
        }
      }
      observer = observe(this.#target(name).client, { namespaces: [...namespaces], clock: context.clock });
      this.#observers.set(name, observer);
    }
    const { clock, unreachableAfterMs } = this.#input.context;
    const patienceMs = Math.min(APPLY_PATIENCE_MS, unreachableAfterMs ?? APPLY_PATIENCE_MS);
    const timer = new AbortController();
    const signal = AbortSignal.any([timer.signal, this.#stop.signal]);
    const patience = clock.sleep(patienceMs, signal).then(() => {
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

  #apply(name: string, release: ReleaseRecord, signal: AbortSignal): Promise<Applied> {
    // Restored objects carry the number of the release they come from, which is what then runs.
    const objects = release.objects.map((object) => stamp(object, release));
    const { clock, unreachableAfterMs } = this.#input.context;
    const patienceMs = Math.min(APPLY_PATIENCE_MS, unreachableAfterMs ?? APPLY_PATIENCE_MS);
    return applyObjects(this.#target(name).client, objects, { clock, signal, patienceMs });
  }

  async #follow(
    name: string,
    release: ReleaseRecord,
    from: {
      readonly applied: Applied;
      readonly baseline: ReadonlyMap<string, number>;
      readonly observer: Observer;
      readonly signal: AbortSignal;
    },
    onFact: (fact: RolloutFact) => void,
  ): Promise<void> {
    const { context } = this.#input;
    await followRollout({
      cluster: name,
      kubectl: kubectlFor(context, name),
      observer: from.observer,
      expected: from.applied.workloads,
      baseline: from.baseline,
      references: release.images.map((image) => image.reference),
      images: context.images,
      unreachableAfterMs: context.unreachableAfterMs ?? UNREACHABLE_PATIENCE_MS,
      clock: context.clock,
      signal: from.signal,
      onProgress: (progress) => this.#onProgress(name, progress),
      onFact: (fact) => {
        if (!from.signal.aborted) onFact(fact);
      },
    });
  }

  #onProgress(name: string, progress: Progress): void {
    const text = JSON.stringify(progress);
    if (this.#lastProgress.get(name) === text) return;
    this.#lastProgress.set(name, text);
    this.#input.emit({ type: "progress", cluster: name, progress });
  }

  #onFact(name: string, fact: RolloutFact): void {
    const forward = this.#forward(name);
    if (forward.step !== "rolling") return;
    const { startedAt } = forward;
    switch (fact.kind) {
      case "ok":
        if (forward.okSince !== undefined) return;
        for (const note of fact.notes) this.#input.emit({ type: "warning", cluster: name, message: note });
        this.#set(name, { forward: { step: "rolling", startedAt, okSince: this.#now() } });
        return this.#save();
      case "waiting":
        if (forward.okSince === undefined) return;
        return this.#set(name, { forward: { step: "rolling", startedAt, okSince: undefined } });
      case "doomed":
        this.#doomed.set(name, fact.pod);
        return this.#fail(name, fact.cause);
      case "unknown":
        return this.#unknown(name, fact.reason);
      default:
        return assertNever(fact);
    }
  }

  #onApplyError(name: string, error: unknown): void {
    if (!(error instanceof StatusError)) {
      return this.#unknown(name, error instanceof Error ? error.message : String(error));
    }
    const { context, record } = this.#input;
    this.#fail(
      name,
      makeCause("ApplyRefused", {
        cluster: name,
        kubectl: kubectlFor(context, name),
        object: { namespace: record.namespace },
        why: `the API server refuses the release: ${error.message}`,
      }),
    );
  }

  #fail(name: string, cause: Cause): void {
    const startedAt = this.#startedAt(name);
    const finishedAt = this.#now();
    this.#set(name, { forward: { step: "failed", startedAt, finishedAt, cause, evidence: "missing" } });
    this.#finish(name, { verdict: "failed", cause, reason: cause.why });
  }

  #unknown(name: string, reason: string): void {
    const startedAt = this.#startedAt(name);
    this.#set(name, { forward: { step: "unknown", startedAt, finishedAt: this.#now(), reason } });
    this.#finish(name, { verdict: "unknown", cause: undefined, reason });
  }

  #settle(name: string): void {
    const startedAt = this.#startedAt(name);
    this.#forwarding.get(name)?.abort.abort();
    this.#set(name, { forward: { step: "healthy", startedAt, finishedAt: this.#now() } });
    this.#finish(name, { verdict: "healthy", cause: undefined, reason: undefined });
  }

  #finish(
    name: string,
    result: {
      readonly verdict: "healthy" | "failed" | "unknown";
      readonly cause: Cause | undefined;
      readonly reason: string | undefined;
    },
  ): void {
    this.#finished.set(name, this.#now());
    const durationMs = this.#now() - this.#startedAt(name);
    this.#input.emit({ type: "verdict", cluster: name, ...result, durationMs });
    this.#save();
  }

  async #takeEvidence(name: string): Promise<void> {
    const forward = this.#forward(name);
    if (forward.step !== "failed") return;
    this.#set(name, { forward: { ...forward, evidence: "taking" } });
    const observer = this.#observers.get(name);
    const evidence = await takeEvidence({
      client: this.#target(name).client,
      clock: this.#input.context.clock,
      observation: observer?.current() ?? { deployments: [], replicaSets: [], pods: [], events: [] },
      cause: forward.cause,
      pod: this.#doomed.get(name),
      before: this.#eventsBefore.get(name) ?? new Map(),
    });
    const { cause } = evidence;
    this.#evidence.push(evidence);
    this.#input.emit({ type: "evidence", cluster: name, evidence });
    // Stored before anything is rolled back, so that a crash from here on cannot lose it.
    this.#save();
    await this.#saving;
    this.#set(name, { forward: { ...forward, cause, evidence: "taken" } });
  }

  #beginRestore(name: string): void {
    const { backTo, emit } = this.#input;
    if (backTo === undefined) return;
    const together = Object.values(this.#state.clusters).some((one) => one.restore.step === "running");
    this.#set(name, { restore: { step: "running" } });
    if (!together) {
      const wave = this.#state.waves.find((one) => one.includes(name)) ?? [name];
      emit({
        type: "rolling-back",
        to: backTo.number,
        clusters: wave.filter((one) => this.#forward(one).step !== "pending"),
      });
    }
    this.#save();
    this.#spawn(this.#restore(name, backTo));
  }

  async #restore(name: string, backTo: ReleaseRecord): Promise<void> {
    const done = new AbortController();
    const signal = AbortSignal.any([done.signal, this.#stop.signal]);
    try {
      // Two applies in one cluster at the same time would leave a mixture.
      const forwarding = this.#forwarding.get(name);
      forwarding?.abort.abort();
      await forwarding?.task;
      const observer = await this.#observer(name);
      const baseline = baselineOf(observer.current().pods);
      const applied = await this.#apply(name, backTo, signal);
      let reason: string | undefined = "it was interrupted";
      await this.#follow(name, backTo, { applied, baseline, observer, signal }, (fact) => {
        if (fact.kind === "waiting") return;
        if (fact.kind === "ok") reason = undefined;
        if (fact.kind === "doomed") reason = causeSentence(fact.cause);
        if (fact.kind === "unknown") reason = fact.reason;
        done.abort();
      });
      if (reason === undefined) await this.#pruneAfterRestore(name, backTo);
      this.#endRestore(name, backTo, reason);
    } catch (error) {
      this.#endRestore(name, backTo, error instanceof Error ? error.message : String(error));
    }
  }

  #endRestore(name: string, backTo: ReleaseRecord, reason: string | undefined): void {
    this.#set(name, { restore: reason === undefined ? { step: "ok" } : { step: "failed", reason } });
    this.#input.emit({
      type: "rolled-back",
      cluster: name,
      to: backTo.number,
      ok: reason === undefined,
      reason,
    });
    this.#save();
  }

  /** What the failed release brought and the restored one does not know. */
  async #pruneAfterRestore(name: string, backTo: ReleaseRecord): Promise<void> {
    const { record, emit } = this.#input;
    const refs = toPrune({ before: record.objects, after: backTo.objects, kept: record.objects });
    const { deleted, failed } = await prune(this.#target(name).client, refs, record.service);
    if (deleted.length > 0) emit({ type: "pruned", cluster: name, objects: deleted });
    for (const message of failed) emit({ type: "warning", cluster: name, message: `not pruned: ${message}` });
  }

  #announceBake(): void {
    const wave = this.#state.waves.findIndex((one) =>
      one.some((name) => this.#forward(name).step === "rolling"),
    );
    if (wave < 0 || wave === this.#bakingWave || this.#input.bakeMs === 0) return;
    this.#bakingWave = wave;
    this.#input.emit({ type: "baking", wave, bakeMs: this.#input.bakeMs });
  }

  #startedAt(name: string): number {
    const forward = this.#forward(name);
    return forward.step === "pending" ? this.#now() : forward.startedAt;
  }

  #now(): number {
    return this.#input.context.clock.now();
  }

  /** Writes the record soon; writes follow each other, and one that waits takes the newest state. */
  #save(): void {
    if (this.#savePending) return;
    this.#savePending = true;
    this.#saving = this.#saving.then(async () => {
      this.#savePending = false;
      this.#revision += 1;
      const record = this.record();
      const isFinal = record.outcome !== "in-progress";
      await Promise.all(
        this.#input.context.targets
          .filter((target) => !this.#input.skipped.has(target.name))
          .map((target) => this.#writeTo(target, record, isFinal)),
      );
    });
  }

  async #writeTo(target: Target, record: ReleaseRecord, isFinal: boolean): Promise<void> {
    const { clock, unreachableAfterMs } = this.#input.context;
    const patienceMs = Math.min(WRITE_PATIENCE_MS, unreachableAfterMs ?? WRITE_PATIENCE_MS);
    const timer = new AbortController();
    const limit = clock.sleep(patienceMs, timer.signal).then(
      () => "it did not answer in time",
      () => undefined,
    );
    const write = patiently(
      { clock, patienceMs: isFinal ? WRITE_PATIENCE_MS : 0, signal: timer.signal },
      () => writeRecord(target.client, record),
    ).then(
      () => undefined,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    const problem = await Promise.race([write, limit]);
    timer.abort();
    if (problem !== undefined && isFinal) {
      const message = `the record of release ${record.number} could not be stored here (${problem})`;
      this.#input.emit({ type: "warning", cluster: target.name, message });
    }
  }
}

export function kubectlFor(context: ReleaseContext, cluster: string): string {
  return context.kubectl?.(cluster) ?? `kubectl --context ${cluster}`;
}

const IMAGE_FAULTS: ReadonlySet<string> = new Set([
  "ContainerCrash",
  "ContainerCompleted",
  "ContainerStartFailed",
  "LivenessFailed",
  "StartupFailed",
  "ReadinessFailed",
  "RestartedWhileBaking",
]);

/**
 * What a failed release that was taken back holds: its content, when the release itself is to blame, and the digest
 * of the container's image when its program is. A registry that was away holds nothing: the same release may work
 * later.
 */
function heldAfter(
  record: ReleaseRecord,
  clusters: Readonly<Record<string, ClusterRecord>>,
  backTo: ReleaseRecord | undefined,
): readonly string[] {
  const held = new Set<string>();
  for (const { cause, restored } of Object.values(clusters)) {
    if (cause === undefined || restored === undefined || cause.blame !== "release") continue;
    if (record.content !== backTo?.content) held.add(record.content);
    if (!IMAGE_FAULTS.has(cause.code)) continue;
    const digest = digestOf(record.objects, cause);
    const isOld = backTo?.images.some((image) => image.digest === digest) ?? false;
    if (digest !== undefined && !isOld) held.add(digest);
  }
  return [...held];
}

function digestOf(objects: readonly AnyObject[], cause: Cause): string | undefined {
  const { deployment, container } = cause.object;
  for (const object of objects) {
    if (object.kind !== "Deployment") continue;
    if (deployment !== undefined && object.metadata.name !== deployment) continue;
    const spec = podSpecOf(object);
    const found = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].find(
      (one) => one.name === container,
    );
    const digest = found?.image?.split("@")[1];
    if (digest !== undefined) return digest;
  }
  return undefined;
}
