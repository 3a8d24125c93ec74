/**
 * One object tried in one cluster by a server-side dry run: what would change, or why the cluster refuses it. Where a
 * cluster cannot try it, what the manifest alone tells.
 */
import { type Clock, SlipwayError } from "@slipway/base";
import {
  type AnyObject,
  applyMergePatch,
  applyStrategicPatch,
  findObject,
  isReason,
  type KubeObject,
  StatusError,
  schemaOf,
} from "@slipway/kube";
import { FIELD_MANAGER, notServed } from "../apply/apply.ts";
import { leaveReplicas } from "../apply/autoscaled.ts";
import { replicasLeft, withReplicas } from "../apply/hand-over.ts";
import { refOf } from "../apply/prune.ts";
import { withAccount } from "../apply/service-account.ts";
import { tryChoices } from "../apply/unions.ts";
import { lacksRight } from "../judge/creation.ts";
import { plainNameOf } from "../manifests/config-names.ts";
import { type Discovery, servedObject } from "../manifests/served.ts";
import type { Target } from "../model.ts";
import type { SeenObject } from "../preflight/seen.ts";
import { type ConfigVersions, versionKey } from "./config-versions.ts";
import { creationChanges, describeChanges, type FieldChange, objectChanges } from "./diff.ts";
import type { LiveObject, PlannedAction, PlannedObject } from "./planned-object.ts";

/** What the objects of one cluster are tried with. */
interface Planning {
  readonly target: Target;
  readonly discovery: Discovery;
  readonly config: ConfigVersions;
  /** Deployments whose replicas an autoscaler of the cluster decides. */
  readonly scaled: ReadonlySet<string>;
  /** Namespaces that are there by the time the objects are applied, be they there now or not. */
  readonly brought: ReadonlySet<string>;
  readonly clock: Clock;
}

interface Tried {
  readonly planned: PlannedObject;
  readonly live: LiveObject;
  readonly seen: SeenObject;
  readonly refusals: readonly SlipwayError[];
  readonly warnings: readonly string[];
}

/** An object that others change (a release of somebody else, a controller) is tried again on what it has become. */
const TRIES = 6;
const FIRST_WAIT_MS = 50;

/** Throws when the cluster does not answer; whatever it answers is a result. */
export async function planObject(planning: Planning, object: AnyObject): Promise<Tried> {
  const where = `${planning.target.name}/${object.kind} ${object.metadata.name}`;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await tryObject(planning, object);
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      if (!isReason(error, "Conflict")) return unseen(object, cannotRead(where, error));
      if (attempt === TRIES) return unseen(object, overtaken(where, error));
      await planning.clock.sleep(FIRST_WAIT_MS * 2 ** (attempt - 1));
    }
  }
}

function overtaken(where: string, error: StatusError): SlipwayError {
  return new SlipwayError({
    code: "DRY_RUN_IMPOSSIBLE",
    where,
    message: `cannot be tried: ${error.message}`,
    hint: "Somebody else keeps changing it: see who, then run the command again. Nothing was changed.",
    cause: error,
    exitCode: 3,
  });
}

function unseen(object: AnyObject, refusal: SlipwayError): Tried {
  const { kind, metadata } = object;
  return {
    planned: { kind, namespace: metadata.namespace, name: metadata.name, action: "create", changes: [] },
    live: { ref: refOf(object), object: undefined },
    seen: { object, live: undefined, after: undefined },
    refusals: [refusal],
    warnings: [],
  };
}

function cannotRead(where: string, error: StatusError): SlipwayError {
  const { httpCode, message } = error;
  const told = { where, message: `cannot be read: ${message}`, cause: error };
  if (httpCode === 401 || httpCode === 403) return forbidden(told);
  // It did answer: a name or a namespace that is none cannot even be asked for.
  if (httpCode < 500 && httpCode !== 429) {
    const hint = "Correct the manifest; nothing was changed.";
    return new SlipwayError({ ...told, code: "MANIFEST_REFUSED", hint, exitCode: 2 });
  }
  const hint = "The API server did not answer. Nothing was changed.";
  return new SlipwayError({ ...told, code: "DRY_RUN_IMPOSSIBLE", hint, exitCode: 3 });
}

function forbidden(told: {
  readonly where: string;
  readonly message: string;
  readonly cause: StatusError;
}): SlipwayError {
  const hint = "Give whoever deploys the right to it (slipway rights prints all). Nothing was changed.";
  return new SlipwayError({ ...told, code: "CLUSTER_FORBIDDEN", hint, exitCode: 3 });
}

async function tryObject(
  { target, discovery, config, scaled, brought }: Planning,
  written: AnyObject,
): Promise<Tried> {
  const served = await servedObject(discovery, leaveReplicas(written, scaled));
  if (served.reason !== undefined)
    return unseen(served.object, notServed(target.name, served.object, served.reason));
  const ref = refOf(served.object);
  const live = await findObject(target.client, ref);
  const object = withAccount(served.object, live, FIELD_MANAGER);
  const { kind, metadata } = object;
  const plain = plainNameOf(object);
  const named = plain === undefined ? { name: metadata.name } : { name: plain, appliedAs: metadata.name };
  const about = { kind, namespace: metadata.namespace, ...named };
  let after: KubeObject | undefined;
  const result = (
    action: PlannedAction,
    changes: readonly FieldChange[],
    found: { refusal?: SlipwayError; untried?: string } = {},
  ): Tried => ({
    planned: {
      ...about,
      action,
      changes,
      ...(found.untried === undefined ? {} : { untried: found.untried }),
    },
    live: { ref, object: live },
    seen: {
      object: withAccount(written, live, FIELD_MANAGER),
      live: live as AnyObject | undefined,
      after: after as AnyObject | undefined,
    },
    refusals: found.refusal === undefined ? [] : [found.refusal],
    warnings:
      found.untried === undefined
        ? []
        : [`${target.name}/${kind} ${named.name}: cannot be tried: ${found.untried}`],
  });
  const before = plain === undefined ? undefined : config.before.get(versionKey(object, plain));
  const isNewVersion = before !== undefined && before.metadata.name !== metadata.name;
  const whenAbsent = (found: { refusal?: SlipwayError; untried?: string } = {}): Tried =>
    isNewVersion
      ? result("change", contentChanges(before, object), found)
      : result("create", creationChanges(object), found);
  try {
    const left = live === undefined ? undefined : replicasLeft(live, object, FIELD_MANAGER);
    const options = { fieldManager: FIELD_MANAGER, force: true } as const;
    after = await tryChoices(target.client, withReplicas(object, left), live, options);
    // The new content stands there already when an earlier release had it; the pods change to it all the same.
    if (live === undefined || isNewVersion) return whenAbsent();
    const changes = objectChanges(live, after, object, config.plainNames);
    return result(changes.length === 0 ? "unchanged" : "change", changes);
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    // With `force` no field is contested: the object was changed while the API server tried ours.
    if (error.reason === "Conflict") throw error;
    // The namespace comes with this release, or is made with the lock: until then nothing in it can be tried.
    if (live === undefined && error.httpCode === 404 && (await lacksNamespace(target, object))) {
      const isBrought = brought.has(object.metadata.namespace ?? "");
      return whenAbsent(isBrought ? {} : { refusal: namespaceMissing(target.name, object) });
    }
    const untried = withoutDryRun(error);
    if (untried !== undefined) {
      return live === undefined || isNewVersion
        ? whenAbsent({ untried })
        : result("change", manifestChanges(live, object, config), { untried });
    }
    const refusal =
      error.httpCode === 404
        ? notServed(target.name, object, undefined, error)
        : applyRefusal(target.name, object, error);
    return result(live === undefined ? "create" : "change", [], { refusal });
  }
}

/** Two versions of one ConfigMap or Secret, both as their manifests have them. */
function contentChanges(before: AnyObject, after: AnyObject): readonly FieldChange[] {
  const content = ({ data, stringData, binaryData, type }: Record<string, unknown>): object => ({
    data,
    stringData,
    binaryData,
    type,
  });
  return describeChanges(content(before), content(after), { masked: after.kind === "Secret" });
}

/** The fields of the manifest that the cluster has otherwise; all that can be said without a dry run. */
function manifestChanges(
  live: KubeObject,
  object: AnyObject,
  config: ConfigVersions,
): readonly FieldChange[] {
  const merged = schemaOf(object.apiVersion, object.kind)
    ? applyStrategicPatch(live, object, object.apiVersion, object.kind)
    : applyMergePatch(live, object);
  return objectChanges(live, merged as KubeObject, object, config.plainNames);
}

/**
 * A webhook whose side effects are undeclared cannot take part in a dry run, and the manifest is not to blame. The API
 * server says so with a bare 400 (NewDryRunUnsupportedErr, since 1.12), so its text is all there is to know it by.
 */
function withoutDryRun(error: StatusError): string | undefined {
  return error.httpCode === 400 && error.message.includes("does not support dry run")
    ? error.message
    : undefined;
}

async function lacksNamespace(target: Target, object: AnyObject): Promise<boolean> {
  const name = object.metadata.namespace;
  if (name === undefined) return false;
  return target.client.get({ apiVersion: "v1", kind: "Namespace", name }).then(
    () => false,
    (error: unknown) => isReason(error, "NotFound"),
  );
}

function namespaceMissing(cluster: string, { kind, metadata }: AnyObject): SlipwayError {
  return new SlipwayError({
    code: "NAMESPACE_MISSING",
    where: `${cluster}/${kind} ${metadata.name}`,
    message: `its namespace "${metadata.namespace}" is neither in the manifests nor in the cluster`,
    hint: "Add the Namespace to the manifests, create it before the release, or correct its name.",
    exitCode: 2,
  });
}

function applyRefusal(cluster: string, object: AnyObject, error: StatusError): SlipwayError {
  if (lacksRight(error)) {
    const where = `${cluster}/${object.kind} ${object.metadata.name}`;
    return forbidden({ where, message: error.message, cause: error });
  }
  // Kubernetes answers 500 for a field that its schema does not know, which is the manifest's fault all the same.
  const isSchema = error.message.includes("failed to create typed patch object");
  const isOverload = !isSchema && (error.httpCode === 429 || error.httpCode >= 500);
  const isSecret = object.kind === "Secret";
  const message = isSecret ? withoutValues(object, error.message) : error.message;
  return new SlipwayError({
    code: isOverload ? "DRY_RUN_IMPOSSIBLE" : "MANIFEST_REFUSED",
    where: `${cluster}/${object.kind} ${object.metadata.name}`,
    message: isOverload ? `cannot be tried: ${message}` : message,
    hint: isOverload
      ? "The API server, or a webhook of it, did not answer a dry run. Nothing was changed."
      : "Correct the manifest; nothing was changed.",
    exitCode: isOverload ? 3 : 2,
    ...(isSecret ? {} : { cause: error }),
  });
}

/** A Secret that cannot be decoded is answered with the text around the place, values included. */
function withoutValues(secret: AnyObject, message: string): string {
  const { data = {}, stringData = {} } = secret as { data?: object; stringData?: object };
  const values = [...Object.values(data ?? {}), ...Object.values(stringData ?? {})];
  let safe = message.split(", error found in")[0] as string;
  for (const value of values) {
    if (String(value).length > 0) safe = safe.replaceAll(String(value), "(secret)");
  }
  return safe;
}
