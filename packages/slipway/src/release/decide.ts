/**
 * The waves as one pure function: `decide(state, now)` says what to do next. The driver in `engine.ts` does it and
 * reports what happened by replacing parts of the state; nothing here waits, reads a clock or touches a cluster.
 *
 * The rules, in order:
 *   1. Evidence of a failed cluster is taken before anything else happens to it.
 *   2. After a failure, by policy, the touched clusters go back in reverse order of their waves; inside a wave all
 *      at once. The next earlier wave begins when the later one is back (or could not go back).
 *   3. A wave begins when the one before it has been ok for the bake time, without a break.
 *   4. A cluster that does not answer is `unknown`: nothing more is started, nothing is called a success.
 */
import type { ReleaseConfig } from "../config/types.ts";
import type { Cause } from "./causes.ts";

export type Forward =
  | { readonly step: "pending" }
  | { readonly step: "applying"; readonly startedAt: number }
  /** Applied and watched. `okSince` is absent while it is waiting for something. */
  | { readonly step: "rolling"; readonly startedAt: number; readonly okSince: number | undefined }
  | { readonly step: "healthy"; readonly startedAt: number; readonly finishedAt: number }
  | {
      readonly step: "failed";
      readonly startedAt: number;
      readonly finishedAt: number;
      readonly cause: Cause;
      readonly evidence: "missing" | "taking" | "taken";
    }
  | {
      readonly step: "unknown";
      readonly startedAt: number;
      readonly finishedAt: number;
      readonly reason: string;
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

export interface WaveState {
  readonly waves: readonly (readonly string[])[];
  readonly bakeMs: number;
  readonly onFailure: ReleaseConfig["onFailure"];
  /** The release to go back to; undefined when there is none, and for a rollback, which is never rolled back. */
  readonly backTo: number | undefined;
  readonly clusters: Readonly<Record<string, ClusterState>>;
  /** Set when the process was told to stop or lost its lock: finish what is decided, begin nothing. */
  readonly stopped: string | undefined;
}

export type WaveCommand =
  | { readonly do: "start"; readonly cluster: string; readonly wave: number }
  | { readonly do: "take-evidence"; readonly cluster: string }
  | { readonly do: "settle"; readonly cluster: string }
  | { readonly do: "restore"; readonly cluster: string; readonly to: number }
  | {
      readonly do: "finish";
      readonly outcome: "healthy" | "failed" | "rolled-back" | "unknown" | "interrupted";
    };

export interface WaveDecision {
  readonly commands: readonly WaveCommand[];
  readonly requeueAfterMs?: number;
}

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
  return nextWave(state, now);
}

function nextWave(state: WaveState, now: number): WaveDecision {
  for (const [index, wave] of state.waves.entries()) {
    const members = wave.map((name) => ({ name, forward: clusterOf(state, name).forward }));
    const pending = members.filter(({ forward }) => forward.step === "pending");
    if (pending.length > 0) {
      return { commands: pending.map(({ name }) => ({ do: "start", cluster: name, wave: index })) };
    }
    if (members.every(({ forward }) => forward.step === "healthy")) continue;
    const open = members.filter(({ forward }) => forward.step !== "healthy" && forward.step !== "unknown");
    if (open.length === 0) return { commands: [{ do: "finish", outcome: "unknown" }] };
    const okSince = open.map(({ forward }) => (forward.step === "rolling" ? forward.okSince : undefined));
    if (okSince.some((since) => since === undefined)) return { commands: [] };
    const bakedAt = Math.max(...okSince.map((since) => since as number)) + state.bakeMs;
    if (now < bakedAt) return { commands: [], requeueAfterMs: bakedAt - now };
    return { commands: open.map(({ name }) => ({ do: "settle", cluster: name })) };
  }
  return { commands: [{ do: "finish", outcome: "healthy" }] };
}

function afterFailure(state: WaveState): WaveDecision {
  const { backTo } = state;
  if (state.onFailure === "halt" || backTo === undefined) return haltWhenJudged(state);
  const failedWave = state.waves.findIndex((wave) =>
    wave.some((name) => clusterOf(state, name).forward.step === "failed"),
  );
  const first = state.onFailure === "rollback-wave" ? failedWave : 0;
  for (let index = failedWave; index >= first; index -= 1) {
    const touched = (state.waves[index] as readonly string[]).filter(
      (name) => clusterOf(state, name).forward.step !== "pending",
    );
    const waiting = touched.filter((name) => clusterOf(state, name).restore.step === "none");
    if (waiting.length > 0) {
      return { commands: waiting.map((cluster) => ({ do: "restore", cluster, to: backTo })) };
    }
    if (touched.some((name) => clusterOf(state, name).restore.step === "running")) return { commands: [] };
  }
  const isBack = Object.values(state.clusters).every(
    ({ forward, restore }) => forward.step === "pending" || restore.step === "ok",
  );
  return { commands: [{ do: "finish", outcome: isBack ? "rolled-back" : "failed" }] };
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
