/**
 * Going on with a release that was cut off: which one, and where each cluster stands. Pure; `go-on.ts` takes the lock
 * and runs it. The release keeps its number and its stored objects, so there is no build and no git.
 *
 * Clusters that were healthy are applied (which changes nothing) and judged again, without another bake; the one that
 * was cut off is applied again and judged from the start. Where it was already going back, it goes on going back.
 *
 * Gates: those of a finished wave are not asked again, nor is a person who has said yes. In a wave that was cut off the
 * clusters bake again, and so its other gates are asked again: what they found was of another moment.
 * Hooks: what the record calls succeeded is not done again, in the cluster where it was done. A Job that was begun is
 * found again by its name, which has the release's number, and waited for; it may have ended meanwhile. A program
 * that was cut off is run again, since nothing can tell how far it came.
 */
import { SlipwayError } from "@slipway/base";
import type { GateConfig } from "../config/types.ts";
import type { ClusterState, Forward } from "./engine/decide.ts";
import type { ClusterRecord, ReleaseRecord } from "./model.ts";

export interface Resumed {
  readonly clusters: Readonly<Record<string, ClusterState>>;
  /** Clusters that have had their bake. */
  readonly baked: ReadonlySet<string>;
  /** Clusters that were away when it began and have not been reached since: nobody has planned them. */
  readonly unplanned: ReadonlySet<string>;
}

/** A failure this old is not acted upon by itself: the world has moved on, so the cluster is judged again. */
const FRESH_FAILURE_MS = 20 * 60_000;

/** The release to go on with. Throws when the newest one was not cut off; `unreadable`: records nobody can read. */
export function resumable(
  records: readonly ReleaseRecord[],
  unreadable: readonly number[] = [],
): ReleaseRecord {
  const [newest] = records;
  const cutOff = records.find(isCutOff);
  if (newest === undefined || cutOff === undefined) {
    const what =
      newest === undefined
        ? "nothing was released here yet"
        : `release ${newest.number} was not cut off (${newest.outcome})`;
    throw refusal("RESUME_NOTHING", what, "Deploy, or go back with slipway rollback.");
  }
  const since = Math.max(newest.number, ...unreadable);
  if (since === cutOff.number) return cutOff;
  throw refusal(
    "RESUME_SUPERSEDED",
    `release ${cutOff.number} was cut off, but release ${since} has been released since`,
    "Going on with the old one would undo the new one. Deploy what should run, or go back with slipway rollback.",
  );
}

function isCutOff(record: ReleaseRecord): boolean {
  return record.outcome === "interrupted" || record.outcome === "in-progress";
}

function refusal(code: string, message: string, hint: string): SlipwayError {
  return new SlipwayError({ code, where: "deploy --resume", message, hint, exitCode: 2 });
}

/** Was it going back, or does it have a failure that is recent enough to go back from? */
export function isGoingBack(record: ReleaseRecord, now: number): boolean {
  if (record.kind === "rollback") return false;
  const clusters = Object.values(record.clusters);
  const hasBegun = clusters.some(({ step, restored }) => step === "restoring" || restored !== undefined);
  return hasBegun || clusters.some((cluster) => isFreshFailure(cluster, now));
}

function isFreshFailure({ verdict, finishedAt = 0 }: ClusterRecord, now: number): boolean {
  return verdict === "failed" && now - finishedAt <= FRESH_FAILURE_MS;
}

export function resumeFrom(record: ReleaseRecord, now: number): Resumed {
  const goesBack = isGoingBack(record, now);
  const clusters: Record<string, ClusterState> = {};
  const baked = new Set<string>();
  const unplanned = new Set<string>();
  for (const name of record.waves.flat()) {
    const cluster = record.clusters[name];
    const isTouched = cluster?.runs !== undefined;
    const wasAway = !isTouched && (cluster?.verdict === "unknown" || cluster?.reason !== undefined);
    // No preflight stands in the way of going back.
    if (wasAway && record.kind === "deploy") unplanned.add(name);
    if (cluster === undefined || !isTouched || !goesBack) {
      clusters[name] = { forward: { step: "pending" }, restore: { step: "none" } };
      if (isTouched && cluster.verdict === "healthy") baked.add(name);
      continue;
    }
    const isBack = cluster.restored?.ok === true;
    clusters[name] = {
      forward: forwardOf(record, name, cluster),
      restore: isBack ? { step: "ok" } : { step: "none" },
    };
  }
  return { clusters, baked, unplanned };
}

/** How far forward a cluster had come that now goes back. */
function forwardOf(record: ReleaseRecord, name: string, cluster: ClusterRecord): Forward {
  const { startedAt = record.startedAt, finishedAt = startedAt, verdict, cause } = cluster;
  if (verdict === "failed" && cause !== undefined) {
    const isTaken = record.evidence.some((evidence) => evidence.cluster === name);
    return { step: "failed", startedAt, finishedAt, cause, evidence: isTaken ? "taken" : "missing" };
  }
  if (verdict === "healthy") return { step: "healthy", startedAt, finishedAt };
  const reason = cluster.reason ?? "it was cut off there before it was judged";
  return { step: "unknown", startedAt, finishedAt, reason };
}

/** Is this gate behind the release? `wave` is a position in the record's waves, or the one after them. */
export function hasPassed(
  record: Pick<ReleaseRecord, "gates" | "waves" | "clusters">,
  { baked }: Pick<Resumed, "baked">,
  { wave, gate }: { readonly wave: number; readonly gate: Pick<GateConfig, "name" | "kind"> },
): boolean {
  const found = record.gates?.find((one) => one.wave === wave && one.name === gate.name);
  if (found?.outcome !== "passed") return false;
  if (gate.kind === "approval") return true;
  // Whoever was left out of the wave, or away, has nothing to do with its gates.
  const members = found.clusters.filter((name) => record.clusters[name]?.runs !== undefined);
  return members.every((name) => baked.has(name));
}
