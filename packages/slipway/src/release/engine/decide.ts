/**
 * The waves as one pure function: `decide(state, now)` says what to do next. The driver in `engine.ts` does it and
 * reports what happened by replacing parts of the state; nothing here waits, reads a clock or touches a cluster.
 *
 * The rules, in order:
 *   1. Evidence of a failed cluster is taken before anything else happens to it.
 *   2. After a failure, by policy, the touched clusters go back in reverse order of their waves; inside a wave all
 *      at once. The next earlier wave begins when the later one is back (or could not go back).
 *   3. Hooks of before run before anything is changed; when one fails, nothing has been.
 *   4. A wave begins when the one before it has been ok for its bake time, without a break, and has passed its gates.
 *      Inside a wave at most `maxParallel` clusters are on their way at a time.
 *   5. A cluster stays watched after its wave. While one is not ok, nothing is begun and nothing is called a success;
 *      one that stays so for `UNWELL_PATIENCE_MS` has failed.
 *   6. A cluster that does not answer is, by policy: `unknown` and the end (nothing more is started); `unknown` and
 *      left behind; or tried again after the other waves, until `requeueUntil`. It is never called a success unheard.
 *      One that is back and may not have the release is left as it is, and the release is no success.
 */
import type { ReleaseConfig } from "../../config/types.ts";
import type { Cause } from "../judge/causes.ts";

export type Forward =
  | { readonly step: "pending" }
  | { readonly step: "applying"; readonly startedAt: number }
  /** Applied and watched. `okSince` is absent while it is waiting for something. */
  | { readonly step: "rolling"; readonly startedAt: number; readonly okSince: number | undefined }
  /** Baked and past its gates. Still watched: `unwellSince` is set while it is not ok. */
  | {
      readonly step: "healthy";
      readonly startedAt: number;
      readonly finishedAt: number;
      readonly unwellSince?: number | undefined;
    }
  | {
      readonly step: "failed";
      readonly startedAt: number;
      readonly finishedAt: number;
      readonly cause: Cause;
      readonly evidence: "missing" | "taking" | "taken";
    }
  /** Without an answer, and what that means for the rest: the end, or going on without it. */
  | {
      readonly step: "unknown";
      readonly startedAt: number;
      readonly finishedAt: number;
      readonly reason: string;
      readonly isLeftBehind?: boolean;
      readonly cause?: Cause | undefined;
    }
  /** It was away when the others were planned, and when it was back it was found that the release may not go there. */
  | {
      readonly step: "refused";
      readonly startedAt: number;
      readonly finishedAt: number;
      readonly reason: string;
    }
  /** Without an answer; stands in the last wave now and is tried again at `retryAt`. */
  | {
      readonly step: "requeued";
      /** Undefined when nothing has been sent to it. */
      readonly startedAt: number | undefined;
      readonly reason: string;
      readonly retryAt: number;
    };

export type Restore =
  | { readonly step: "none" }
  | { readonly step: "running" }
  | { readonly step: "ok" }
  | { readonly step: "failed"; readonly reason: string };

export interface ClusterState {
  readonly forward: Forward;
  readonly restore: Restore;
}

/** Of a gate, or of all hooks of one side. A gate that fails also fails its clusters, which then decides. */
export type Passage = "pending" | "running" | "passed" | "failed";

export interface WaveState {
  readonly waves: readonly (readonly string[])[];
  /** Of waves that `bakes` does not name. */
  readonly bakeMs: number;
  /** By wave. */
  readonly bakes?: readonly (number | undefined)[];
  /** By wave: how many clusters may be on their way at a time; all when undefined. */
  readonly maxParallel?: readonly (number | undefined)[];
  /** By wave, in the order they are asked. */
  readonly gates?: readonly (readonly Passage[])[];
  /** Hooks before the first wave and after the last one; undefined when there are none. */
  readonly before?: Passage | undefined;
  readonly after?: Passage | undefined;
  readonly onFailure: ReleaseConfig["onFailure"];
  /** The release to go back to; undefined when there is none, and for a rollback, which is never rolled back. */
  readonly backTo: number | undefined;
  readonly clusters: Readonly<Record<string, ClusterState>>;
  /** Requeued clusters are given up from then on; set when their wave begins. */
  readonly requeueUntil?: number | undefined;
  /** Set when the process was told to stop or lost its lock: finish what is decided, begin nothing. */
  readonly stopped: string | undefined;
}

export type WaveCommand =
  | { readonly do: "run-hooks"; readonly when: "before" | "after" }
  | { readonly do: "start"; readonly cluster: string; readonly wave: number }
  | { readonly do: "ask-gate"; readonly wave: number; readonly gate: number }
  | { readonly do: "take-evidence"; readonly cluster: string }
  | { readonly do: "settle"; readonly cluster: string }
  /** It has been unwell for too long: what it waits for is the cause. */
  | { readonly do: "fail-unwell"; readonly cluster: string }
  /** The deadline of a requeued cluster has passed. */
  | { readonly do: "give-up"; readonly cluster: string }
  | { readonly do: "restore"; readonly cluster: string; readonly to: number }
  | {
      readonly do: "finish";
      readonly outcome: "healthy" | "failed" | "rolled-back" | "unknown" | "interrupted";
    };

export interface WaveDecision {
  readonly commands: readonly WaveCommand[];
  readonly requeueAfterMs?: number;
}

/**
 * How long a cluster that was healthy may be not ok before it fails the release. The judge names crashes, probes and
 * images much sooner; this is for what only waits, and as long as a Deployment's own progress deadline (600 s).
 */
const UNWELL_PATIENCE_MS = 600_000;

export function decide(state: WaveState, now: number): WaveDecision {
  const forwards = Object.values(state.clusters).map((cluster) => cluster.forward);
  const takes = clustersWhere(
    state,
    ({ forward }) => forward.step === "failed" && forward.evidence === "missing",
  );
  if (takes.length > 0) return { commands: takes.map((cluster) => ({ do: "take-evidence", cluster })) };
  if (forwards.some((forward) => forward.step === "failed" && forward.evidence === "taking")) {
    return { commands: [] };
  }
  if (state.stopped !== undefined) return { commands: [{ do: "finish", outcome: "interrupted" }] };
  if (forwards.some((forward) => forward.step === "failed")) return afterFailure(state);
  switch (state.before) {
    case "pending":
      return { commands: [{ do: "run-hooks", when: "before" }] };
    case "running":
      return { commands: [] };
    case "failed":
      return { commands: [{ do: "finish", outcome: "failed" }] };
    default:
      return whileWell(state, now, nextWave(state, now));
  }
}

/** Holds back whatever would begin or end while a cluster of an earlier wave is not ok. */
function whileWell(state: WaveState, now: number, next: WaveDecision): WaveDecision {
  const unwell = Object.entries(state.clusters).flatMap(([cluster, { forward }]) =>
    forward.step === "healthy" && forward.unwellSince !== undefined
      ? [{ cluster, until: forward.unwellSince + UNWELL_PATIENCE_MS }]
      : [],
  );
  if (unwell.length === 0) return next;
  const over = unwell.filter(({ until }) => now >= until);
  if (over.length > 0) return { commands: over.map(({ cluster }) => ({ do: "fail-unwell", cluster })) };
  const settles = next.commands.filter((command) => command.do === "settle");
  if (settles.length > 0) return { commands: settles };
  const waits = [...unwell.map(({ until }) => until - now), ...listOf(next.requeueAfterMs)];
  return { commands: [], requeueAfterMs: Math.min(...waits) };
}

function nextWave(state: WaveState, now: number): WaveDecision {
  for (const [index, wave] of state.waves.entries()) {
    const members = wave.map((name) => ({ name, forward: clusterOf(state, name).forward }));
    // With a cluster that ends the release, only what is on its way goes on: each gets its verdict.
    const needsWork = isCutShort(state)
      ? members.some(({ forward }) => isUnderway(forward))
      : members.some(({ forward }) => !isBehind(forward));
    if (needsWork) return withinWave(state, now, { index, members });
  }
  if (
    Object.values(state.clusters).some(({ forward: { step } }) => step === "unknown" || step === "refused")
  ) {
    return { commands: [{ do: "finish", outcome: "unknown" }] };
  }
  if (state.after === "pending") return { commands: [{ do: "run-hooks", when: "after" }] };
  if (state.after === "running") return { commands: [] };
  return { commands: [{ do: "finish", outcome: state.after === "failed" ? "failed" : "healthy" }] };
}

interface Members {
  readonly index: number;
  readonly members: readonly { readonly name: string; readonly forward: Forward }[];
}

/** What the first wave that is not behind us needs. */
function withinWave(state: WaveState, now: number, { index, members }: Members): WaveDecision {
  const isShort = isCutShort(state);
  const beginning = isShort ? NOTHING : beginNext(state, now, { index, members });
  const underway = members.filter(({ forward }) => isUnderway(forward));
  const isWhole = isShort || members.every(({ forward }) => isUnderway(forward) || isBehind(forward));
  const okSince = underway.map(({ forward }) => (forward.step === "rolling" ? forward.okSince : undefined));
  if (beginning.commands.length > 0 || !isWhole || okSince.some((since) => since === undefined)) {
    return beginning;
  }
  const bakedAt = Math.max(...okSince.map((since) => since as number)) + bakeOf(state, index);
  if (now < bakedAt) return { commands: [], requeueAfterMs: bakedAt - now };
  const gates = state.gates?.[index] ?? [];
  // A release that is cut short leads to nothing that a gate could hold back.
  const gate = isShort ? -1 : gates.findIndex((passage) => passage !== "passed");
  if (gate < 0) return { commands: underway.map(({ name }) => ({ do: "settle", cluster: name })) };
  return gates[gate] === "pending" ? { commands: [{ do: "ask-gate", wave: index, gate }] } : NOTHING;
}

const NOTHING: WaveDecision = { commands: [] };

/** Starts as many as `maxParallel` lets; a cluster that is ok and bakes no longer counts. */
function beginNext(state: WaveState, now: number, { index, members }: Members): WaveDecision {
  const overdue = members.filter(
    ({ forward }) =>
      forward.step === "requeued" && state.requeueUntil !== undefined && now >= state.requeueUntil,
  );
  if (overdue.length > 0) return { commands: overdue.map(({ name }) => ({ do: "give-up", cluster: name })) };
  const moving = members.filter(
    ({ forward }) =>
      forward.step === "applying" || (forward.step === "rolling" && forward.okSince === undefined),
  );
  const room = Math.max(0, (state.maxParallel?.[index] ?? Number.POSITIVE_INFINITY) - moving.length);
  const due = members.filter(
    ({ forward }) => forward.step === "pending" || (forward.step === "requeued" && forward.retryAt <= now),
  );
  if (due.length > 0 && room > 0) {
    return {
      commands: due.slice(0, room).map(({ name }) => ({ do: "start", cluster: name, wave: index })),
    };
  }
  const retries = members.flatMap(({ forward }) => (forward.step === "requeued" ? [forward.retryAt] : []));
  if (retries.length === 0) return NOTHING;
  const next = Math.min(...retries, state.requeueUntil ?? Number.POSITIVE_INFINITY);
  return next <= now ? NOTHING : { commands: [], requeueAfterMs: next - now };
}

/** The waves after this cluster need not wait for it. */
function isBehind(forward: Forward): boolean {
  return (
    forward.step === "healthy" ||
    forward.step === "refused" ||
    (forward.step === "unknown" && forward.isLeftBehind === true)
  );
}

function isUnderway(forward: Forward): boolean {
  return forward.step === "applying" || forward.step === "rolling";
}

/** A cluster without an answer ends the release, by policy. */
function isCutShort(state: WaveState): boolean {
  return Object.values(state.clusters).some(
    ({ forward }) => forward.step === "unknown" && forward.isLeftBehind !== true,
  );
}

export function bakeOf(state: WaveState, wave: number): number {
  return state.bakes?.[wave] ?? state.bakeMs;
}

/**
 * Back in reverse order. With `rollback-wave` the failed wave goes back, and with it what was begun after it on its
 * word: a cluster of an earlier wave may fail while later ones are on their way.
 */
function afterFailure(state: WaveState): WaveDecision {
  const { backTo } = state;
  if (state.onFailure === "halt" || backTo === undefined) return haltWhenJudged(state);
  const failedWave = state.waves.findIndex((wave) =>
    wave.some((name) => clusterOf(state, name).forward.step === "failed"),
  );
  const first = state.onFailure === "rollback-wave" ? failedWave : 0;
  for (let index = state.waves.length - 1; index >= first; index -= 1) {
    const touched = (state.waves[index] as readonly string[]).filter((name) =>
      isTouched(clusterOf(state, name)),
    );
    const waiting = touched.filter((name) => clusterOf(state, name).restore.step === "none");
    if (waiting.length > 0) {
      return { commands: waiting.map((cluster) => ({ do: "restore", cluster, to: backTo })) };
    }
    if (touched.some((name) => clusterOf(state, name).restore.step === "running")) return { commands: [] };
  }
  const isBack = Object.values(state.clusters).every(
    (cluster) => !isTouched(cluster) || cluster.restore.step === "ok",
  );
  return { commands: [{ do: "finish", outcome: isBack ? "rolled-back" : "failed" }] };
}

/** Something of this release may be in the cluster. */
export function isTouched({ forward }: ClusterState): boolean {
  if (forward.step === "requeued") return forward.startedAt !== undefined;
  return forward.step !== "pending" && forward.step !== "refused";
}

/** The other clusters of the wave keep what they have; they are judged to their end, so that each has a verdict. */
function haltWhenJudged(state: WaveState): WaveDecision {
  const judged = ({ forward }: ClusterState): boolean =>
    forward.step !== "applying" && (forward.step !== "rolling" || forward.okSince !== undefined);
  const settling = clustersWhere(
    state,
    ({ forward }) => forward.step === "rolling" && forward.okSince !== undefined,
  );
  if (settling.length > 0) return { commands: settling.map((cluster) => ({ do: "settle", cluster })) };
  return Object.values(state.clusters).every(judged)
    ? { commands: [{ do: "finish", outcome: "failed" }] }
    : { commands: [] };
}

function clusterOf(state: WaveState, name: string): ClusterState {
  return state.clusters[name] ?? { forward: { step: "pending" }, restore: { step: "none" } };
}

function clustersWhere(state: WaveState, holds: (cluster: ClusterState) => boolean): readonly string[] {
  return Object.entries(state.clusters)
    .filter(([, cluster]) => holds(cluster))
    .map(([name]) => name);
}

function listOf<T>(value: T | undefined): readonly T[] {
  return value === undefined ? [] : [value];
}
