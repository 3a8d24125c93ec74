/**
 * The release engine's door: plan, deploy, rollback, history, status. All of it speaks the KubeClient port, so a
 * local cluster and a real one are the same to it.
 *
 * A release: plan (nothing changed yet) → lock in every cluster → number → record "in-progress" → waves (engine.ts)
 * → prune → record final → unlock. The record says at every moment what has been begun, so a process that dies
 * anywhere leaves a state that the next command explains and can go on from.
 */
import { SlipwayError } from "@slipway/base";
import { goesOnWithout, type RunOptions, runNumbered, runRecord, stamped } from "./carry-out.ts";
import { settingsOf } from "./engine/wave-settings.ts";
import type { OnReleaseEvent } from "./events.ts";
import { heldRefusals } from "./history/held.ts";
import { heldBy, isHealthyEverywhere, isHeld, withoutSecrets } from "./history/history.ts";
import { describeInterruption } from "./history/interruption.ts";
import {
  type ClusterIdentity,
  checkIdentities,
  identitiesToKeep,
  identityWarnings,
  readIdentities,
} from "./identity.ts";
import { type LockRequest, underLock } from "./lock/under-lock.ts";
import type { ReleaseContext, ReleaseRecord, ReleaseResult, RenderedRelease } from "./model.ts";
import { type FrozenPlan, releaseMoved, stalenessOf } from "./plan/frozen-plan.ts";
import {
  noClusterAnswers,
  planInDetail,
  planWith,
  type ReleasePlan,
  readKnowledge,
  refusalError,
  unreachableRefusal,
} from "./plan/plan.ts";
import { type RollbackChange, type RollbackEta, rollbackChanges, rollbackEta } from "./plan/rollback-plan.ts";
import { keepPromise, type RollbackPromise } from "./promise.ts";
import { isGoingBack, resumable, resumeFrom } from "./resume.ts";
import { chooseTarget, heldByLeaving } from "./rollback.ts";

export { hold, unhold } from "./history/hold.ts";
export { renderRelease } from "./manifests/render.ts";
export { planRelease } from "./plan/plan.ts";
export { history, status } from "./status/status.ts";

export interface DeployOptions extends RunOptions {
  /** Deploy although a digest is held after a rollback. */
  readonly allowHeld?: boolean | undefined;
  /** Refuse with PLAN_STALE unless everything is as it was when this plan was made. */
  readonly frozen?: FrozenPlan | undefined;
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
  const waves = wavesOf(context);
  const request: LockRequest = {
    ...options,
    skipped,
    needed: context.targets.map((target) => target.name),
    whatCannotBeLocked: goesOnWithout(context, options) ? "skip" : "refuse",
    goesThroughFreeze: false,
    emit,
  };
  return underLock(context, request, async (locked) => {
    // Planned before the lock was ours: what it carries may have been held since.
    const held =
      options.allowHeld === true ? [] : heldRefusals(rendered, locked.records, context.clock.now());
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
export async function resume(context: ReleaseContext, options: RunOptions = {}): Promise<ReleaseResult> {
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
