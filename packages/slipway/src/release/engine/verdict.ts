/** What a cluster's part in the release came to, told and kept. */
import type { Cause } from "../judge/causes.ts";
import type { Verdict } from "../model.ts";
import type { Run } from "./run.ts";

export function failed(run: Run, name: string, cause: Cause): void {
  const startedAt = run.startedAt(name);
  run.set(name, {
    forward: { step: "failed", startedAt, finishedAt: run.now(), cause, evidence: "missing" },
  });
  // Whatever a gate would find out now, the wave has failed.
  run.gating.abort();
  finish(run, name, { verdict: "failed", cause, reason: cause.why });
}

/** By policy the end of the release, or left behind, or tried again later. */
export function unknown(run: Run, name: string, reason: string, cause?: Cause): void {
  const { unreachable, emit } = run.input;
  if (unreachable === "requeue") {
    // What was begun without anything being sent has changed nothing.
    const startedAt = run.sentTo.has(name) ? run.startedAt(name) : undefined;
    const isTold = run.wasRequeued(name);
    run.requeue(name, reason, startedAt);
    if (!isTold) emit({ type: "requeued", cluster: name, reason, forMs: run.requeueForMs });
    return run.keeper.save();
  }
  endUnknown(run, name, { reason, isLeftBehind: unreachable === "skip", cause });
}

export function endUnknown(
  run: Run,
  name: string,
  {
    reason,
    isLeftBehind,
    cause,
  }: { readonly reason: string; readonly isLeftBehind: boolean; readonly cause?: Cause | undefined },
): void {
  const startedAt = run.startedAt(name);
  const finishedAt = run.now();
  run.set(name, { forward: { step: "unknown", startedAt, finishedAt, reason, isLeftBehind, cause } });
  finish(run, name, { verdict: "unknown", cause, reason });
}

/** It may not have this release, and nothing was sent to it. */
export function refused(run: Run, name: string, reason: string): void {
  run.set(name, {
    forward: { step: "refused", startedAt: run.startedAt(name), finishedAt: run.now(), reason },
  });
  finish(run, name, { verdict: "not-started", cause: undefined, reason });
}

export function settled(run: Run, name: string): void {
  const startedAt = run.startedAt(name);
  run.set(name, { forward: { step: "healthy", startedAt, finishedAt: run.now() } });
  finish(run, name, { verdict: "healthy", cause: undefined, reason: undefined });
}

function finish(
  run: Run,
  name: string,
  result: {
    readonly verdict: Verdict;
    readonly cause: Cause | undefined;
    readonly reason: string | undefined;
  },
): void {
  run.finishedAt.set(name, run.now());
  const durationMs = run.now() - run.startedAt(name);
  run.input.emit({ type: "verdict", cluster: name, ...result, durationMs });
  run.keeper.save();
}
