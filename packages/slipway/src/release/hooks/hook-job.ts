/**
 * One Job of a hook in one cluster: created under the release's number, watched by the same judge as everything else,
 * its log told line by line, and cleaned up by number afterwards.
 */
import type { Clock } from "@slipway/base";
import { type AnyObject, isReason, type Job, type KubeClient } from "@slipway/kube";
import { type Applied, applyObjects, isUnreachable, stamp } from "../apply/apply.ts";
import { type Observer, observe } from "../engine/observe.ts";
import { UNREACHABLE_PATIENCE_MS } from "../engine/rollout.ts";
import { kubectlFor, type Run } from "../engine/run.ts";
import type { Cause } from "../judge/causes.ts";
import { judge } from "../judge/judge.ts";
import type { Judgement, Seen } from "../judge/judgement.ts";
import type { RolloutSnapshot } from "../judge/snapshot.ts";
import { SERVICE_LABEL } from "../manifests/render.ts";
import type { HookRun } from "./hook.ts";
import { asHook, deleted, type HookPlace, late, refusal, silent } from "./hook-cause.ts";
import { type FollowedLogs, followLog, told } from "./hook-log.ts";
import { broughtFor, HOOK_LABEL, jobOfRelease } from "./hook-object.ts";

interface JobRun extends HookPlace {
  readonly job: AnyObject;
  readonly keep: number;
  readonly onLine: (line: string) => void;
  /** Aborts when nobody waits for it any more: the release was stopped, or the cluster goes back. */
  readonly signal: AbortSignal;
}

type Result = Pick<HookRun, "outcome" | "cause" | "job">;

export async function runJob(run: Run, given: JobRun): Promise<Result> {
  const { clock } = run.input.context;
  const object = named(run, given);
  const { client } = run.target(given.cluster);
  const timer = new AbortController();
  const over = new AbortController();
  clock.sleep(given.hook.timeoutMs, timer.signal).then(
    () => over.abort(),
    () => undefined,
  );
  const signal = AbortSignal.any([over.signal, given.signal]);
  try {
    const { assureLock } = run.input;
    const options = { clock, signal, patienceMs: run.patienceMs(), assureLock };
    const applied = await applyObjects(client, [...neededBy(run, given, object), object], options);
    const end = await follow(run, given, { applied, object, signal });
    if (end === undefined) return { outcome: "succeeded", job: object.metadata.name };
    if (given.signal.aborted) {
      // One that was stopped is found again by whoever goes on; a release that goes back must not leave one behind.
      if (!run.stop.signal.aborted) await remove(client, object, given.onLine);
      return { outcome: "cancelled", job: object.metadata.name };
    }
    // What goes on after its time could still change a database under the release that went back.
    if (end.isLate) await remove(client, object, given.onLine);
    return {
      outcome: end.isLate ? "timed-out" : "failed",
      cause: end.cause,
      job: object.metadata.name,
    };
  } catch (error) {
    if (given.signal.aborted) return { outcome: "cancelled", job: object.metadata.name };
    return { outcome: "failed", cause: refusal(run, given, error), job: object.metadata.name };
  } finally {
    timer.abort();
  }
}

function named(run: Run, { hook, job }: JobRun): AnyObject {
  return jobOfRelease(hook, job, run.input.record);
}

/** Of what the release brings for this hook, what its Job refers to and nobody has applied yet. */
function neededBy(run: Run, { hook }: JobRun, object: AnyObject): readonly AnyObject[] {
  if (hook.when === "after") return [];
  const { record } = run.input;
  const text = JSON.stringify(object);
  return broughtFor(hook, record.objects)
    .filter((one) => text.includes(`"${one.metadata.name}"`))
    .map((one) => stamp(one, record));
}

interface Ended {
  readonly cause: Cause;
  readonly isLate: boolean;
}

/** Undefined when the Job has completed. */
async function follow(
  run: Run,
  given: JobRun,
  at: { readonly applied: Applied; readonly object: AnyObject; readonly signal: AbortSignal },
): Promise<Ended | undefined> {
  const { context } = run.input;
  const { clock } = context;
  const { client } = run.target(given.cluster);
  const namespace = at.object.metadata.namespace ?? run.input.record.namespace;
  const observer = observe(client, { namespaces: [namespace], clock });
  const logs: FollowedLogs = new Map();
  const stopLogs = new AbortController();
  const { unreachableAfterMs: patienceMs = UNREACHABLE_PATIENCE_MS } = context;
  let silentSince: number | undefined;
  let seen: Seen = new Map();
  let waiting: Cause | undefined;
  const look = (job: Job): Judgement => {
    const current = observer.current();
    const mine = current.pods.filter((pod) => pod.metadata.labels?.["job-name"] === at.object.metadata.name);
    for (const pod of mine) followLog(client, pod, { logs, signal: stopLogs.signal, onLine: given.onLine });
    const snapshot: RolloutSnapshot = {
      ...current,
      jobs: [job],
      cluster: given.cluster,
      kubectl: kubectlFor(context, given.cluster),
      expected: at.applied.workloads,
      baseline: new Map(),
      images: new Map(),
    };
    const judged = judge(snapshot, seen, clock.now());
    seen = judged.seen;
    return judged.judgement;
  };
  try {
    await readyOrSilent(observer, { clock, patienceMs, signal: at.signal });
    while (!at.signal.aborted) {
      const version = observer.version();
      const now = clock.now();
      const job = await jobNow(client, at.object);
      if (job === "deleted") return { cause: deleted(run, given, at.object), isLate: false };
      // Pods that were seen before are old news, by which nothing is judged.
      const silence = job instanceof Error ? job.message : silenceOf(observer);
      if (job instanceof Error || silence !== undefined) {
        silentSince ??= now;
        if (now - silentSince >= patienceMs)
          return { cause: silent(run, given, at.object, { patienceMs, said: silence ?? "" }), isLate: false };
        await observer.changed(version, Math.min(1_000, patienceMs), at.signal);
        continue;
      }
      silentSince = undefined;
      let judgement = look(job);
      // Who is asked for a Job may know of its end before the watch tells of its pod, which has the reason and the words.
      if (judgement.verdict !== "waiting" && (await observer.refresh(at.signal))) judgement = look(job);
      if (judgement.verdict !== "waiting")
        await told(logs, { clock, atMostMs: patienceMs, signal: at.signal });
      if (judgement.verdict === "ok") return undefined;
      if (judgement.verdict === "doomed")
        return { cause: asHook(given, judgement.cause, judgement.pod), isLate: false };
      waiting = judgement.causes[0];
      await observer.changed(
        version,
        Math.min(1_000, (judgement.budgetEndsAt ?? now + 1_000) - now),
        at.signal,
      );
    }
    return { cause: late(run, given, waiting), isLate: true };
  } finally {
    stopLogs.abort();
    observer.close();
  }
}

/** Rejects when it may not be watched, which is an answer; silence is looked at afterwards. */
async function readyOrSilent(
  observer: Observer,
  { clock, patienceMs, signal }: { clock: Clock; patienceMs: number; signal: AbortSignal },
): Promise<void> {
  const timer = new AbortController();
  const limit = clock.sleep(patienceMs, AbortSignal.any([timer.signal, signal])).catch(() => undefined);
  await Promise.race([observer.ready, limit]).finally(() => timer.abort());
}

/** The error where the cluster does not answer, which passes; any other is thrown. */
async function jobNow(client: KubeClient, object: AnyObject): Promise<Job | "deleted" | Error> {
  try {
    return await client.get<Job>(refOf(object));
  } catch (error) {
    if (isReason(error, "NotFound")) return "deleted";
    if (isUnreachable(error)) return error as Error;
    throw error;
  }
}

function silenceOf(observer: Observer): string | undefined {
  return observer.unreachableSince() === undefined ? undefined : observer.lastError();
}

function refOf(object: AnyObject): { apiVersion: string; kind: string; namespace: string; name: string } {
  const { namespace = "default", name } = object.metadata;
  return { apiVersion: "batch/v1", kind: "Job", namespace, name };
}

async function remove(client: KubeClient, object: AnyObject, onLine: (line: string) => void): Promise<void> {
  await client.delete(refOf(object), { propagationPolicy: "Background" }).catch((error: unknown) => {
    if (!isReason(error, "NotFound")) onLine(`the Job could not be ended: ${String(error)}`);
  });
}

/** Of the finished Jobs of this hook the newest stay; one that cannot be deleted now is deleted after a later release. */
export async function tidyJobs(run: Run, given: JobRun): Promise<void> {
  const object = named(run, given);
  const { client } = run.target(given.cluster);
  const labels = object.metadata.labels ?? {};
  const selector = [SERVICE_LABEL, HOOK_LABEL].map((name) => `${name}=${labels[name]}`).join(",");
  const type = { apiVersion: "batch/v1", kind: "Job" };
  const { namespace = "default" } = object.metadata;
  try {
    const { items } = await client.list<AnyObject>(type, { namespace, labelSelector: selector });
    const finished = items
      .filter((one) => {
        const { conditions = [] } = (one["status"] ?? {}) as { conditions?: { status?: string }[] };
        return conditions.some(({ status }) => status === "True");
      })
      .sort((a, b) => numberOf(b) - numberOf(a));
    for (const old of finished.slice(given.keep)) {
      await client.delete(refOf(old), { propagationPolicy: "Background" });
    }
  } catch {
    return;
  }
}

function numberOf(job: AnyObject): number {
  return Number(job.metadata.name.split("-").at(-1));
}
