/**
 * Applies a release's objects to one cluster by server-side apply, in their order, under the field manager
 * `slipway`. With force: what the release says wins over what a person changed by hand (`kubectl scale`, `kubectl
 * edit`), because a release whose result depends on such changes could neither be repeated nor taken back. Fields
 * that the release does not name stay with whoever set them.
 *
 * An apply is idempotent, so passing trouble (unreachable, overloaded) is simply tried again for a while.
 */
import { type Clock, SlipwayError } from "@slipway/base";
import { type AnyObject, isReason, type KubeClient, StatusError } from "@slipway/kube";
import type { CauseCode } from "../judge/causes.ts";
import { refusedApply } from "../judge/creation.ts";
import { type ExpectedWorkload, JUDGED_KINDS, type WorkloadKind } from "../judge/workload.ts";
import { MANAGED_BY_LABEL, SERVICE_LABEL } from "../manifests/render.ts";
import { discoveryOf, servedObject } from "../manifests/served.ts";
import type { VersionInfo } from "../model.ts";
import { autoscaledIn, leaveReplicas } from "./autoscaled.ts";
import { handOverReplicas } from "./hand-over.ts";
import { withLiveAccount } from "./service-account.ts";
import { applyChoices } from "./unions.ts";

export const FIELD_MANAGER = "slipway";
export const RELEASE_ANNOTATION = "slipway.dev/release";
export const COMMIT_ANNOTATION = "slipway.dev/commit";
/** What `kubectl rollout history` shows beside a revision. */
export const CHANGE_CAUSE_ANNOTATION = "kubernetes.io/change-cause";

/** How long an apply goes on trying while the cluster does not answer, at most. */
export const APPLY_PATIENCE_MS = 30_000;

/** The object with the release's number on its own annotations; the pod template is left alone. */
export function stamp(
  object: AnyObject,
  release: { readonly number: number; readonly version: VersionInfo },
): AnyObject {
  const { commit, message } = release.version;
  const cause = `release ${release.number}, ${commit.slice(0, 12)}${message === "" ? "" : ` ${message.split("\n")[0]}`}`;
  return {
    ...object,
    metadata: {
      ...object.metadata,
      annotations: {
        ...object.metadata.annotations,
        [RELEASE_ANNOTATION]: String(release.number),
        [COMMIT_ANNOTATION]: commit,
        ...(object.kind === "Deployment" ? { [CHANGE_CAUSE_ANNOTATION]: cause } : {}),
      },
    },
  };
}

export interface Applied {
  /** Those whose pods are waited for. */
  readonly workloads: readonly ExpectedWorkload[];
  readonly objects: number;
}

/** The API server's answer to one object of a release, or that the object is on its way out. */
export class ApplyError extends SlipwayError {
  override readonly name = "ApplyError";
  readonly kind: CauseCode;
  readonly object: AnyObject;

  constructor(
    kind: CauseCode,
    object: AnyObject,
    error: { readonly message: string; readonly cause?: unknown },
  ) {
    super({ code: "APPLY_REFUSED", message: error.message, cause: error.cause });
    this.kind = kind;
    this.object = object;
  }
}

/** Throws the first error that does not pass, as an ApplyError if it is an answer; what was applied before it stays. */
export async function applyObjects(
  client: KubeClient,
  objects: readonly AnyObject[],
  options: {
    readonly clock: Clock;
    readonly signal?: AbortSignal | undefined;
    readonly patienceMs?: number;
    /** Asked before each object; rejects when the lock is gone. */
    readonly assureLock?: (() => Promise<void>) | undefined;
  },
): Promise<Applied> {
  const workloads: ExpectedWorkload[] = [];
  const discovery = discoveryOf(client);
  const scaled = await patiently(options, () => autoscaledIn(client, objects));
  for (const written of objects) {
    await options.assureLock?.();
    options.signal?.throwIfAborted();
    const object = leaveReplicas(written, scaled);
    const applied = await applyOne({ client, discovery, object }, options);
    const kind = JUDGED_KINDS.find((one) => one === object.kind);
    if (kind !== undefined) workloads.push(expectedOf(kind, object, applied));
  }
  return { workloads, objects: objects.length };
}

async function applyOne(
  what: {
    readonly client: KubeClient;
    readonly discovery: ReturnType<typeof discoveryOf>;
    readonly object: AnyObject;
  },
  options: Parameters<typeof patiently>[0],
): Promise<AnyObject> {
  const { client, object } = what;
  const apply = async (): Promise<AnyObject> => {
    const served = await servedObject(what.discovery, object);
    if (served.reason !== undefined) throw notServed(client.name, object, served.reason);
    await handOverReplicas(client, served.object, FIELD_MANAGER);
    const sent = await withLiveAccount(client, served.object, FIELD_MANAGER);
    return applyChoices(client, sent, { fieldManager: FIELD_MANAGER, force: true });
  };
  const refused = (error: unknown): never => {
    if (!(error instanceof StatusError)) throw error;
    throw new ApplyError(refusedApply(error), object, { message: error.message, cause: error });
  };
  const deadline = options.clock.monotonic() + (options.patienceMs ?? APPLY_PATIENCE_MS);
  let applied = await patiently(options, apply).catch(refused);
  // What is being deleted takes an apply and goes all the same; once it is gone, the apply makes it anew.
  while (applied.metadata.deletionTimestamp !== undefined) {
    if (options.clock.monotonic() >= deadline) {
      const kept = (applied.metadata.finalizers ?? []).join(", ");
      const by = kept === "" ? "" : ` and is kept by ${kept}`;
      throw new ApplyError("ObjectTerminating", object, {
        message: `${object.kind} ${object.metadata.name} is being deleted since ${applied.metadata.deletionTimestamp}${by}`,
      });
    }
    await options.clock.sleep(1_000, options.signal);
    applied = await patiently(options, apply).catch(refused);
  }
  return applied;
}

function expectedOf(kind: WorkloadKind, object: AnyObject, applied: AnyObject): ExpectedWorkload {
  const spec = object["spec"] as { readonly replicas?: number } | undefined;
  return {
    kind,
    namespace: applied.metadata.namespace ?? "default",
    name: applied.metadata.name,
    generation: applied.metadata.generation ?? 1,
    replicas: spec?.replicas,
  };
}

/** Tries again while the failure is one that passes, for `APPLY_PATIENCE_MS`. */
export async function patiently<T>(
  options: { readonly clock: Clock; readonly signal?: AbortSignal | undefined; readonly patienceMs?: number },
  operation: () => Promise<T>,
): Promise<T> {
  const deadline = options.clock.monotonic() + (options.patienceMs ?? APPLY_PATIENCE_MS);
  let wait = 100;
  for (;;) {
    try {
      return await operation();
    } catch (error) {
      if (!isPassing(error) || options.clock.monotonic() >= deadline) throw error;
      await options.clock.sleep(wait, options.signal);
      wait = Math.min(wait * 2, 2_000);
    }
  }
}

function isPassing(error: unknown): boolean {
  if (error instanceof StatusError) return [409, 429, 500, 502, 503, 504].includes(error.httpCode);
  return isUnreachable(error);
}

/** Versions come and go: PodDisruptionBudget is policy/v1beta1 up to 1.20 and policy/v1 from 1.21 on. */
export function notServed(
  cluster: string,
  object: AnyObject,
  reason?: string,
  cause?: StatusError,
): SlipwayError {
  return new SlipwayError({
    code: "KIND_NOT_SERVED",
    where: `${cluster}/${object.kind} ${object.metadata.name}`,
    message: `the cluster does not serve ${object.kind} of ${object.apiVersion}${reason === undefined ? "" : `; ${reason}`}`,
    hint: "Write an apiVersion that it serves (kubectl api-resources lists them), or install what defines this kind first.",
    exitCode: 2,
    cause,
  });
}

/** No answer, an answer of something that is no API server (a login page), or no way to say who asks. */
const UNREACHABLE = new Set(["CLUSTER_UNREACHABLE", "CLUSTER_ANSWER_INVALID"]);

/** This machine's own business: who asks, and where the cluster is. */
const isOfThisMachine = (code: string): boolean =>
  code.startsWith("CREDENTIALS_") || code.startsWith("KUBECONFIG_");

/** Why a cluster could not be asked, and what to do about it where only that error knows. */
export function whyUnreachable(error: unknown): string {
  if (isReason(error, "Forbidden")) {
    return `it answers, but forbids: ${error.message}\n  Give whoever runs this that right (slipway rights prints all that are needed), or let somebody who has it do it.`;
  }
  const { code, hint, message } = error as SlipwayError;
  return isOfThisMachine(code) && hint !== undefined ? `${message}\n  ${hint}` : message;
}

/**
 * The cluster could not be asked, for whatever reason: not reached, no credentials to be had for it, or its server
 * refuses or is unable to look at the request at all. What it says about the objects themselves is another matter.
 */
export function isUnreachable(error: unknown): boolean {
  if (error instanceof StatusError) {
    return error.httpCode === 401 || error.httpCode === 429 || error.httpCode >= 500;
  }
  return error instanceof SlipwayError && (UNREACHABLE.has(error.code) || isOfThisMachine(error.code));
}

/**
 * Likewise, for what everything begins with: the records, the lock, a look. A cluster that answers there that it forbids
 * this, or does not know what every cluster knows (a proxy does), is of as little use as one that is silent, and keeps
 * the others waiting as little. A conflict, or an object that is not valid, is an answer.
 */
export function cannotBeAsked(error: unknown): boolean {
  if (isUnreachable(error)) return true;
  return error instanceof StatusError && error.httpCode !== 409 && error.httpCode !== 422;
}

/** A create is not repeated by the client: a busy server may have made it all the same, which the next look tells. */
const CREATE_ATTEMPTS = 3;

/** The lock and the records live in the namespace, so it must be there before anything else. */
export async function ensureNamespace(client: KubeClient, name: string, service: string): Promise<void> {
  const labels = { [MANAGED_BY_LABEL]: "slipway", [SERVICE_LABEL]: service };
  const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } };
  for (let attempt = 1; ; attempt += 1) {
    try {
      await client.get({ apiVersion: "v1", kind: "Namespace", name });
      return;
    } catch (error) {
      if (!isReason(error, "NotFound")) throw error;
    }
    try {
      await client.create(namespace, { fieldManager: FIELD_MANAGER });
      return;
    } catch (error) {
      if (isReason(error, "AlreadyExists")) return;
      if (!isPassing(error) || attempt >= CREATE_ATTEMPTS) throw error;
    }
  }
}
