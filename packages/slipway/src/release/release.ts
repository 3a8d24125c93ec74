/**
 * The release engine's door: plan, deploy, rollback, history, status. All of it speaks the KubeClient port, so a
 * local cluster and a real one are the same to it.
 *
 * A release: plan (nothing changed yet) → lock in every cluster → number → record "in-progress" → waves (engine.ts)
 * → prune → record final → unlock. The record says at every moment what has been begun, so a process that dies
 * anywhere leaves a state that the next command explains and can go on from.
 */
import { SlipwayError } from "@slipway/base";
import { ensureNamespace } from "./apply.ts";
import { type RunInput, runRelease } from "./engine.ts";
import type { OnReleaseEvent, ReleaseNews } from "./events.ts";
import { type FrozenPlan, releaseMoved, stalenessOf } from "./frozen-plan.ts";
import {
  deleteRecord,
  expired,
  heldBy,
  isHealthyEverywhere,
  isHeld,
  mergeRecords,
  readRecords,
  runningIn,
  withoutSecrets,
  writeRecord,
} from "./history.ts";
import { checkIdentities, identitiesToKeep, readIdentities } from "./identity.ts";
import { describeInterruption } from "./interruption.ts";
import { lateLocks } from "./late-lock.ts";
import { type HeldLock, takeLock } from "./lock.ts";
import type {
  ClusterRecord,
  ClusterResult,
  ReleaseContext,
  ReleaseRecord,
  ReleaseResult,
  RenderedRelease,
  Target,
} from "./model.ts";
import {
  heldRefusals,
  noClusterAnswers,
  planInDetail,
  planWith,
  pruneRefs,
  type ReleasePlan,
  readKnowledge,
  refusalError,
} from "./plan.ts";
import { keepPromise, type RollbackPromise } from "./promise.ts";
import { prune } from "./prune.ts";
import { chooseTarget, heldByLeaving } from "./rollback.ts";
import { settingsOf } from "./wave-settings.ts";

export { planRelease } from "./plan.ts";
export { renderRelease } from "./render.ts";
export { history, status } from "./status.ts";

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
  readonly plan: ReleasePlan;
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
  const waves = wavesOf(context);
  return underLock(context, { ...options, skipped, emit }, async (locked) => {
    // Planned before the lock was ours: the release that was waited for may have been found bad since.
    const held = options.allowHeld === true ? [] : heldRefusals(rendered, locked.records);
    const heldSince = refusalError(held);
    if (heldSince !== undefined) throw heldSince;
    const moved = options.frozen === undefined ? undefined : releaseMoved(options.frozen, locked.records[0]);
    if (moved !== undefined) throw moved;
    const backTo = newestHealthy(locked.records);
    const isSame = backTo?.content === rendered.content;
    return runNumbered(context, locked, {
      kind: "deploy",
      rendered,
      waves,
      bakeMs: context.release.bakeMs,
      onFailure: context.release.onFailure,
      // Going back to the very same objects would change nothing.
      backTo: isSame ? undefined : backTo,
      restores: undefined,
      leaves: undefined,
      held: [],
      settings: settingsOf(context.release, waves),
      hooks: rendered.hooks,
      approveGates: options.approveGates,
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
  const changed = await stalenessOf(options.frozen, context, detailed, knowledge);
  return { ...detailed.plan, refusals: [...changed, ...detailed.plan.refusals] };
}

/** What `rollback` would do. */
export async function planRollback(
  context: ReleaseContext,
  options: Pick<RollbackOptions, "to" | "rebind"> = {},
): Promise<RollbackPlan> {
  const knowledge = await readKnowledge(context);
  if (knowledge.unreachable.size === context.targets.length) throw noClusterAnswers(knowledge.unreachable);
  const names = context.targets.map((target) => target.name);
  const { target, leaves } = chooseTarget(knowledge.records, names, options.to);
  const rendered = { ...target, warnings: [] };
  const plan = await planWith(context, rendered, knowledge, {
    purpose: "rollback",
    allowHeld: true,
    skipUnreachable: true,
    rebind: options.rebind,
  });
  return { target: withoutSecrets(target), leaves: withoutSecrets(leaves), plan };
}

/**
 * A forward release of stored objects, ConfigMaps and Secrets included: no build, no git, no CI. All clusters at
 * once, without bake; never rolled back itself.
 */
export async function rollback(
  context: ReleaseContext,
  options: RollbackOptions = {},
): Promise<ReleaseResult> {
  const emit = stamped(context, options.onEvent);
  const { plan, target: planned, leaves: leaving } = await planRollback(context, options);
  keepPromise(options.promised, leaving.number, planned.number);
  emit({ type: "identified", clusters: plan.identities });
  emit({ type: "planned", plan });
  const refused = refusalError(plan.refusals);
  if (refused !== undefined) throw refused;
  const skipped = skippedOf(plan);
  const names = context.targets.map((target) => target.name);
  return underLock(context, { ...options, message: "rollback", skipped, emit }, async (locked) => {
    // Chosen again under the lock: somebody may have released in between.
    const { target, leaves } = chooseTarget(locked.records, names, options.to);
    keepPromise(options.promised, leaves.number, target.number);
    return runNumbered(context, locked, {
      kind: "rollback",
      rendered: target,
      waves: [names],
      bakeMs: 0,
      onFailure: "halt",
      backTo: undefined,
      restores: target.number,
      leaves: leaves.number,
      held: heldByLeaving(leaves, target),
      hooks: target.hooks?.filter(({ hook }) => hook.onRollback).map(({ hook }) => ({ hook, runs: [] })),
      identities: identitiesToKeep(locked.records, plan.identities),
    });
  });
}

/** Lifts the hold on a digest, a content, or everything that release `number` holds. */
export async function unhold(context: ReleaseContext, what: string | number): Promise<readonly string[]> {
  const { records, unreachable } = await readKnowledge(context);
  const stranger = refusalError(checkIdentities(await readIdentities(context, records, unreachable)));
  if (stranger !== undefined) throw stranger;
  const lifted: string[] = [];
  for (const record of records) {
    const keeps = record.held.filter((held) => held !== what && record.number !== what);
    if (keeps.length === record.held.length) continue;
    lifted.push(...record.held.filter((held) => !keeps.includes(held)));
    const changed: ReleaseRecord = { ...record, held: keeps, revision: record.revision + 1 };
    await Promise.all(context.targets.map((target) => writeRecord(target.client, changed)));
  }
  return lifted;
}

type Emit = (news: ReleaseNews) => void;

const UNLOCK_AT_MOST_MS = 5_000;

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

/** The configured waves, without clusters that are not targets; targets that no wave names come last. */
function wavesOf(context: ReleaseContext): readonly (readonly string[])[] {
  const names = new Set(context.targets.map((target) => target.name));
  const waves = context.release.waves
    .map((wave) => wave.filter((name) => names.has(name)))
    .filter((wave) => wave.length > 0);
  const rest = [...names].filter((name) => !waves.flat().includes(name));
  return rest.length === 0 ? waves : [...waves, rest];
}

function newestHealthy(records: readonly ReleaseRecord[]): ReleaseRecord | undefined {
  const held = heldBy(records);
  return records.find((record) => isHealthyEverywhere(record) && !isHeld(record, held));
}

interface Locked {
  readonly records: readonly ReleaseRecord[];
  /** The number of the newest release, readable or not. */
  readonly highest: number;
  readonly fence: number;
  readonly signal: AbortSignal;
  readonly skipped: ReadonlyMap<string, string>;
  readonly emit: Emit;
}

interface LockRequest {
  readonly skipped: ReadonlyMap<string, string>;
  readonly emit: Emit;
  readonly signal?: AbortSignal | undefined;
  readonly lockWaitMs?: number | undefined;
  readonly message?: string | undefined;
  readonly stealLock?: boolean | undefined;
}

/** Takes the lock in every cluster, one after the other in the order of their names, so that two cannot cross. */
async function underLock(
  context: ReleaseContext,
  request: LockRequest,
  work: (locked: Locked) => Promise<ReleaseResult>,
): Promise<ReleaseResult> {
  const targets = context.targets
    .filter((target) => !request.skipped.has(target.name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const locks: HeldLock[] = [];
  try {
    for (const target of targets) locks.push(await lockOne(context, target, request));
    request.emit({ type: "locked", clusters: targets.map((target) => target.name) });
    const fence = Math.max(0, ...locks.map((lock) => lock.fence));
    const { records, highest } = await settleInterrupted(context, targets, { fence, emit: request.emit });
    const signals = [...locks.map((lock) => lock.lost), ...(request.signal ? [request.signal] : [])];
    return await work({
      records,
      highest,
      fence,
      signal: AbortSignal.any(signals),
      skipped: request.skipped,
      emit: request.emit,
    });
  } finally {
    await giveBack(context, locks);
  }
}

/** A lock that cannot be given back soon runs out by itself, so a silent cluster is not waited for. */
async function giveBack(context: ReleaseContext, locks: readonly HeldLock[]): Promise<void> {
  const timer = new AbortController();
  const limit = context.clock.sleep(UNLOCK_AT_MOST_MS, timer.signal).catch(() => undefined);
  await Promise.race([Promise.allSettled(locks.map((lock) => lock.release())), limit]);
  timer.abort();
}

async function lockOne(context: ReleaseContext, target: Target, request: LockRequest): Promise<HeldLock> {
  await ensureNamespace(target.client, context.namespace, context.service);
  const deadline = context.clock.monotonic() + (request.lockWaitMs ?? 0);
  let told = false;
  for (;;) {
    try {
      return await takeLock(target.client, {
        ...context,
        message: request.message ?? "",
        steal: request.stealLock,
        signal: request.signal,
      });
    } catch (error) {
      const isHeld = error instanceof SlipwayError && error.code === "LOCK_HELD";
      if (!isHeld || context.clock.monotonic() >= deadline) throw error;
      if (!told) request.emit({ type: "lock-waiting", cluster: target.name, message: error.message });
      told = true;
      await context.clock.sleep(500, request.signal);
    }
  }
}

/** Under the lock, a record that is still "in-progress" belongs to a process that is gone: say so and close it. */
async function settleInterrupted(
  context: ReleaseContext,
  targets: readonly Target[],
  options: { readonly fence: number; readonly emit: Emit },
): Promise<Pick<Locked, "records" | "highest">> {
  let highest = 0;
  const records = mergeRecords(
    await Promise.all(
      targets.map((target) =>
        readRecords(target.client, context, (_damage, number) => {
          highest = Math.max(highest, number);
        }),
      ),
    ),
  );
  highest = Math.max(highest, ...records.map((record) => record.number));
  const settled: ReleaseRecord[] = [];
  for (const record of records) {
    if (record.outcome !== "in-progress") {
      settled.push(record);
      continue;
    }
    const closed: ReleaseRecord = {
      ...record,
      outcome: "interrupted",
      revision: record.revision + 1,
      // Above the dead writer's, even when the cluster that gave it the highest token is away now.
      fence: Math.max(options.fence, record.fence + 1),
    };
    const message = describeInterruption(record);
    options.emit({ type: "interrupted-found", number: record.number, message });
    await Promise.all(targets.map((target) => writeRecord(target.client, closed)));
    settled.push(closed);
  }
  return { records: settled, highest };
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
  readonly held: readonly string[];
  readonly settings?: RunInput["settings"];
  readonly hooks?: ReleaseRecord["hooks"];
  readonly approveGates?: boolean | undefined;
  readonly identities: NonNullable<ReleaseRecord["identities"]>;
}

async function runNumbered(
  context: ReleaseContext,
  locked: Locked,
  run: NumberedRun,
): Promise<ReleaseResult> {
  const startedAt = context.clock.now();
  const record = firstRecord(context, locked, run, startedAt);
  const reached = context.targets.filter((target) => !locked.skipped.has(target.name));
  // Written everywhere before the first change anywhere; a failure here is an error and nothing has happened.
  await Promise.all(reached.map((target) => writeRecord(target.client, record)));
  const { number, kind, service, environment, version, images, waves, who, from } = record;
  locked.emit({
    type: "started",
    ...{ number, kind, service, environment, version, images, waves, who, from },
    restores: run.restores,
    leaves: run.leaves,
  });
  await warnIfGone(context, run.backTo, locked.emit);
  const late = lateLocks(context);
  const signal = AbortSignal.any([locked.signal, late.lost]);
  const final = await runRelease({
    context,
    record,
    bakeMs: run.bakeMs,
    onFailure: run.onFailure,
    backTo: run.backTo,
    skipped: locked.skipped,
    emit: locked.emit,
    signal,
    settings: run.settings,
    // Going back goes on with whoever answers, and can be repeated.
    unreachable: run.kind === "rollback" ? "skip" : context.release.unreachable,
    requeueForMs: context.release.requeueForMs,
    admit: (cluster) => late.admit(cluster, record),
    approveGates: run.approveGates,
  }).finally(() => late.release());
  const lost = lockLoss(signal);
  // Whoever has the lock now also has the records.
  if (lost === undefined) await tidy(context, locked, final);
  else locked.emit({ type: "warning", message: `${lost.where}: ${lost.message}. ${lost.hint}` });
  const ended = resultOf(context, withoutSecrets(final), locked.skipped);
  const result = lost === undefined ? ended : { ...ended, exitCode: 1 };
  const { record: told, durationMs } = result;
  locked.emit({ type: "finished", outcome: told.outcome, record: told, durationMs });
  return result;
}

function lockLoss(signal: AbortSignal): SlipwayError | undefined {
  const reason: unknown = signal.aborted ? signal.reason : undefined;
  return reason instanceof SlipwayError && reason.code === "LOCK_LOST" ? reason : undefined;
}

function firstRecord(
  context: ReleaseContext,
  locked: Locked,
  run: NumberedRun,
  startedAt: number,
): ReleaseRecord {
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
    startedAt,
    held: run.held,
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
  const all = [final, ...locked.records];
  if (final.outcome === "healthy") {
    for (const target of context.targets) {
      const running = runningIn(locked.records, target.name);
      const refs = pruneRefs(context, all, running);
      const { deleted, failed } = await prune(target.client, refs, final.service, context.namespace);
      if (deleted.length > 0) locked.emit({ type: "pruned", cluster: target.name, objects: deleted });
      for (const message of failed) {
        locked.emit({ type: "warning", cluster: target.name, message: `not pruned: ${message}` });
      }
    }
  }
  const names = context.targets.map((target) => target.name);
  for (const record of expired(all, context.release.keep, names)) {
    for (const target of context.targets) {
      if (locked.skipped.has(target.name)) continue;
      // A record that stays too long does no harm; the next release tries again.
      await deleteRecord(target.client, context, record.number).catch(() => undefined);
    }
  }
}

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
