/** Back in one cluster, after a failure: what goes forward is ended, and the release of before is applied and judged. */

import { prune, toPrune } from "../apply/prune.ts";
import { causeSentence } from "../judge/causes.ts";
import { baselineOf } from "../judge/crash.ts";
import type { ReleaseRecord } from "../model.ts";
import { applyRelease, follow } from "./roll-forward.ts";
import type { Run } from "./run.ts";

export function beginRestore(run: Run, name: string): void {
  const { backTo, emit } = run.input;
  if (backTo === undefined) return;
  const isTogether = Object.values(run.state.clusters).some((one) => one.restore.step === "running");
  run.set(name, { restore: { step: "running" } });
  if (!isTogether) {
    const wave = run.state.waves.find((one) => one.includes(name)) ?? [name];
    emit({
      type: "rolling-back",
      to: backTo.number,
      clusters: wave.filter((one) => run.forward(one).step !== "pending"),
    });
  }
  run.keeper.save();
  run.spawn(restore(run, name, backTo));
}

async function restore(run: Run, name: string, backTo: ReleaseRecord): Promise<void> {
  const done = new AbortController();
  const signal = AbortSignal.any([done.signal, run.stop.signal]);
  try {
    // Two applies in one cluster at the same time would leave a mixture.
    const forwarding = run.forwarding.get(name);
    forwarding?.abort.abort();
    await forwarding?.task;
    const observer = await run.observer(name);
    const baseline = baselineOf(observer.current().pods);
    const applied = await applyRelease(run, name, { release: backTo, signal });
    let reason: string | undefined = "it was interrupted";
    await follow(run, name, { release: backTo, applied, baseline, observer, signal }, (fact) => {
      if (fact.kind === "waiting") return;
      if (fact.kind === "ok") reason = undefined;
      if (fact.kind === "doomed") reason = causeSentence(fact.cause);
      if (fact.kind === "unknown") reason = fact.reason;
      done.abort();
    });
    if (reason === undefined) await pruneAfterRestore(run, name, backTo);
    endRestore(run, name, { backTo, reason });
  } catch (error) {
    endRestore(run, name, { backTo, reason: error instanceof Error ? error.message : String(error) });
  }
}

function endRestore(
  run: Run,
  name: string,
  { backTo, reason }: { readonly backTo: ReleaseRecord; readonly reason: string | undefined },
): void {
  run.set(name, { restore: reason === undefined ? { step: "ok" } : { step: "failed", reason } });
  run.input.emit({
    type: "rolled-back",
    cluster: name,
    to: backTo.number,
    ok: reason === undefined,
    reason,
  });
  run.keeper.save();
}

/** What the failed release brought and the restored one does not know. */
async function pruneAfterRestore(run: Run, name: string, backTo: ReleaseRecord): Promise<void> {
  const { record, emit } = run.input;
  const refs = toPrune({ before: record.objects, after: backTo.objects, kept: record.objects });
  const { deleted, failed } = await prune(run.target(name).client, refs, record.service);
  if (deleted.length > 0) emit({ type: "pruned", cluster: name, objects: deleted });
  for (const message of failed) emit({ type: "warning", cluster: name, message: `not pruned: ${message}` });
}
