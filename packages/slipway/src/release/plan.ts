/**
 * What a release would do, cluster by cluster, found by a server-side dry run; and every reason not to begin.
 * Nothing is changed by planning. A clean plan is what makes failing fast safe later: an image that cannot be
 * pulled after it was found here is not "nobody pushed it".
 */
import { SlipwayError } from "@slipway/base";
import { type AnyObject, type Deployment, isReason, type KubeObject, StatusError } from "@slipway/kube";
import { FIELD_MANAGER, isUnreachable } from "./apply.ts";
import { canonicalJson } from "./config-names.ts";
import { describeChanges, withoutBookkeeping } from "./diff.ts";
import { expired, heldBy, mergeRecords, type PastRelease, readRecords, runningIn } from "./history.ts";
import type { ReleaseContext, ReleaseRecord, RenderedRelease, Target } from "./model.ts";
import { refOf, toPrune } from "./prune.ts";
import { missingReferences } from "./references.ts";

export interface PlannedObject {
  readonly kind: string;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly action: "create" | "change" | "unchanged" | "prune";
  /** `spec.replicas: 2 -> 3`; values of Secrets are masked. */
  readonly changes: readonly string[];
}

export interface ClusterPlan {
  readonly name: string;
  readonly reachable: boolean;
  /** Why it could not be asked. */
  readonly reason: string | undefined;
  readonly objects: readonly PlannedObject[];
  /** The release that is there now. */
  readonly runs: number | undefined;
}

export interface ReleasePlan {
  readonly clusters: readonly ClusterPlan[];
  readonly waves: readonly (readonly string[])[];
  /** Why the release may not start; empty when it may. */
  readonly refusals: readonly SlipwayError[];
  readonly warnings: readonly string[];
  readonly hasChanges: boolean;
}

export interface PlanOptions {
  readonly allowHeld?: boolean | undefined;
  readonly skipUnreachable?: boolean | undefined;
}

/** What the clusters know of the service, and which of them did not answer. */
export interface Knowledge {
  readonly records: readonly ReleaseRecord[];
  readonly unreachable: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}

/** Reads the history of every cluster at once. */
export async function readKnowledge(context: ReleaseContext): Promise<Knowledge> {
  const unreachable = new Map<string, string>();
  const warnings: string[] = [];
  const copies = await Promise.all(
    context.targets.map(async (target) => {
      try {
        return await readRecords(target.client, context, (damage) => {
          warnings.push(`${damage.where}: ${damage.message}`);
        });
      } catch (error) {
        if (!isUnreachable(error)) throw error;
        unreachable.set(target.name, (error as Error).message);
        return [];
      }
    }),
  );
  return { records: mergeRecords(copies), unreachable, warnings };
}

export async function planRelease(
  context: ReleaseContext,
  rendered: RenderedRelease,
  options: PlanOptions = {},
): Promise<ReleasePlan> {
  return planWith(context, rendered, await readKnowledge(context), options);
}

export async function planWith(
  context: ReleaseContext,
  rendered: Pick<RenderedRelease, "objects" | "images" | "content" | "warnings">,
  knowledge: Knowledge,
  options: PlanOptions = {},
): Promise<ReleasePlan> {
  const refusals: SlipwayError[] = [...(await missingImages(context, rendered))];
  if (options.allowHeld !== true) refusals.push(...heldRefusals(rendered, knowledge.records));
  const clusters = await Promise.all(
    context.targets.map(async (target) => {
      const reason = knowledge.unreachable.get(target.name);
      if (reason !== undefined) return silent(target.name, reason);
      try {
        return await planCluster({ context, target, rendered, knowledge, refusals });
      } catch (error) {
        if (isUnreachable(error)) return silent(target.name, (error as Error).message);
        throw error;
      }
    }),
  );
  for (const cluster of clusters) {
    if (cluster.reachable || options.skipUnreachable === true) continue;
    refusals.push(unreachableRefusal(cluster));
  }
  return {
    clusters,
    waves: context.release.waves,
    refusals,
    warnings: [...rendered.warnings, ...knowledge.warnings],
    hasChanges: clusters.some((cluster) => cluster.objects.some((object) => object.action !== "unchanged")),
  };
}

function silent(name: string, reason: string): ClusterPlan {
  return { name, reachable: false, reason, objects: [], runs: undefined };
}

function unreachableRefusal(cluster: ClusterPlan): SlipwayError {
  return new SlipwayError({
    code: "CLUSTER_UNREACHABLE",
    where: `clusters/${cluster.name}`,
    message: cluster.reason ?? "the cluster does not answer",
    hint: "Nothing was changed. Bring it back, or go on without it: --skip-unreachable leaves it as unknown.",
    exitCode: 3,
  });
}

async function missingImages(
  context: ReleaseContext,
  rendered: Pick<RenderedRelease, "images">,
): Promise<readonly SlipwayError[]> {
  const check = context.images;
  if (check === undefined) return [];
  const found = await Promise.all(
    rendered.images.map(async (image) => ({ image, state: await check.exists(image.reference) })),
  );
  return found
    .filter(({ state }) => state === "missing")
    .map(
      ({ image }) =>
        new SlipwayError({
          code: "IMAGE_NOT_IN_REGISTRY",
          where: `images/${image.name}`,
          message: `the registry does not have ${image.reference}`,
          hint: "Push it: slipway push.",
        }),
    );
}

export function heldRefusals(
  rendered: Pick<RenderedRelease, "images" | "content">,
  records: readonly ReleaseRecord[],
): readonly SlipwayError[] {
  const held = heldBy(records);
  const refuse = (where: string, what: string, number: number): SlipwayError =>
    new SlipwayError({
      code: "RELEASE_HELD",
      where,
      message: `${what} was found bad and taken back by release ${number}`,
      hint: "Correct it and ship again, or pass --allow-held to deploy it nevertheless.",
    });
  const refusals = rendered.images.flatMap((image) => {
    const number = held.get(image.digest);
    return number === undefined
      ? []
      : [refuse(`images/${image.name}`, `this image (${image.digest})`, number)];
  });
  const number = held.get(rendered.content);
  if (refusals.length === 0 && number !== undefined) {
    refusals.push(refuse("manifests", "exactly this release", number));
  }
  return refusals;
}

async function planCluster(input: {
  readonly context: ReleaseContext;
  readonly target: Target;
  readonly rendered: Pick<RenderedRelease, "objects" | "images" | "content">;
  readonly knowledge: Knowledge;
  readonly refusals: SlipwayError[];
}): Promise<ClusterPlan> {
  const { context, target, rendered, knowledge, refusals } = input;
  const objects: PlannedObject[] = [];
  for (const object of rendered.objects) {
    objects.push(await planObject(target, object, refusals));
  }
  refusals.push(...(await missingReferences(target, rendered.objects)));
  const running = runningIn(knowledge.records, target.name);
  const records = [onceHealthy(context, rendered, knowledge.records), ...knowledge.records];
  for (const ref of pruneRefs(context, records, running)) {
    const { kind, name, namespace } = ref;
    objects.push({ kind, name, namespace, action: "prune", changes: [] });
  }
  return { name: target.name, reachable: true, reason: undefined, objects, runs: running?.number };
}

/** The release as its record will be if all goes well. */
function onceHealthy(
  context: ReleaseContext,
  rendered: Pick<RenderedRelease, "objects" | "images" | "content">,
  records: readonly ReleaseRecord[],
): PastRelease {
  const number = (records[0]?.number ?? 0) + 1;
  const clusters = Object.fromEntries(
    context.targets.map(({ name }) => [name, { verdict: "healthy", step: "done", runs: number } as const]),
  );
  return { ...rendered, number, outcome: "healthy", clusters, held: [] };
}

/**
 * What goes when the first of `records` is healthy: the inventory before it, and the config of releases that leave
 * the history.
 */
export function pruneRefs(
  context: ReleaseContext,
  records: readonly PastRelease[],
  running: PastRelease | undefined,
): ReturnType<typeof toPrune> {
  const names = context.targets.map((target) => target.name);
  const leaving = expired(records, context.release.keep, names);
  const staying = records.filter((record) => !leaving.includes(record));
  const config = leaving
    .flatMap((record) => record.objects)
    .filter((object) => object.kind === "ConfigMap" || object.kind === "Secret");
  return toPrune({
    before: [...(running?.objects ?? []), ...config],
    after: records[0]?.objects ?? [],
    kept: staying.flatMap((record) => record.objects),
  });
}

async function planObject(
  target: Target,
  object: AnyObject,
  refusals: SlipwayError[],
): Promise<PlannedObject> {
  const { kind, metadata } = object;
  const planned = { kind, namespace: metadata.namespace, name: metadata.name };
  const live = await target.client.get<KubeObject>(refOf(object)).catch((error: unknown) => {
    if (isReason(error, "NotFound")) return undefined;
    throw error;
  });
  const moved = live === undefined ? undefined : selectorChange(target.name, object, live);
  if (moved !== undefined) {
    refusals.push(moved);
    return { ...planned, action: "change", changes: [] };
  }
  try {
    const after = await target.client.apply(object, {
      fieldManager: FIELD_MANAGER,
      force: true,
      dryRun: true,
    });
    if (live === undefined) return { ...planned, action: "create", changes: [] };
    const changes = describeChanges(withoutBookkeeping(live), withoutBookkeeping(after), kind === "Secret");
    return { ...planned, action: changes.length === 0 ? "unchanged" : "change", changes };
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    // The namespace comes with this release, or is made with the lock: until then nothing in it can be tried.
    if (live === undefined && error.httpCode === 404 && (await lacksNamespace(target, object))) {
      return { ...planned, action: "create", changes: [] };
    }
    refusals.push(
      error.httpCode === 404
        ? notServed(target.name, object, error)
        : applyRefusal(target.name, object, error),
    );
    return { ...planned, action: live === undefined ? "create" : "change", changes: [] };
  }
}

async function lacksNamespace(target: Target, object: AnyObject): Promise<boolean> {
  const name = object.metadata.namespace;
  if (name === undefined) return false;
  return target.client.get({ apiVersion: "v1", kind: "Namespace", name }).then(
    () => false,
    (error: unknown) => isReason(error, "NotFound"),
  );
}

/** A selector is immutable. Telling so here, with the way out, beats a 422 in the middle of a wave. */
function selectorChange(cluster: string, object: AnyObject, live: KubeObject): SlipwayError | undefined {
  if (object.kind !== "Deployment") return undefined;
  const wanted = canonicalJson((object as unknown as Deployment).spec?.selector ?? {});
  const is = canonicalJson((live as Deployment).spec.selector);
  if (wanted === is) return undefined;
  return new SlipwayError({
    code: "SELECTOR_CHANGED",
    where: `${cluster}/Deployment ${object.metadata.name}/spec.selector`,
    message: `is ${is} in the cluster and ${wanted} in the manifest, and Kubernetes never changes it`,
    hint: "Keep the selector, or give the Deployment a new name; the old one is then pruned after the release.",
    exitCode: 2,
  });
}

/** Versions come and go: PodDisruptionBudget is policy/v1beta1 up to 1.20 and policy/v1 from 1.21 on. */
function notServed(cluster: string, object: AnyObject, cause: StatusError): SlipwayError {
  return new SlipwayError({
    code: "KIND_NOT_SERVED",
    where: `${cluster}/${object.kind} ${object.metadata.name}`,
    message: `the cluster does not serve ${object.kind} of ${object.apiVersion}`,
    hint: "Write an apiVersion that it serves (kubectl api-resources lists them), or install what defines this kind first.",
    exitCode: 2,
    cause,
  });
}

function applyRefusal(cluster: string, object: AnyObject, error: StatusError): SlipwayError {
  // Kubernetes answers 500 for a field that its schema does not know, which is the manifest's fault all the same.
  const isSchema = error.message.includes("failed to create typed patch object");
  const isOverload = !isSchema && (error.httpCode === 429 || error.httpCode >= 500);
  return new SlipwayError({
    code: isOverload ? "DRY_RUN_IMPOSSIBLE" : "MANIFEST_REFUSED",
    where: `${cluster}/${object.kind} ${object.metadata.name}`,
    message: isOverload ? `cannot be tried: ${error.message}` : error.message,
    hint: isOverload
      ? "The API server, or a webhook of it, did not answer a dry run. Nothing was changed."
      : "Correct the manifest; nothing was changed.",
    exitCode: isOverload ? 3 : 2,
    cause: error,
  });
}

/** All refusals as one error: the first one in front, the others listed below it. */
export function refusalError(refusals: readonly SlipwayError[]): SlipwayError | undefined {
  const [first, ...rest] = refusals;
  if (first === undefined || rest.length === 0) return first;
  const others = rest.map((one) => `${one.where === undefined ? "" : `${one.where}: `}${one.message}`);
  return new SlipwayError({
    code: first.code,
    where: first.where,
    message: `${first.message}\n${others.join("\n")}`,
    hint: first.hint,
    exitCode: first.exitCode,
    cause: first.cause,
  });
}

export function noClusterAnswers(unreachable: ReadonlyMap<string, string>): SlipwayError {
  const [name, reason] = [...unreachable][0] ?? ["", ""];
  return new SlipwayError({
    code: "CLUSTER_UNREACHABLE",
    where: `clusters/${name}`,
    message: `no cluster answers: ${reason}`,
    hint: "Is the world up? slipway local status",
    exitCode: 3,
  });
}
