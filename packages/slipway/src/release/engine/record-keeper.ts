/**
 * The record of a running release: what it says, and how it is kept in every cluster. It is written at every step, so
 * that a process that dies leaves a state that explains itself.
 */
import { assertNever, SlipwayError } from "@slipway/base";
import { patiently } from "../apply/apply.ts";
import type { ReleaseNews } from "../events.ts";
import type { Evidence } from "../evidence/evidence.ts";
import type { GateRecord } from "../gates/gate.ts";
import { heldAfter } from "../history/held-after.ts";
import { writeRecord } from "../history/records.ts";
import type { HookRecord } from "../hooks/hook.ts";
import type { ClusterRecord, Outcome, ReleaseContext, ReleaseRecord, Target } from "../model.ts";
import type { ClusterState, WaveState } from "./decide.ts";

/** How long one cluster may take to store a record before it is left behind. */
const WRITE_PATIENCE_MS = 5_000;

export interface RecordFacts {
  readonly record: ReleaseRecord;
  readonly backTo: ReleaseRecord | undefined;
  readonly skipped: ReadonlyMap<string, string>;
  readonly state: WaveState;
  readonly outcome: Outcome;
  readonly finishedAt: ReadonlyMap<string, number>;
  /** Clusters to which something of this release was sent. */
  readonly sentTo: ReadonlySet<string>;
  readonly evidence: readonly Evidence[];
  readonly gates: readonly GateRecord[];
  readonly hooks: readonly HookRecord[];
  readonly revision: number;
  readonly now: number;
}

/** Pure: the record that tells these facts. */
export function recordOf(facts: RecordFacts): ReleaseRecord {
  const { record, backTo, state, outcome } = facts;
  const clusters: Record<string, ClusterRecord> = {};
  for (const name of record.waves.flat()) {
    const cluster = state.clusters[name];
    clusters[name] =
      cluster === undefined
        ? { verdict: "unknown", step: "done", reason: facts.skipped.get(name) }
        : clusterRecord(facts, name, cluster);
  }
  const isOver = outcome !== "in-progress";
  return {
    ...record,
    outcome,
    clusters,
    evidence: facts.evidence,
    ...(facts.gates.length === 0 ? {} : { gates: facts.gates }),
    ...(facts.hooks.length === 0 ? {} : { hooks: facts.hooks }),
    revision: facts.revision,
    held: isOver ? [...record.held, ...heldAfter(record, clusters, backTo)] : record.held,
    ...(isOver ? { finishedAt: facts.now } : {}),
  };
}

function clusterRecord(
  { record, backTo, outcome, finishedAt: ends, sentTo }: RecordFacts,
  name: string,
  { forward, restore }: ClusterState,
): ClusterRecord {
  const before = record.clusters[name];
  const finishedAt = ends.get(name) ?? before?.finishedAt;
  if (forward.step === "pending" && before?.runs !== undefined) {
    // Cut off before, and not come to again yet: what it runs is still so.
    return { ...before, step: outcome === "in-progress" ? "pending" : "done" };
  }
  if (forward.step === "pending") {
    return { verdict: "not-started", step: outcome === "in-progress" ? "pending" : "done" };
  }
  if (forward.step === "requeued" && forward.startedAt === undefined) {
    return {
      verdict: "unknown",
      step: outcome === "in-progress" ? "pending" : "done",
      reason: forward.reason,
    };
  }
  const isBack = restore.step === "ok";
  // While it is being applied, dying must leave a record that counts with it; after it was found silent before anything
  // was sent, what ran there before still runs.
  const isTouched = forward.step === "applying" || sentTo.has(name);
  const common = {
    ...(forward.startedAt === undefined ? {} : { startedAt: forward.startedAt }),
    ...(finishedAt === undefined ? {} : { finishedAt }),
    ...(isTouched ? { runs: isBack && backTo !== undefined ? backTo.number : record.number } : {}),
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
  const stepOr = (step: ClusterRecord["step"]): ClusterRecord["step"] =>
    restore.step === "running" ? "restoring" : step;
  switch (forward.step) {
    case "applying":
      return { ...common, verdict: "unknown", step: stepOr("applying") };
    case "rolling":
      return {
        ...common,
        verdict: "unknown",
        step: stepOr(forward.okSince === undefined ? "judging" : "baking"),
      };
    case "healthy":
      return { ...common, verdict: "healthy", step: stepOr("done") };
    case "failed":
      return { ...common, verdict: "failed", step: stepOr("done"), cause: forward.cause };
    case "refused":
      return { verdict: "not-started", step: "done", reason: forward.reason };
    case "unknown":
    case "requeued":
      return {
        ...common,
        verdict: "unknown",
        step: stepOr("done"),
        reason: forward.reason,
        ...(forward.step === "unknown" && forward.cause !== undefined ? { cause: forward.cause } : {}),
      };
    default:
      return assertNever(forward);
  }
}

export interface Keeper {
  /** Writes the record soon; writes follow each other, and one that waits takes the newest state. */
  save(): void;
  /** Resolves when what was to be saved is saved, wherever it could be. */
  saved(): Promise<void>;
  revision(): number;
}

export function createKeeper(input: {
  readonly context: ReleaseContext;
  readonly targets: () => readonly Target[];
  readonly revision: number;
  readonly record: (revision: number) => ReleaseRecord;
  readonly emit: (news: ReleaseNews) => void;
  readonly onFenced?: ((refusal: SlipwayError) => void) | undefined;
}): Keeper {
  let { revision } = input;
  let saving: Promise<void> = Promise.resolve();
  let isPending = false;
  return {
    save() {
      if (isPending) return;
      isPending = true;
      saving = saving.then(async () => {
        isPending = false;
        revision += 1;
        const record = input.record(revision);
        await Promise.all(input.targets().map((target) => writeTo(input, target, record)));
      });
    },
    saved: () => saving,
    revision: () => revision,
  };
}

/** A cluster that does not take the record now gets the next one; only the final one is insisted on. */
async function writeTo(
  { context, emit, onFenced }: Parameters<typeof createKeeper>[0],
  target: Target,
  record: ReleaseRecord,
): Promise<void> {
  const { clock, unreachableAfterMs } = context;
  const isFinal = record.outcome !== "in-progress";
  const patienceMs = Math.min(WRITE_PATIENCE_MS, unreachableAfterMs ?? WRITE_PATIENCE_MS);
  const timer = new AbortController();
  const limit = clock.sleep(patienceMs, timer.signal).then(
    () => "it did not answer in time",
    () => undefined,
  );
  const write = patiently({ clock, patienceMs: isFinal ? WRITE_PATIENCE_MS : 0, signal: timer.signal }, () =>
    writeRecord(target.client, record),
  ).then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof SlipwayError && error.code === "RECORD_FENCED") onFenced?.(error);
      return error instanceof Error ? error.message : String(error);
    },
  );
  const problem = await Promise.race([write, limit]);
  timer.abort();
  if (problem !== undefined && isFinal) {
    const message = `the record of release ${record.number} could not be stored here (${problem})`;
    emit({ type: "warning", cluster: target.name, message });
  }
}
