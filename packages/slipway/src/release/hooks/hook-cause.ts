/** Why a Job of a hook did not succeed, in the words of the judge. */
import { formatDuration } from "@slipway/base";
import { type AnyObject, type Pod, StatusError } from "@slipway/kube";
import { ApplyError, isUnreachable } from "../apply/apply.ts";
import { kubectlFor, type Run } from "../engine/run.ts";
import { type Cause, type CauseCode, makeCause, renderObjectPath } from "../judge/causes.ts";
import { describeExit } from "../judge/crash.ts";
import { refusedApply } from "../judge/creation.ts";
import type { Hook } from "./hook.ts";

/** Which hook, and where it runs. */
export interface HookPlace {
  readonly hook: Hook;
  readonly cluster: string;
}

/** The judge's own cause where it is more than "the Job failed"; an exit code belongs to the sentence. */
export function asHook(given: HookPlace, cause: Cause, pod: Pod | undefined): Cause {
  const code: CauseCode = cause.code === "JobFailed" ? "HookFailed" : cause.code;
  const end = pod?.status?.containerStatuses
    ?.map(({ state }) => state?.terminated)
    .find((one) => one !== undefined);
  const exit = end === undefined ? "" : `, ${describeExit(end)}`;
  const facts = { ...cause, why: `hook ${given.hook.name}: ${cause.why}${exit}` };
  return code === cause.code ? facts : { ...facts, ...restOf(code, cause, facts.why) };
}

function restOf(code: CauseCode, cause: Cause, why: string): Cause {
  const kubectl = cause.command.split(" -n ")[0] ?? "kubectl";
  return makeCause(code, { cluster: cause.cluster, kubectl, object: cause.object, why });
}

/** Time alone is no reason: what was waited for last is. */
export function late(run: Run, given: HookPlace, waiting: Cause | undefined): Cause {
  const { context, record } = run.input;
  const path = waiting === undefined ? "" : renderObjectPath(waiting.object);
  const last =
    waiting === undefined ? "its pod was never seen" : `${path === "" ? "" : `${path}: `}${waiting.why}`;
  return makeCause("HookTimedOut", {
    cluster: given.cluster,
    kubectl: kubectlFor(context, given.cluster),
    object: waiting?.object ?? { namespace: record.namespace },
    why: `hook ${given.hook.name} did not end within ${given.hook.timeoutMs / 1000} s and was ended; last seen: ${last}`,
  });
}

/** It was begun: what has become of it is not known, and may be anything. */
export function silent(
  run: Run,
  given: HookPlace,
  object: AnyObject,
  { patienceMs, said }: { readonly patienceMs: number; readonly said: string },
): Cause {
  const job = `hook ${given.hook.name}: its Job ${object.metadata.name} was begun`;
  const why = `${job}, and then the cluster did not answer for ${formatDuration(patienceMs)}: ${said}; it may still be running`;
  return causeOf(run, given, { code: "ClusterUnreachable", object, why });
}

/** By a person, or by its own ttlSecondsAfterFinished. */
export function deleted(run: Run, given: HookPlace, object: AnyObject): Cause {
  const why = `hook ${given.hook.name}: its Job ${object.metadata.name} was deleted before anybody saw how it ended`;
  return causeOf(run, given, { code: "HookFailed", object, why });
}

function causeOf(
  run: Run,
  given: HookPlace,
  found: { readonly code: CauseCode; readonly object: AnyObject; readonly why: string },
): Cause {
  const { kind, metadata } = found.object;
  return makeCause(found.code, {
    cluster: given.cluster,
    kubectl: kubectlFor(run.input.context, given.cluster),
    object: { namespace: metadata.namespace ?? run.input.record.namespace, kind, name: metadata.name },
    why: found.why,
  });
}

export function refusal(run: Run, given: HookPlace, error: unknown): Cause {
  const { context, record } = run.input;
  const code = refusalCode(error);
  return makeCause(code, {
    cluster: given.cluster,
    kubectl: kubectlFor(context, given.cluster),
    object: { namespace: record.namespace },
    why: `hook ${given.hook.name} could not be started: ${error instanceof Error ? error.message : String(error)}`,
  });
}

/** What the API server answers to one object comes as an ApplyError, which knows its cause. */
function refusalCode(error: unknown): CauseCode {
  if (error instanceof ApplyError) return error.kind;
  if (error instanceof StatusError) return refusedApply(error);
  return isUnreachable(error) ? "ClusterUnreachable" : "ApplyRefused";
}
