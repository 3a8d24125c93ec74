/**
 * The release engine's door: plan, deploy, rollback, history, status. All of it speaks the KubeClient port, so a
 * local cluster and a real one are the same to it.
 *
 * A release: plan (nothing changed yet) → lock in every cluster → number → record "in-progress" → waves (engine.ts)
 * → prune → record final → unlock. The record says at every moment what has been begun, so a process that dies
 * anywhere leaves a state that the next command explains and can go on from.
 */
import { SlipwayError } from "@slipway/base";
import { isUnreachable, whyUnreachable } from "./apply/apply.ts";
import { prune } from "./apply/prune.ts";
import { type RunInput, runRelease } from "./engine/engine.ts";
import { settingsOf, wavesOf } from "./engine/wave-settings.ts";
import type { OnReleaseEvent } from "./events.ts";
import {
  deleteRecord,
  expired,
  newestHealthy,
  runningIn,
  wayBack,
  withoutSecrets,
  writeRecord,
} from "./history/history.ts";
import { describeInterruption } from "./history/interruption.ts";
import { noClusterAnswers, readKnowledge } from "./history/knowledge.ts";
import { repairHistory } from "./history/repair.ts";
import {
  type ClusterIdentity,
  checkIdentities,
  identitiesToKeep,
  identityWarnings,
  readIdentities,
} from "./identity.ts";
import { examineLate } from "./late-cluster.ts";
import { lateLocks } from "./lock/late-lock.ts";
import { type Emit, type Locked, type LockRequest, underLock } from "./lock/under-lock.ts";
import type {
  ClusterRecord,
  ClusterResult,
  ReleaseContext,
  ReleaseRecord,
  ReleaseResult,
  RenderedRelease,
  Target,
} from "./model.ts";
import { type FrozenPlan, releaseMoved, stalenessOf } from "./plan/frozen-plan.ts";
import { planInDetail, planWith, type ReleasePlan } from "./plan/plan.ts";
import { pruneRefs } from "./plan/prune-plan.ts";
import { heldRefusals, refusalError, unreachableRefusal } from "./plan/refusals.ts";
import { type RollbackChange, type RollbackEta, rollbackChanges, rollbackEta } from "./plan/rollback-plan.ts";
import { keepPromise, type RollbackPromise } from "./promise.ts";
import { isGoingBack, type Resumed, resumable, resumeFrom } from "./resume.ts";
import { chooseTarget, heldByLeaving } from "./rollback.ts";

export { hold, unhold } from "./history/hold.ts";
export { renderRelease } from "./manifests/render.ts";
export { planRelease } from "./plan/plan.ts";
export { history, status } from "./status/status.ts";

export interface DeployOptions {
  readonly onEvent?: OnReleaseEvent | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Wait this long for a lock that somebody holds; 0 refuses at once. */
  readonly lockWaitMs?: number | undefined;
  /** Shown to whoever meets the lock. */
  readonly message?: string | undefined;
  /** Deploy although a digest is held after a rollback. */
  readonly allowHeld?: boolean | undefined;
  /** Go on without clusters that cannot be reached: their verdict is `unknown`. Refused otherwise. */
  readonly skipUnreachable?: boolean | undefined;
  /** Gates that wait for a person are passed in this one's name. */
  readonly approveGates?: boolean | undefined;
  /** Refuse with PLAN_STALE unless everything is as it was when this plan was made. */
  readonly frozen?: FrozenPlan | undefined;
  /** Clusters that were rebuilt, and so are not what they were bound to. */
  readonly rebind?: readonly string[] | undefined;
}

export interface RollbackOptions {
  /** A release number; without it the newest release that was healthy everywhere and differs from what is live. */
  readonly to?: number | undefined;
  /** The beginning of a commit, instead of a number. */
  readonly toCommit?: string | undefined;
  /** Only these clusters go back. */
  readonly clusters?: readonly string[] | undefined;
  /** Go back although the registry no longer has an image of the target. */
  readonly force?: boolean | undefined;
  readonly onEvent?: OnReleaseEvent | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly lockWaitMs?: number | undefined;
  /** Take the lock from whoever holds it. */
  readonly stealLock?: boolean | undefined;
  /** Clusters that were rebuilt, and so are not what they were bound to. */
  readonly rebind?: readonly string[] | undefined;
  /** What a button promised: refused when it would leave, or go to, another release by now. */
  readonly promised?: RollbackPromise | undefined;
}

export interface RollbackPlan {
  readonly target: ReleaseRecord;
  readonly leaves: ReleaseRecord;
  /** The clusters that go back, and why some of them cannot. */
  readonly clusters: readonly string[];
  readonly unreachable: ReadonlyMap<string, string>;
  readonly changes: readonly RollbackChange[];
  readonly eta: RollbackEta | undefined;
  /** Which clusters the names stand for. */
  readonly identities: readonly ClusterIdentity[];
  readonly refusals: readonly SlipwayError[];
  readonly warnings: readonly string[];
  /** What the clusters answer to a dry run, when it was asked for. */
  readonly plan: ReleasePlan | undefined;
}

/** Throws before anything is changed when the release may not begin; a release that fails is a result, not an error. */
export async function deploy(
  context: ReleaseContext,
  rendered: RenderedRelease,
  options: DeployOptions = {},
): Promise<ReleaseResult> {
  const emit = stamped(context, options.onEvent);
  const plan = await planToDeploy(context, rendered, options);
  emit({ type: "identified", clusters: plan.identities });
  emit({ type: "planned", plan });
  const refused = refusalError(plan.refusals);
  if (refused !== undefined) throw refused;
  const skipped = skippedOf(plan);
  const names = context.targets.map((target) => target.name);
  const waves = wavesOf(context.release, names);
  const request: LockRequest = {
    ...options,
    skipped,
    needed: names,
    whatCannotBeLocked: goesOnWithout(context, options) ? "skip" : "refuse",
    goesThroughFreeze: false,
    emit,
  };
  return underLock(context, request, async (locked) => {
    // Planned before the lock was ours: the release that was waited for may have been found bad since.
    const held = options.allowHeld === true ? [] : heldRefusals(rendered, locked.records);
    const heldSince = refusalError(held);
    if (heldSince !== undefined) throw heldSince;
    const moved = options.frozen === undefined ? undefined : releaseMoved(options.frozen, locked.records[0]);
    if (moved !== undefined) throw moved;
    return runNumbered(context, locked, {
      kind: "deploy",
      rendered,
      waves,
      bakeMs: context.release.bakeMs,
      onFailure: context.release.onFailure,
      backTo: wayBack(locked.records, rendered),
      restores: undefined,
      leaves: undefined,
      only: undefined,
      held: [],
      settings: settingsOf(context.release, waves),
      hooks: rendered.hooks,
      approveGates: options.approveGates,
      rebind: options.rebind,
      identities: identitiesToKeep(locked.records, plan.identities),
    });
  });
}

/** What `deploy` would do, with its reasons not to; for a frozen plan also everything that is not as it was. */
export async function planToDeploy(
  context: ReleaseContext,
  rendered: RenderedRelease,
  options: Pick<DeployOptions, "allowHeld" | "skipUnreachable" | "rebind" | "frozen"> = {},
): Promise<ReleasePlan> {
  const knowledge = await readKnowledge(context);
  const detailed = await planInDetail(context, rendered, knowledge, options);
  if (options.frozen === undefined) return detailed.plan;
  const changed = stalenessOf(options.frozen, context, detailed, knowledge);
  return { ...detailed.plan, refusals: [...changed, ...detailed.plan.refusals] };
}

/**
 * What `rollback` would do. From the stored records and the registry alone, which takes a moment; `dryRun` also asks
 * the clusters, object by object.
 */
export async function planRollback(
  context: ReleaseContext,
  options: Pick<RollbackOptions, "to" | "toCommit" | "clusters" | "force" | "rebind"> & {
    readonly dryRun?: boolean;
  } = {},
): Promise<RollbackPlan> {
  const clusters = scopeOf(context, options.clusters);
  const knowledge = await readKnowledge(context, { isUrgent: true });
  const unreachable = new Map([...knowledge.unreachable].filter(([name]) => clusters.includes(name)));
  if (unreachable.size === clusters.length) throw noClusterAnswers(unreachable);
  const { records, unreadable } = knowledge;
  const { target, leaves } = chooseTarget(records, { ...options, clusters, unreadable });
  const [images, identities] = await Promise.all([
    imagesOfTarget(context, target, options.force === true),
    readIdentities(context, records, knowledge.unreachable),
  ]);
  const scoped = { ...context, targets: context.targets.filter(({ name }) => clusters.includes(name)) };
  return {
    target: withoutSecrets(target),
    leaves: withoutSecrets(leaves),
    clusters,
    unreachable,
    changes: rollbackChanges(leaves, target),
    eta: rollbackEta(records, clusters, context.release.bakeMs),
    identities,
    refusals: [...checkIdentities(identities, options.rebind), ...images.refusals],
    warnings: [...knowledge.warnings, ...identityWarnings(identities), ...images.warnings],
    plan:
      options.dryRun === true
        ? await planWith({ ...scoped, images: undefined }, { ...target, warnings: [] }, knowledge, {
            purpose: "rollback",
            allowHeld: true,
            skipUnreachable: true,
            rebind: options.rebind,
          })
        : undefined,
  };
}

/**
 * A forward release of stored objects, ConfigMaps and Secrets included: no build, no git, no CI. All clusters at
 * once, without bake, gates or a preflight that could stand in the way; never rolled back itself. A cluster that
 * does not answer is `unknown` and does not keep the others waiting.
 */
export async function rollback(
  context: ReleaseContext,
  options: RollbackOptions = {},
): Promise<ReleaseResult> {
  const emit = stamped(context, options.onEvent);
  const planned = await planRollback(context, options);
  const { clusters, unreachable, refusals, warnings, identities } = planned;
  keepPromise(options.promised, planned.leaves.number, planned.target.number);
  emit({ type: "identified", clusters: identities });
  const refused = refusalError(refusals);
  if (refused !== undefined) throw refused;
  for (const message of warnings) emit({ type: "warning", message });
  const request: LockRequest = {
    ...options,
    message: "rollback",
    skipped: unreachable,
    needed: clusters,
    whatCannotBeLocked: "skip",
    goesThroughFreeze: true,
    emit,
  };
  return underLock(context, request, async (locked) => {
    // Chosen again under the lock: somebody may have released in between.
    const { target, leaves } = chooseTarget(locked.records, {
      ...options,
      clusters,
      unreadable: locked.unreadable,
    });
    keepPromise(options.promised, leaves.number, target.number);
    return runNumbered(context, locked, {
      kind: "rollback",
      rendered: target,
      waves: [clusters],
      bakeMs: 0,
      onFailure: "halt",
      backTo: undefined,
      restores: target.number,
      leaves: leaves.number,
      only: clusters.length === context.targets.length ? undefined : clusters,
      held: heldByLeaving(leaves, target),
      hooks: target.hooks?.filter(({ hook }) => hook.onRollback).map(({ hook }) => ({ hook, runs: [] })),
      identities: identitiesToKeep(locked.records, identities),
    });
  });
}

export interface ResumeOptions
  extends Pick<
    DeployOptions,
    "onEvent" | "signal" | "lockWaitMs" | "message" | "skipUnreachable" | "approveGates" | "rebind"
  > {}

/** The release that `resume` would go on with. Throws when there is none. */
export async function planResume(context: ReleaseContext): Promise<ReleaseRecord> {
  const { records, unreachable, unreadable } = await readKnowledge(context);
  if (unreachable.size === context.targets.length) throw noClusterAnswers(unreachable);
  return withoutSecrets(resumable(records, unreadable));
}

/**
 * Goes on with the release that was cut off last: its number, its stored objects, under a new fence. Throws before
 * anything is changed when it may not: nothing was cut off, something else has been released since, a freeze.
 */
export async function resume(context: ReleaseContext, options: ResumeOptions = {}): Promise<ReleaseResult> {
  const emit = stamped(context, options.onEvent);
  const { records, unreachable, unreadable } = await readKnowledge(context);
  if (unreachable.size === context.targets.length) throw noClusterAnswers(unreachable);
  const identities = await readIdentities(context, records, unreachable);
  const stranger = refusalError(checkIdentities(identities, options.rebind));
  if (stranger !== undefined) throw stranger;
  emit({ type: "identified", clusters: identities });
  const found = resumable(records, unreadable);
  const needed = found.waves.flat();
  const goesBack = found.kind === "rollback" || isGoingBack(found, context.clock.now());
  const isPatient = goesOnWithout(context, options);
  const [silent] = [...unreachable].filter(([name]) => needed.includes(name));
  if (silent !== undefined && !goesBack && !isPatient) {
    const [name, reason] = silent;
    throw unreachableRefusal({ name, reason });
  }
  const request: LockRequest = {
    ...options,
    message: options.message ?? `release ${found.number}, which goes on`,
    skipped: unreachable,
    needed,
    whatCannotBeLocked: goesBack || isPatient ? "skip" : "refuse",
    goesThroughFreeze: goesBack,
    emit,
  };
  return underLock(context, request, async (locked) => {
    // Looked up again under the lock, where it is closed and its writer can write no more.
    const cutOff = resumable(locked.records, locked.unreadable);
    const older = locked.records.filter(({ number }) => number < cutOff.number);
    const backTo = older.find(({ number }) => number === cutOff.backTo) ?? newestHealthy(older);
    const now = context.clock.now();
    const { who, from } = context;
    const found = describeInterruption(cutOff);
    const { finishedAt: _, ...open } = cutOff;
    const known = new Set(context.targets.map(({ name }) => name));
    const gone = cutOff.waves.flat().filter((name) => !known.has(name));
    const noLonger = gone.map((name) => [name, "it is not in the configuration any more"] as const);
    return runRecord(
      context,
      { ...locked, skipped: new Map([...locked.skipped, ...noLonger]) },
      {
        record: {
          ...open,
          outcome: "in-progress",
          resumes: [...(cutOff.resumes ?? []), { at: now, who, from, found }],
          fence: Math.max(locked.fence, cutOff.fence),
          revision: cutOff.revision + 1,
        },
        bakeMs: cutOff.kind === "rollback" ? 0 : context.release.bakeMs,
        onFailure: cutOff.kind === "rollback" ? "halt" : context.release.onFailure,
        backTo: cutOff.kind === "rollback" || backTo?.content === cutOff.content ? undefined : backTo,
        settings: cutOff.kind === "rollback" ? undefined : settingsOf(context.release, cutOff.waves),
        approveGates: options.approveGates,
        rebind: options.rebind,
        resumed: resumeFrom(cutOff, now),
      },
    );
  });
}

/** May a deploy begin although a cluster does not answer? */
function goesOnWithout(context: ReleaseContext, options: Pick<DeployOptions, "skipUnreachable">): boolean {
  return options.skipUnreachable === true || (context.release.unreachable ?? "fail") !== "fail";
}

/** The named clusters in the order of the environment; all of them when none is named. */
function scopeOf(context: ReleaseContext, named: readonly string[] | undefined): readonly string[] {
  const names = context.targets.map((target) => target.name);
  if (named === undefined || named.length === 0) return names;
  const strange = named.find((name) => !names.includes(name));
  if (strange === undefined) return names.filter((name) => named.includes(name));
  throw new SlipwayError({
    code: "USAGE_CLUSTER",
    where: `--cluster ${strange}`,
    message: "no such cluster in this environment",
    hint: `Known: ${names.join(", ")}.`,
    exitCode: 2,
  });
}

/** A registry that does not answer for this long is not waited for: nodes often have the image already. */
const REGISTRY_PATIENCE_MS = 2_000;

async function imagesOfTarget(
  context: ReleaseContext,
  target: ReleaseRecord,
  force: boolean,
): Promise<{ readonly refusals: readonly SlipwayError[]; readonly warnings: readonly string[] }> {
  const refusals: SlipwayError[] = [];
  const warnings: string[] = [];
  const { images: check, clock } = context;
  if (check === undefined) return { refusals, warnings };
  const states = await Promise.all(
    target.images.map(async ({ name, reference }) => {
      const timer = new AbortController();
      const limit = clock.sleep(REGISTRY_PATIENCE_MS, timer.signal).then(
        () => "unknown" as const,
        () => "unknown" as const,
      );
      const asked = check.exists(reference).catch(() => "unknown" as const);
      const state = await Promise.race([asked, limit]);
      timer.abort();
      return { name, reference, state };
    }),
  );
  for (const { name, reference, state } of states) {
    if (state === "unknown") {
      warnings.push(`images/${name}: the registry could not be asked for ${reference}; going on without`);
    }
    if (state !== "missing") continue;
    if (force) {
      warnings.push(
        `images/${name}: the registry no longer has ${reference}; only nodes that kept it start it`,
      );
      continue;
    }
    refusals.push(
      new SlipwayError({
        code: "IMAGE_NOT_IN_REGISTRY",
        where: `images/${name}`,
        message: `the registry no longer has ${reference}, so release ${target.number} cannot be brought back whole`,
        hint: `Choose another release (slipway history), build and push commit ${target.version.commit.slice(0, 12)} again, or pass --force when the nodes still have the image.`,
      }),
    );
  }
  return { refusals, warnings };
}

function stamped(context: ReleaseContext, onEvent: OnReleaseEvent | undefined): Emit {
  return (news) => onEvent?.({ ...news, at: context.clock.now() } as Parameters<OnReleaseEvent>[0]);
}

function skippedOf(plan: ReleasePlan): ReadonlyMap<string, string> {
  return new Map(
    plan.clusters
      .filter((cluster) => !cluster.reachable)
      .map((cluster) => [cluster.name, cluster.reason ?? "the cluster does not answer"]),
  );
}

interface NumberedRun {
  readonly kind: ReleaseRecord["kind"];
  readonly rendered: Pick<RenderedRelease, "objects" | "images" | "content" | "version">;
  readonly waves: readonly (readonly string[])[];
  readonly bakeMs: number;
  readonly onFailure: ReleaseContext["release"]["onFailure"];
  readonly backTo: ReleaseRecord | undefined;
  readonly restores: number | undefined;
  readonly leaves: number | undefined;
  readonly only: readonly string[] | undefined;
  readonly held: readonly string[];
  readonly settings?: RunInput["settings"];
  readonly hooks?: ReleaseRecord["hooks"];
  readonly approveGates?: boolean | undefined;
  readonly rebind?: readonly string[] | undefined;
  readonly identities: NonNullable<ReleaseRecord["identities"]>;
}

async function runNumbered(
  context: ReleaseContext,
  locked: Locked,
  run: NumberedRun,
): Promise<ReleaseResult> {
  return runRecord(context, locked, { ...run, record: firstRecord(context, locked, run) });
}

async function runRecord(
  everywhere: ReleaseContext,
  locked: Locked,
  run: Pick<NumberedRun, "bakeMs" | "onFailure" | "backTo" | "settings" | "approveGates" | "rebind"> & {
    readonly record: ReleaseRecord;
    readonly resumed?: Resumed | undefined;
  },
): Promise<ReleaseResult> {
  const { record } = run;
  // A cluster that does not answer matters only when the release goes there.
  const names = new Set(record.waves.flat());
  const targets = everywhere.targets.filter(({ name }) => names.has(name) || !locked.skipped.has(name));
  const context = { ...everywhere, targets };
  const reached = targets.filter((target) => !locked.skipped.has(target.name));
  // Written everywhere before the first change anywhere; a failure here is an error and nothing has happened.
  const silent = await storeEverywhere(reached, record, locked.mayLeaveOut);
  const skipped = new Map([...locked.skipped, ...silent].filter(([name]) => names.has(name)));
  const { number, kind, service, environment, version, images, waves, who, from } = record;
  locked.emit({
    type: "started",
    ...{ number, kind, service, environment, version, images, waves, who, from },
    restores: record.restores,
    leaves: record.leaves,
    ...(run.resumed === undefined ? {} : { isResumed: true }),
  });
  // Going back goes on with whoever answers, and can be repeated.
  const unreachable = kind === "rollback" ? "skip" : context.release.unreachable;
  for (const [cluster, reason] of skipped) {
    // Of one that comes back later, its requeueing tells.
    if (unreachable === "requeue" && targets.some(({ name }) => name === cluster)) continue;
    locked.emit({ type: "warning", cluster, message: `left behind as unknown: ${reason}` });
  }
  // Asked beside the release, which does not depend on the answer.
  const warned = warnIfGone(context, run.backTo, locked.emit);
  const late = lateLocks(context);
  const fenced = new AbortController();
  const signal = AbortSignal.any([locked.signal, late.lost, fenced.signal]);
  // Planned before it is locked: what is refused leaves no trace in the cluster.
  const admit = async (cluster: string): Promise<readonly SlipwayError[]> => {
    const target = targets.find(({ name }) => name === cluster) as Target;
    const { records } = locked;
    const found = await examineLate(everywhere, target, { record, records, rebind: run.rebind });
    if (found.refusals.length > 0) return found.refusals;
    for (const message of found.warnings) locked.emit({ type: "warning", message });
    const refusal = locked.held.has(cluster) ? undefined : await late.take(target, record);
    return refusal === undefined ? [] : [refusal];
  };
  const final = await runRelease({
    context,
    record,
    bakeMs: run.bakeMs,
    onFailure: run.onFailure,
    backTo: run.backTo,
    skipped,
    resumed: run.resumed,
    onFenced: (refusal) => fenced.abort(takenOver(refusal)),
    oldPods: kind === "rollback" ? "report" : "wait",
    emit: locked.emit,
    signal,
    assureLock: async () => {
      await Promise.all([locked.assure(), late.assure()]);
    },
    settings: run.settings,
    unreachable,
    requeueForMs: context.release.requeueForMs,
    unplanned: run.resumed?.unplanned,
    admit,
    approveGates: run.approveGates,
  }).finally(() => late.release());
  await warned;
  const lost = lockLoss(signal);
  // Whoever has the lock now also has the records.
  if (lost === undefined) await tidy(context, { ...locked, skipped }, final);
  else locked.emit({ type: "warning", message: `${lost.where}: ${lost.message}. ${lost.hint}` });
  const ended = resultOf(context, withoutSecrets(final), skipped);
  const result = lost === undefined ? ended : { ...ended, exitCode: 1 };
  const { record: told, durationMs } = result;
  locked.emit({ type: "finished", outcome: told.outcome, record: told, durationMs });
  return result;
}

/** Returns the clusters that do not answer, and why, when some may be left out; throws when none takes the record. */
async function storeEverywhere(
  targets: readonly Target[],
  record: ReleaseRecord,
  mayLeaveOut: boolean,
): Promise<ReadonlyMap<string, string>> {
  const silent = new Map<string, string>();
  await Promise.all(
    targets.map(async ({ name, client }) => {
      try {
        await writeRecord(client, record);
      } catch (error) {
        if (!mayLeaveOut || !isUnreachable(error)) throw error;
        silent.set(name, whyUnreachable(error));
      }
    }),
  );
  if (silent.size === targets.length) throw noClusterAnswers(silent);
  return silent;
}

/** The record is written before every step, so a process that lost its lock finds out there, if not at a renewal. */
function takenOver(refusal: SlipwayError): SlipwayError {
  return new SlipwayError({
    code: "LOCK_LOST",
    where: refusal.where,
    message: "somebody else has taken over since",
    hint: "This release stopped where it was. See slipway status.",
    cause: refusal,
  });
}

function lockLoss(signal: AbortSignal): SlipwayError | undefined {
  const reason: unknown = signal.aborted ? signal.reason : undefined;
  return reason instanceof SlipwayError && reason.code === "LOCK_LOST" ? reason : undefined;
}

function firstRecord(context: ReleaseContext, locked: Locked, run: NumberedRun): ReleaseRecord {
  const clusters: Record<string, ClusterRecord> = {};
  for (const name of run.waves.flat()) {
    clusters[name] = locked.skipped.has(name)
      ? { verdict: "unknown", step: "done" }
      : { verdict: "not-started", step: "pending" };
  }
  return {
    number: locked.highest + 1,
    service: context.service,
    namespace: context.namespace,
    environment: context.environment,
    kind: run.kind,
    ...(run.restores === undefined ? {} : { restores: run.restores }),
    ...(run.leaves === undefined ? {} : { leaves: run.leaves }),
    ...(run.only === undefined ? {} : { only: run.only }),
    ...(run.backTo === undefined ? {} : { backTo: run.backTo.number }),
    outcome: "in-progress",
    version: run.rendered.version,
    images: run.rendered.images,
    objects: run.rendered.objects,
    content: run.rendered.content,
    waves: run.waves,
    clusters,
    ...(run.hooks === undefined || run.hooks.length === 0 ? {} : { hooks: run.hooks }),
    who: context.who,
    from: context.from,
    startedAt: context.clock.now(),
    held: run.held,
    ...(locked.stolen.length === 0 ? {} : { stolenLocks: locked.stolen }),
    evidence: [],
    identities: run.identities,
    fence: locked.fence,
    revision: 1,
  };
}

/** A way back that does not exist any more should be known before it is needed. */
async function warnIfGone(
  context: ReleaseContext,
  backTo: ReleaseRecord | undefined,
  emit: Emit,
): Promise<void> {
  if (backTo === undefined || context.images === undefined) return;
  for (const image of backTo.images) {
    const state = await context.images.exists(image.reference).catch(() => "unknown" as const);
    if (state === "missing") {
      const message = `the way back is damaged: the registry no longer has ${image.reference} of release ${backTo.number}`;
      emit({ type: "warning", message });
    }
  }
}

/** After a release that is healthy everywhere: prune what it no longer has, and drop what leaves the history. */
async function tidy(context: ReleaseContext, locked: Locked, final: ReleaseRecord): Promise<void> {
  // A release that was gone on with is among them already, as it was cut off.
  const before = locked.records.filter(({ number }) => number !== final.number);
  const all = [final, ...before];
  if (final.outcome === "healthy") {
    const pruneIn = async (target: Target): Promise<void> => {
      if (final.clusters[target.name] === undefined) return;
      const running = runningIn(before, target.name);
      const refs = pruneRefs(context, all, running);
      const { deleted, failed } = await prune(target.client, refs, final.service, context.namespace);
      if (deleted.length > 0) locked.emit({ type: "pruned", cluster: target.name, objects: deleted });
      for (const message of failed) {
        locked.emit({ type: "warning", cluster: target.name, message: `not pruned: ${message}` });
      }
    };
    // All at once: one that has fallen silent holds up none of the others.
    await Promise.all(context.targets.map(pruneIn));
  }
  const names = context.targets.map((target) => target.name);
  const reached = context.targets.filter(({ name }) => !locked.skipped.has(name));
  for (const record of expired(all, context.release.keep, names)) {
    // A record that stays too long does no harm; the next release tries again.
    await Promise.allSettled(reached.map(({ client }) => deleteRecord(client, context, record.number)));
  }
  const timer = new AbortController();
  const limit = context.clock.sleep(REPAIR_PATIENCE_MS, timer.signal).then(
    () => [],
    () => [],
  );
  const repaired = await Promise.race([repairHistory(reached, context), limit]);
  timer.abort();
  for (const message of repaired) locked.emit({ type: "warning", message });
}

/** A cluster that has fallen silent gets what it missed with the next release. */
const REPAIR_PATIENCE_MS = 10_000;

function resultOf(
  context: ReleaseContext,
  record: ReleaseRecord,
  skipped: ReadonlyMap<string, string>,
): ReleaseResult {
  const clusters: ClusterResult[] = Object.entries(record.clusters).map(([name, cluster]) => ({
    name,
    verdict: cluster.verdict,
    cause: cluster.cause,
    reason: cluster.reason ?? skipped.get(name),
    restored: cluster.restored,
    durationMs:
      cluster.startedAt === undefined || cluster.finishedAt === undefined
        ? undefined
        : cluster.finishedAt - cluster.startedAt,
  }));
  return {
    record,
    clusters,
    evidence: record.evidence,
    durationMs: (record.finishedAt ?? context.clock.now()) - record.startedAt,
    exitCode: exitCodeOf(record),
  };
}

export function exitCodeOf(record: Pick<ReleaseRecord, "outcome" | "clusters">): number {
  switch (record.outcome) {
    case "healthy":
      return 0;
    case "interrupted":
      return 130;
    case "unknown":
      return Object.values(record.clusters).every(
        ({ verdict }) => verdict === "unknown" || verdict === "not-started",
      )
        ? 4
        : 1;
    default:
      return 1;
  }
}
