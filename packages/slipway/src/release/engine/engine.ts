/**
 * The driver of `decide`: does its commands, reports what happens into the state, tells it as events, and keeps the
 * record in the clusters up to date at every step. Locks, numbers and targets are `release.ts`'s business; this runs
 * one release that may run.
 *
 * What a command means stands in a file of its own: `roll-forward.ts`, `roll-back.ts`, `gates/ask.ts`, `run-hooks.ts`;
 * what they share in `run.ts`, what is kept in `record-keeper.ts`.
 */
import { assertNever, SlipwayError } from "@slipway/base";
import { takeEvidence } from "../evidence/evidence.ts";
import { askGate } from "../gates/ask.ts";
import { runHooks } from "../hooks/run-hooks.ts";
import { makeCause } from "../judge/causes.ts";
import type { ReleaseRecord } from "../model.ts";
import { bakeOf, decide, type WaveCommand, type WaveDecision } from "./decide.ts";
import { NOTHING_OBSERVED } from "./observe.ts";
import { beginRestore } from "./roll-back.ts";
import { rollForward } from "./roll-forward.ts";
import { kubectlFor, Run, type RunInput } from "./run.ts";
import { endUnknown, failed, settled } from "./verdict.ts";

export { kubectlFor, type RunInput } from "./run.ts";

/** Runs the release to its end and returns the final record, which has been written to every cluster that answers. */
export async function runRelease(input: RunInput): Promise<ReleaseRecord> {
  const run = new Run(input);
  const { signal } = input;
  const onStop = (): void => {
    const reason: unknown = signal.reason;
    run.change({ stopped: reason instanceof SlipwayError ? reason.message : "it was interrupted" });
    run.stop.abort(reason);
  };
  if (signal.aborted) onStop();
  else signal.addEventListener("abort", onStop, { once: true });
  try {
    run.servedBefore = await servedBefore(run);
    await untilFinished(run);
  } finally {
    signal.removeEventListener("abort", onStop);
    await run.close();
  }
  const isLeftOut = [...input.skipped.keys()].some((name) => run.state.clusters[name] === undefined);
  if (run.outcome === "healthy" && isLeftOut) run.outcome = "unknown";
  const isLost = signal.reason instanceof SlipwayError && signal.reason.code === "LOCK_LOST";
  // Whoever took the lock writes the record from now on.
  if (!isLost) {
    run.keeper.save();
    await run.keeper.saved();
  }
  return run.record(run.keeper.revision());
}

/** Of the edge alone: collectors tell it when they are asked. */
async function servedBefore({ input, stop: { signal } }: Run): Promise<Run["servedBefore"]> {
  const served = input.context.gates?.served;
  if (served?.by !== "edge") return [];
  const { startedAt } = input.record;
  return served.count({ startedAt, signal }).then(
    ({ counts }) => counts,
    () => [],
  );
}

async function untilFinished(run: Run): Promise<void> {
  const announced = { bake: -1 };
  for (;;) {
    const { promise, resolve } = Promise.withResolvers<void>();
    run.wake = resolve;
    const decision = decide(run.state, run.now());
    const finish = decision.commands.find((command) => command.do === "finish");
    if (finish !== undefined) {
      run.outcome = finish.outcome;
      return;
    }
    for (const command of decision.commands) execute(run, command);
    if (decision.commands.length > 0) continue;
    announceBake(run, decision, announced);
    if (decision.requeueAfterMs === undefined) {
      await promise;
      continue;
    }
    const timer = new AbortController();
    const slept = run.input.context.clock.sleep(decision.requeueAfterMs, timer.signal).catch(() => undefined);
    await Promise.race([promise, slept]);
    timer.abort();
  }
}

function execute(run: Run, command: WaveCommand): void {
  switch (command.do) {
    case "run-hooks":
      return runHooks(run, command.when);
    case "start":
      return start(run, command.cluster, command.wave);
    case "ask-gate":
      return askGate(run, command.wave, command.gate);
    case "take-evidence":
      return keepEvidence(run, command.cluster);
    case "settle":
      return settled(run, command.cluster);
    case "fail-unwell":
      return failUnwell(run, command.cluster);
    case "give-up":
      return giveUp(run, command.cluster);
    case "restore":
      return beginRestore(run, command.cluster);
    case "finish":
      return;
    default:
      assertNever(command);
  }
}

function start(run: Run, name: string, wave: number): void {
  const members = run.state.waves[wave] ?? [];
  const isFirst = members.every((one) => ["pending", "requeued"].includes(run.forward(one).step));
  const isAgain = run.isRequeueWave(wave);
  run.set(name, { forward: { step: "applying", startedAt: run.startedAt(name) } });
  if (isFirst && !(isAgain && run.state.requeueUntil !== undefined)) {
    run.input.emit({ type: "wave-started", wave, waves: run.state.waves.length, clusters: members });
  }
  if (isAgain && run.state.requeueUntil === undefined) {
    run.change({ requeueUntil: run.now() + run.requeueForMs });
  }
  // The record says that this cluster is being changed before it is.
  run.keeper.save();
  const abort = new AbortController();
  const signal = AbortSignal.any([abort.signal, run.stop.signal]);
  const task = run.keeper.saved().then(() => rollForward(run, name, signal));
  run.forwarding.set(name, { abort, task });
  run.spawn(task);
}

function keepEvidence(run: Run, name: string): void {
  const forward = run.forward(name);
  if (forward.step !== "failed") return;
  run.set(name, { forward: { ...forward, evidence: "taking" } });
  const take = async (): Promise<void> => {
    const taken = await takeEvidence({
      client: run.target(name).client,
      clock: run.input.context.clock,
      observation: run.observed(name)?.current() ?? NOTHING_OBSERVED,
      cause: forward.cause,
      pod: run.doomed.get(name)?.pod,
      logs: run.doomed.get(name)?.logs,
      before: run.eventsBefore.get(name) ?? new Map(),
    });
    const notes = run.notes.get(name);
    const evidence = notes === undefined ? taken : { ...taken, notes };
    run.evidence.push(evidence);
    run.input.emit({ type: "evidence", cluster: name, evidence });
    // Stored before anything is rolled back, so that a crash from here on cannot lose it.
    run.keeper.save();
    await run.keeper.saved();
    run.set(name, { forward: { ...forward, cause: evidence.cause, evidence: "taken" } });
  };
  run.spawn(take());
}

function failUnwell(run: Run, name: string): void {
  const waited = run.waitingFor.get(name)?.[0];
  const cause =
    waited ??
    makeCause("RolloutPending", {
      cluster: name,
      kubectl: kubectlFor(run.input.context, name),
      object: { namespace: run.input.record.namespace },
      why: "it is not ok any more",
    });
  failed(run, name, { ...cause, why: `was healthy and then for ten minutes not: ${cause.why}` });
}

function giveUp(run: Run, name: string): void {
  const forward = run.forward(name);
  if (forward.step !== "requeued") return;
  endUnknown(run, name, { reason: forward.reason, isLeftBehind: false });
}

function announceBake(run: Run, decision: WaveDecision, announced: { bake: number }): void {
  if (decision.requeueAfterMs === undefined) return;
  const wave = run.state.waves.findIndex((one) => one.some((name) => run.forward(name).step === "rolling"));
  const bakeMs = wave < 0 ? 0 : bakeOf(run.state, wave);
  const isBaking = (run.state.waves[wave] ?? []).every((name) => {
    const forward = run.forward(name);
    return forward.step !== "applying" && (forward.step !== "rolling" || forward.okSince !== undefined);
  });
  if (wave === announced.bake || bakeMs === 0 || !isBaking) return;
  announced.bake = wave;
  run.input.emit({ type: "baking", wave, bakeMs });
}
