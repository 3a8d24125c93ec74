/** Forward in one cluster: apply, follow the rollout, and report what the judge finds until the release ends. */
import { assertNever, type SlipwayError } from "@slipway/base";
import { type AnyObject, isReason, type Pod, StatusError } from "@slipway/kube";
import {
  type Applied,
  ApplyError,
  applyObjects,
  isUnreachable,
  RELEASE_ANNOTATION,
  stamp,
} from "../apply/apply.ts";
import { countsOf } from "../evidence/evidence.ts";
import { evidenceOfLeft } from "../evidence/left.ts";
import { isSilence, runLateHooks } from "../hooks/run-hooks.ts";
import { type CauseObject, makeCause } from "../judge/causes.ts";
import { baselineOf } from "../judge/crash.ts";
import { refusedApply } from "../judge/creation.ts";
import type { ReleaseRecord } from "../model.ts";
import { newestReplicaSets, type Observation, type Observer } from "./observe.ts";
import { followRollout, type RolloutFact, UNREACHABLE_PATIENCE_MS } from "./rollout.ts";
import { kubectlFor, type Run } from "./run.ts";
import { failed, refused, unknown } from "./verdict.ts";

export async function rollForward(run: Run, name: string, signal: AbortSignal): Promise<void> {
  const { record, emit } = run.input;
  if (run.isLate(name) && !(await letIn(run, name, signal))) return;
  if (!(await withHooks(run, name, signal))) return;
  try {
    const observer = await run.observer(name);
    const before = observer.current();
    const baseline = baselineOf(before.pods);
    run.eventsBefore.set(name, countsOf(before.events));
    if (!run.replicaSetsBefore.has(name)) run.replicaSetsBefore.set(name, newestReplicaSets(before));
    await keepWhatIsLeft(run, name, before);
    const applied = await applyRelease(run, name, { release: record, signal });
    emit({ type: "applied", cluster: name, objects: applied.objects });
    run.set(name, { forward: { step: "rolling", startedAt: run.startedAt(name), okSince: undefined } });
    run.keeper.save();
    await follow(run, name, { release: record, applied, baseline, observer, signal }, (fact) =>
      onFact(run, name, fact),
    );
  } catch (error) {
    if (signal.aborted) return;
    onApplyError(run, name, error);
  }
}

/** In a rollback by hand, and before anything of it is applied: what the release that is left was like is gone after that. */
async function keepWhatIsLeft(run: Run, name: string, observation: Observation): Promise<void> {
  const { record, context, emit } = run.input;
  if (record.kind !== "rollback" || record.leaves === undefined || run.sentTo.has(name)) return;
  const evidence = await evidenceOfLeft({
    ...{ cluster: name, kubectl: kubectlFor(context, name), client: run.target(name).client },
    ...{ clock: context.clock, observation, objects: record.objects, leaves: record.leaves },
  });
  if (evidence === undefined) return;
  run.evidence.push(evidence);
  emit({ type: "evidence", cluster: name, evidence });
  run.keeper.save();
  await run.keeper.saved();
}

/** False when it was told why nothing goes there: it was refused, or is tried again later. */
async function letIn(run: Run, name: string, signal: AbortSignal): Promise<boolean> {
  try {
    const refusals = (await run.input.admit?.(name)) ?? [];
    if (refusals.length > 0) {
      // Exit code 3 is an environment that could not answer well, which it may do in a moment.
      const isFinal = refusals.some(({ exitCode }) => exitCode !== 3);
      const reason = describeRefusals(refusals);
      if (!signal.aborted) (isFinal ? refused : unknown)(run, name, reason);
      return false;
    }
    run.admitted.add(name);
    // Its own copy of the record says that it is being changed before it is.
    run.keeper.save();
    await run.keeper.saved();
    return !signal.aborted;
  } catch (error) {
    if (!signal.aborted) unknown(run, name, error instanceof Error ? error.message : String(error));
    return false;
  }
}

/**
 * False when a hook that goes to every cluster did not succeed here, where it had not been run because the cluster was
 * away. Nothing else has been changed then: like one that preflight refuses, it is left as it is.
 */
async function withHooks(run: Run, name: string, signal: AbortSignal): Promise<boolean> {
  const bad = await runLateHooks(run, name, signal);
  if (bad === undefined) return !signal.aborted;
  if (signal.aborted) return false;
  const { code, why = "it was not run" } = bad.cause ?? {};
  (code !== undefined && isSilence(code) ? unknown : refused)(run, name, why);
  return false;
}

/** `osaka/Deployment web: needs Secret "db". Create it …`: every reason, and what to do about the first. */
function describeRefusals(refusals: readonly SlipwayError[]): string {
  const reasons = refusals.map(({ where, message }) =>
    where === undefined ? message : `${where}: ${message}`,
  );
  const hint = refusals[0]?.hint;
  return `${reasons.join("; ")}${hint === undefined ? "" : `. ${hint}`}`;
}

export function applyRelease(
  run: Run,
  name: string,
  { release, signal }: { readonly release: ReleaseRecord; readonly signal: AbortSignal },
): Promise<Applied> {
  // Restored objects carry the number of the release they come from, which is what then runs.
  const objects = release.objects.map((object) => stamp(object, release));
  const { context, assureLock } = run.input;
  const { clock } = context;
  run.sentTo.add(name);
  const options = { clock, signal, patienceMs: run.patienceMs(), assureLock };
  return applyObjects(run.target(name).client, objects, options);
}

export interface Following {
  readonly release: ReleaseRecord;
  readonly applied: Applied;
  readonly baseline: ReadonlyMap<string, number>;
  readonly observer: Observer;
  readonly signal: AbortSignal;
}

export async function follow(
  run: Run,
  name: string,
  from: Following,
  onFound: (fact: RolloutFact) => void,
): Promise<void> {
  const { context, emit } = run.input;
  let lastProgress = "";
  let overwrittenSince: number | undefined;
  await followRollout({
    cluster: name,
    kubectl: kubectlFor(context, name),
    client: run.target(name).client,
    observer: from.observer,
    expected: from.applied.workloads,
    baseline: from.baseline,
    references: from.release.images.map((image) => image.reference),
    images: context.images,
    unreachableAfterMs: context.unreachableAfterMs ?? UNREACHABLE_PATIENCE_MS,
    clock: context.clock,
    signal: from.signal,
    oldPods: run.input.oldPods,
    // One restart fails a bake; later the judge's own rule holds, which forgives one.
    isBaking: () => run.forward(name).step === "rolling",
    onProgress: (progress) => {
      run.waitingFor.set(name, progress.waitingFor);
      const text = JSON.stringify(progress);
      if (lastProgress === text) return;
      lastProgress = text;
      emit({ type: "progress", cluster: name, progress });
    },
    goesBack: from.release !== run.input.record || run.input.record.kind === "rollback",
    onStuck: (pod) => run.spawn(deleteStuck(run, name, pod)),
    onFact: (fact) => {
      if (from.signal.aborted) return;
      const other = fact.kind === "ok" ? overwrittenBy(from) : undefined;
      if (other === undefined) {
        overwrittenSince = undefined;
        return onFound(fact);
      }
      overwrittenSince ??= run.now();
      const isSettled = run.now() - overwrittenSince >= OVERWRITTEN_PATIENCE_MS;
      onFound(isSettled ? { kind: "unknown", reason: `${other} here meanwhile` } : { kind: "waiting" });
    },
  });
}

/** What it logged is with the evidence of the release that broke it; its volumes stay with the name. */
async function deleteStuck(run: Run, cluster: string, { metadata }: Pod): Promise<void> {
  const { name, namespace, uid } = metadata;
  const what = `pod ${name} of an older revision is not ready, and its StatefulSet goes no further while it is there`;
  let end = "it was deleted";
  try {
    await run.input.assureLock?.();
    const options = uid === undefined ? {} : { preconditions: { uid } };
    await run.target(cluster).client.delete({ apiVersion: "v1", kind: "Pod", name, namespace }, options);
  } catch (error) {
    if (isReason(error, "NotFound") || isReason(error, "Conflict")) return;
    end = `it could not be deleted (${error instanceof Error ? error.message : String(error)}); delete it by hand`;
  }
  run.input.emit({ type: "warning", cluster, message: `${what}: ${end}` });
}

/** The watch may lag behind the apply for a moment, when only annotations differ. */
const OVERWRITTEN_PATIENCE_MS = 10_000;

/** Well, but not ours: a process whose lock was taken over may have applied its own release after us. */
function overwrittenBy({ applied, observer, release }: Following): string | undefined {
  const { deployments, statefulSets, daemonSets } = observer.current();
  const seen = { Deployment: deployments, StatefulSet: statefulSets, DaemonSet: daemonSets, Job: [] };
  for (const { kind, namespace, name } of applied.workloads) {
    const one = seen[kind].find(({ metadata }) => metadata.namespace === namespace && metadata.name === name);
    const number = one?.metadata.annotations?.[RELEASE_ANNOTATION];
    if (number !== undefined && number !== String(release.number)) return `release ${number} was applied`;
  }
  return undefined;
}

function onFact(run: Run, name: string, fact: RolloutFact): void {
  const forward = run.forward(name);
  if (forward.step !== "rolling" && forward.step !== "healthy") return;
  switch (fact.kind) {
    case "ok":
      return onOk(run, name, fact.notes);
    case "waiting":
      return onWaiting(run, name);
    case "doomed":
      run.doomed.set(name, fact);
      return failed(run, name, fact.cause);
    case "unknown":
      return unknown(run, name, fact.reason, fact.cause);
    default:
      return assertNever(fact);
  }
}

function onOk(run: Run, name: string, notes: readonly string[]): void {
  const forward = run.forward(name);
  if (forward.step === "healthy" && forward.unwellSince !== undefined) {
    return run.set(name, { forward: { ...forward, unwellSince: undefined } });
  }
  if (forward.step !== "rolling" || forward.okSince !== undefined) return;
  for (const message of notes) run.input.emit({ type: "warning", cluster: name, message });
  // What had its bake before it was cut off needs no other one.
  const okSince = run.input.resumed?.baked.has(name) ? 0 : run.now();
  run.set(name, { forward: { ...forward, okSince } });
  run.keeper.save();
}

function onWaiting(run: Run, name: string): void {
  const forward = run.forward(name);
  if (forward.step === "healthy" && forward.unwellSince === undefined) {
    run.set(name, { forward: { ...forward, unwellSince: run.now() } });
  }
  if (forward.step === "rolling" && forward.okSince !== undefined) {
    run.set(name, { forward: { ...forward, okSince: undefined } });
  }
}

function onApplyError(run: Run, name: string, error: unknown): void {
  const { context, record } = run.input;
  const facts = { cluster: name, kubectl: kubectlFor(context, name) };
  if (error instanceof ApplyError) {
    const object = placeOf(error.object, record.namespace);
    const why = `the API server refuses the release: ${error.message}`;
    return failed(run, name, makeCause(error.kind, { ...facts, object, why }));
  }
  const object = { namespace: record.namespace };
  if (error instanceof StatusError) {
    const why = `the API server refuses what a release needs: ${error.message}`;
    return failed(run, name, makeCause(refusedApply(error), { ...facts, object, why }));
  }
  const reason = error instanceof Error ? error.message : String(error);
  const away = makeCause("ClusterUnreachable", { ...facts, object, why: reason });
  unknown(run, name, reason, isUnreachable(error) ? away : undefined);
}

function placeOf(object: AnyObject, namespace: string): CauseObject {
  const { kind, metadata } = object;
  const where = { namespace: metadata.namespace ?? namespace };
  return kind === "Deployment"
    ? { ...where, deployment: metadata.name }
    : { ...where, kind, name: metadata.name };
}
