/**
 * What a release would do, cluster by cluster, found by a server-side dry run; and every reason not to begin.
 * Nothing is changed by planning. A clean plan is what makes failing fast safe later: an image that cannot be
 * pulled after it was found here is not "nobody pushed it".
 */
import { SlipwayError } from "@slipway/base";
import {
  type AnyObject,
  applyMergePatch,
  applyStrategicPatch,
  findObject,
  isReason,
  type KubeObject,
  type ObjectRef,
  StatusError,
  schemaOf,
} from "@slipway/kube";
import { FIELD_MANAGER, isUnreachable, notServed, whyUnreachable } from "../apply/apply.ts";
import { autoscaledIn, leaveReplicas } from "../apply/autoscaled.ts";
import { replicasLeft, withReplicas } from "../apply/hand-over.ts";
import { isDataToDelete, refOf, toPrune } from "../apply/prune.ts";
import { tryChoices } from "../apply/unions.ts";
import { atMost } from "../engine/at-most.ts";
import {
  expired,
  heldBy,
  mergeRecords,
  type PastRelease,
  readRecords,
  runningIn,
  wayBack,
} from "../history/history.ts";
import { type ClusterIdentity, checkIdentities, identityWarnings, readIdentities } from "../identity.ts";
import { plainNameOf } from "../manifests/config-names.ts";
import { SERVICE_LABEL } from "../manifests/render.ts";
import { type Discovery, discoveryOf, servedObject, servedRef } from "../manifests/served.ts";
import type { ReleaseContext, ReleaseRecord, RenderedRelease, Target } from "../model.ts";
import { asRefusal, asWarning, type Finding, unknownIgnores } from "../preflight/finding.ts";
import type { ImageFacts } from "../preflight/images.ts";
import { preflightCluster, preflightManifests, readPreflight } from "../preflight/preflight.ts";
import type { SeenObject } from "../preflight/seen.ts";
import { creationChanges, describeChanges, type FieldChange, objectChanges } from "./diff.ts";
import { orderOfDeploy, orderOfRollback, type ReleaseOrder } from "./order.ts";

/** Requests that a plan has open in one cluster at a time: a cluster of many objects must not feel its planning. */
const AT_ONCE = 8;

/**
 * `left`: no longer in the release and holding data (a PersistentVolumeClaim, …), so it stays until somebody says
 * otherwise; see `prune.ts`.
 */
export type PlannedAction = "create" | "change" | "unchanged" | "prune" | "left";

export interface PlannedObject {
  readonly kind: string;
  readonly namespace: string | undefined;
  /** As the manifest has it: without the hash that a ConfigMap or Secret gets. */
  readonly name: string;
  /** The name in the cluster, where it is another one. */
  readonly appliedAs?: string | undefined;
  readonly action: PlannedAction;
  /** Values of Secrets are masked. */
  readonly changes: readonly FieldChange[];
  /** Why the cluster could not try it. The changes are then those of the manifest, without what a cluster adds. */
  readonly untried?: string | undefined;
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
  /** Of the release, and of the objects that name none. */
  readonly namespace: string;
  readonly clusters: readonly ClusterPlan[];
  /** Which clusters the names stand for. */
  readonly identities: readonly ClusterIdentity[];
  /** Hooks, waves, gates, and what a failure or a silent cluster means. */
  readonly order: ReleaseOrder;
  /** Why the release may not start; empty when it may. */
  readonly refusals: readonly SlipwayError[];
  readonly warnings: readonly string[];
  /** What preflight found: its errors are among the refusals, its warnings among the warnings. */
  readonly findings: readonly Finding[];
  readonly hasChanges: boolean;
}

export interface PlanOptions {
  /** A rollback is not held up by advice or by a forecast. Default: deploy. */
  readonly purpose?: "deploy" | "rollback" | undefined;
  readonly allowHeld?: boolean | undefined;
  readonly skipUnreachable?: boolean | undefined;
  /** Clusters that were rebuilt, and so are not what they were bound to. */
  readonly rebind?: readonly string[] | undefined;
}

/** What the clusters know of the service, and which of them did not answer. */
export interface Knowledge {
  readonly records: readonly ReleaseRecord[];
  readonly unreachable: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
  /** Numbers of releases whose records exist and can be read in no cluster. */
  readonly unreadable: readonly number[];
}

/** A cluster that shows no sign of life for this long is left out when it is urgent. */
const SIGN_OF_LIFE_MS = 3_000;

/** Reads the history of every cluster at once. `isUrgent`: one that hangs is not waited for. */
export async function readKnowledge(
  context: ReleaseContext,
  options: { readonly isUrgent?: boolean } = {},
): Promise<Knowledge> {
  const unreachable = new Map<string, string>();
  const warnings: string[] = [];
  const damaged = new Set<number>();
  const copies = await Promise.all(
    context.targets.map(async (target) => {
      try {
        if (options.isUrgent === true) await signOfLife(context, target);
        return await readRecords(target.client, context, (damage, number) => {
          damaged.add(number);
          warnings.push(`${damage.where}: ${damage.message}`);
        });
      } catch (error) {
        if (!isUnreachable(error)) throw error;
        unreachable.set(target.name, whyUnreachable(error));
        return [];
      }
    }),
  );
  const records = mergeRecords(copies);
  for (const { number } of records) damaged.delete(number);
  return { records, unreachable, warnings, unreadable: [...damaged] };
}

/** A big history may take long; a cluster that lives says its version at once. */
async function signOfLife(context: ReleaseContext, target: Target): Promise<void> {
  const timer = new AbortController();
  const limit = context.clock.sleep(SIGN_OF_LIFE_MS, timer.signal).then(() => {
    throw new SlipwayError({
      code: "CLUSTER_UNREACHABLE",
      where: `clusters/${target.name}`,
      message: `no sign of life for ${SIGN_OF_LIFE_MS / 1000} s`,
      exitCode: 3,
    });
  });
  limit.catch(() => undefined);
  await Promise.race([target.client.version(), limit]).finally(() => timer.abort());
}

export async function planRelease(
  context: ReleaseContext,
  rendered: RenderedRelease,
  options: PlanOptions = {},
): Promise<ReleasePlan> {
  return planWith(context, rendered, await readKnowledge(context), options);
}

/** What stood in a cluster where an object of the release will be; `object` is undefined where nothing was. */
export interface LiveObject {
  readonly ref: ObjectRef;
  readonly object: KubeObject | undefined;
}

/** What a plan needs of a release, be it rendered now or stored. */
export type Plannable = Pick<RenderedRelease, "objects" | "images" | "content" | "warnings" | "hooks">;

/** A plan with what it was made from; the latter holds Secret data and is never shown. */
export interface DetailedPlan {
  readonly plan: ReleasePlan;
  readonly live: ReadonlyMap<string, readonly LiveObject[]>;
}

export async function planWith(
  context: ReleaseContext,
  rendered: Plannable,
  knowledge: Knowledge,
  options: PlanOptions = {},
): Promise<ReleasePlan> {
  return (await planInDetail(context, rendered, knowledge, options)).plan;
}

export async function planInDetail(
  context: ReleaseContext,
  rendered: Plannable,
  knowledge: Knowledge,
  options: PlanOptions = {},
): Promise<DetailedPlan> {
  const purpose = options.purpose ?? "deploy";
  const images = await readPreflight(context, rendered);
  const ofManifests = preflightManifests(context, rendered, images, purpose);
  const identities = await readIdentities(context, knowledge.records, knowledge.unreachable);
  const refusals: SlipwayError[] = [...checkIdentities(identities, options.rebind)];
  // A cluster that may be a stranger's is not even asked to try anything.
  const targets = refusals.length > 0 ? [] : context.targets;
  if (options.allowHeld !== true) refusals.push(...heldRefusals(rendered, knowledge.records));
  const planned = await Promise.all(
    targets.map(async (target): Promise<PlannedCluster> => {
      const reason = knowledge.unreachable.get(target.name);
      if (reason !== undefined) return silent(target.name, reason);
      try {
        const { records } = knowledge;
        return await planCluster({ context, target, rendered, records, images, purpose });
      } catch (error) {
        if (isUnreachable(error)) return silent(target.name, whyUnreachable(error));
        throw error;
      }
    }),
  );
  const clusters = planned.map(({ cluster }) => cluster);
  refusals.push(...planned.flatMap((one) => one.refusals));
  const { unreachable = "fail" } = context.release;
  const goesOnWithout = options.skipUnreachable === true || unreachable !== "fail";
  for (const cluster of clusters) {
    if (cluster.reachable || goesOnWithout) continue;
    refusals.push(unreachableRefusal(cluster));
  }
  const findings = [...ofManifests, ...planned.flatMap((one) => one.findings)];
  refusals.unshift(...refusalsIn(findings));
  const away = context.targets
    .map(({ name }) => name)
    .filter(
      (name) =>
        knowledge.unreachable.has(name) || clusters.some((one) => one.name === name && !one.reachable),
    );
  const plan: ReleasePlan = {
    namespace: context.namespace,
    clusters,
    identities,
    order: orderOf(context, { rendered, records: knowledge.records, silent: away, options }),
    refusals,
    warnings: [
      ...rendered.warnings,
      ...unknownIgnores(rendered.objects),
      ...knowledge.warnings,
      ...identityWarnings(identities),
      ...planned.flatMap((one) => one.warnings),
      ...warningsIn(findings),
    ],
    findings,
    hasChanges: clusters.some((cluster) => cluster.objects.some(isChange)),
  };
  return { plan, live: new Map(planned.map(({ cluster, live }) => [cluster.name, live])) };
}

function orderOf(
  context: ReleaseContext,
  given: {
    readonly rendered: Plannable;
    readonly records: readonly ReleaseRecord[];
    readonly silent: readonly string[];
    readonly options: PlanOptions;
  },
): ReleaseOrder {
  const { rendered, records, silent, options } = given;
  const { hooks = [] } = rendered;
  const clusters = context.targets.map(({ name }) => name);
  if (options.purpose === "rollback") return orderOfRollback({ clusters, silent, hooks });
  const skipUnreachable = options.skipUnreachable === true;
  const backTo = wayBack(records, rendered)?.number;
  return orderOfDeploy({ release: context.release, clusters, silent, skipUnreachable, hooks, backTo });
}

const refusalsIn = (findings: readonly Finding[]): readonly SlipwayError[] =>
  findings.filter(({ severity }) => severity === "error").map(asRefusal);
const warningsIn = (findings: readonly Finding[]): readonly string[] =>
  findings.filter(({ severity }) => severity === "warning").map(asWarning);

/** One cluster alone, while the release goes on in the others. Throws when it does not answer. */
export async function planTarget(
  context: ReleaseContext,
  target: Target,
  rendered: Pick<RenderedRelease, "objects" | "images" | "content">,
  records: readonly ReleaseRecord[],
): Promise<Pick<ReleasePlan, "refusals" | "warnings">> {
  const purpose = "deploy";
  const images = await readPreflight(context, rendered);
  // What the manifests are warned of was told when the release began.
  const ofManifests = preflightManifests(context, rendered, images, purpose);
  const planned = await planCluster({ context, target, rendered, records, images, purpose });
  return {
    refusals: [...refusalsIn([...ofManifests, ...planned.findings]), ...planned.refusals],
    warnings: [...planned.warnings, ...warningsIn(planned.findings)],
  };
}

export function isChange({ action }: PlannedObject): boolean {
  return action !== "unchanged" && action !== "left";
}

interface PlannedCluster {
  readonly cluster: ClusterPlan;
  readonly live: readonly LiveObject[];
  readonly refusals: readonly SlipwayError[];
  readonly warnings: readonly string[];
  readonly findings: readonly Finding[];
}

function silent(name: string, reason: string): PlannedCluster {
  const cluster = { name, reachable: false, reason, objects: [], runs: undefined };
  return { cluster, live: [], refusals: [], warnings: [], findings: [] };
}

export function unreachableRefusal(cluster: Pick<ClusterPlan, "name" | "reason">): SlipwayError {
  return new SlipwayError({
    code: "CLUSTER_UNREACHABLE",
    where: `clusters/${cluster.name}`,
    message: cluster.reason ?? "the cluster does not answer",
    hint: "Nothing was changed. Bring it back, or go on without it: --skip-unreachable leaves it as unknown.",
    exitCode: 3,
  });
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
  readonly records: readonly ReleaseRecord[];
  readonly images: readonly ImageFacts[];
  readonly purpose: "deploy" | "rollback";
}): Promise<PlannedCluster> {
  const { context, target, rendered, records } = input;
  const refusals: SlipwayError[] = [];
  const warnings: string[] = [];
  const running = runningIn(records, target.name);
  const config = configOf(rendered.objects, records, running);
  const discovery = discoveryOf(target.client);
  const scaled = await autoscaledIn(target.client, rendered.objects);
  const trying = atMost(AT_ONCE, rendered.objects, (object) =>
    planObject({ target, discovery, config, scaled }, object),
  );
  const [tried, findings] = await Promise.all([
    trying,
    preflightCluster(
      input,
      trying.then((all) => all.map(({ seen }) => seen)),
    ),
  ]);
  for (const one of tried) {
    refusals.push(...one.refusals.filter((refusal) => !isExplained(refusal, findings)));
    warnings.push(...one.warnings);
  }
  const after = [onceHealthy(context, rendered, records), ...records];
  const going = await atMost(AT_ONCE, pruneRefs(context, after, running), (ref) =>
    planPrune({ target, discovery, config, scaled }, ref, context),
  );
  const objects = [...tried.map(({ planned }) => planned), ...going.flat()];
  const cluster = { name: target.name, reachable: true, reason: undefined, objects, runs: running?.number };
  return { cluster, live: tried.map(({ live }) => live), refusals, warnings, findings };
}

/** What the dry run calls invalid is told once, in the words that say the way out. */
function isExplained(refusal: SlipwayError, findings: readonly Finding[]): boolean {
  return (
    refusal.code === "MANIFEST_REFUSED" &&
    findings.some(
      ({ code, where }) =>
        (code === "FIELD_IMMUTABLE" || code === "SELECTOR_CHANGED") && where.startsWith(`${refusal.where}/`),
    )
  );
}

interface Planning {
  readonly target: Target;
  readonly discovery: Discovery;
  readonly config: ConfigVersions;
  /** Deployments whose replicas an autoscaler of the cluster decides. */
  readonly scaled: ReadonlySet<string>;
}

/** What the hashes in the names of ConfigMaps and Secrets hide: which is a new version of which. */
interface ConfigVersions {
  /** `settings-4k8f2b9c7d` → `ConfigMap settings`. */
  readonly plainNames: ReadonlyMap<string, string>;
  /** By kind, namespace and plain name: what the running release has. */
  readonly before: ReadonlyMap<string, AnyObject>;
}

function configOf(
  objects: readonly AnyObject[],
  records: readonly PastRelease[],
  running: PastRelease | undefined,
): ConfigVersions {
  const plainNames = new Map<string, string>();
  for (const object of [...objects, ...records.flatMap((record) => record.objects)]) {
    const plain = plainNameOf(object);
    if (plain !== undefined) plainNames.set(object.metadata.name, `${object.kind} ${plain}`);
  }
  const before = new Map<string, AnyObject>();
  for (const object of running?.objects ?? []) {
    const plain = plainNameOf(object);
    if (plain !== undefined) before.set(versionKey(object, plain), object);
  }
  return { plainNames, before };
}

const versionKey = ({ kind, metadata }: AnyObject, plain: string): string =>
  `${kind} ${metadata.namespace ?? ""}/${plain}`;

/** Nothing of what holds data goes unless it says so itself, in the cluster. */
async function planPrune(
  { target, discovery, config }: Planning,
  written: ObjectRef,
  context: ReleaseContext,
): Promise<readonly PlannedObject[]> {
  const ref = await servedRef(discovery, written);
  const { kind, namespace } = ref;
  const plain = config.plainNames.get(ref.name);
  const named =
    plain === undefined ? { name: ref.name } : { name: plain.slice(kind.length + 1), appliedAs: ref.name };
  const live = await findObject(target.client, ref);
  if (live === undefined || live.metadata.labels?.[SERVICE_LABEL] !== context.service) return [];
  const action = isDataToDelete(live, context.namespace) === false ? "left" : "prune";
  return [{ kind, namespace, ...named, action, changes: [] }];
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

interface Tried {
  readonly planned: PlannedObject;
  readonly live: LiveObject;
  readonly seen: SeenObject;
  readonly refusals: readonly SlipwayError[];
  readonly warnings: readonly string[];
}

async function planObject(planning: Planning, object: AnyObject): Promise<Tried> {
  try {
    return await tryObject(planning, object);
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    const where = `${planning.target.name}/${object.kind} ${object.metadata.name}`;
    return unseen(object, cannotRead(where, error));
  }
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
  const isRight = error.httpCode === 401 || error.httpCode === 403;
  return new SlipwayError({
    code: isRight ? "CLUSTER_FORBIDDEN" : "DRY_RUN_IMPOSSIBLE",
    where,
    message: `cannot be read: ${error.message}`,
    hint: isRight
      ? "Give whoever deploys the right to it. Nothing was changed."
      : "The API server did not answer. Nothing was changed.",
    exitCode: 3,
    cause: error,
  });
}

async function tryObject(
  { target, discovery, config, scaled }: Planning,
  written: AnyObject,
): Promise<Tried> {
  const { object, reason: unsaid } = await servedObject(discovery, leaveReplicas(written, scaled));
  if (unsaid !== undefined) return unseen(object, notServed(target.name, object, unsaid));
  const { kind, metadata } = object;
  const ref = refOf(object);
  const live = await findObject(target.client, ref);
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
    seen: { object: written, live: live as AnyObject | undefined, after: after as AnyObject | undefined },
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
    // The namespace comes with this release, or is made with the lock: until then nothing in it can be tried.
    if (live === undefined && error.httpCode === 404 && (await lacksNamespace(target, object))) {
      return whenAbsent();
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

function applyRefusal(cluster: string, object: AnyObject, error: StatusError): SlipwayError {
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
    hint: "Are they running, and is the way to them open? For local clusters: slipway local status",
    exitCode: 3,
  });
}
