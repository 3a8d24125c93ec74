/**
 * The release engine's door: plan, deploy, rollback, history, status. All of it speaks the KubeClient port, so a
 * local cluster and a real one are the same to it.
 *
 * A release: plan (nothing changed yet) → lock in every cluster → number → record "in-progress" (`carry-out.ts`) → waves
 * (`engine/`) → record final → prune (`finish.ts`) → unlock. The record says at every moment what has been begun, so a
 * process that dies anywhere leaves a state that the next command explains and can go on from (`go-on.ts`). A rollback
 * (`go-back.ts`) takes the same way with what is stored.
 */
import { goesOnWithout, type RunOptions, runNumbered, stamped } from "./carry-out.ts";
import { settingsOf, wavesOf } from "./engine/wave-settings.ts";
import { goneWarnings } from "./history/gone.ts";
import { heldRefusals } from "./history/held.ts";
import { wayBack } from "./history/history.ts";
import { readKnowledge } from "./history/knowledge.ts";
import { identitiesToKeep, underPresentNames } from "./identity.ts";
import { type LockRequest, underLock } from "./lock/under-lock.ts";
import type { ReleaseContext, ReleaseRecord, ReleaseResult, RenderedRelease } from "./model.ts";
import { type FrozenPlan, releaseMoved, stalenessOf } from "./plan/frozen-plan.ts";
import { planInDetail, type ReleasePlan } from "./plan/plan.ts";
import { refusalError } from "./plan/refusals.ts";

export { planRollback, type RollbackOptions, type RollbackPlan, rollback } from "./go-back.ts";
export { planResume, resume } from "./go-on.ts";
export { hold, unhold } from "./history/hold.ts";
export { renderRelease } from "./manifests/render.ts";
export { planRelease } from "./plan/plan.ts";
export { history, status } from "./status/status.ts";

export interface DeployOptions extends RunOptions {
  /** Deploy although a digest is held after a rollback. */
  readonly allowHeld?: boolean | undefined;
  /** Refuse with PLAN_STALE unless everything is as it was when this plan was made. */
  readonly frozen?: FrozenPlan | undefined;
  /** Clusters that this command found not to answer already, and why. */
  readonly knownAway?: ReadonlyMap<string, string> | undefined;
  /**
   * Puts what is served beside the clusters, like static files, in its place. Called once nothing refuses the release any
   * more, before its record; when it rejects, the release has not begun.
   */
  readonly bringFiles?: (() => Promise<void>) | undefined;
}

/** Throws before anything is changed when the release may not begin; a release that fails is a result, not an error. */
export async function deploy(
  context: ReleaseContext,
  rendered: RenderedRelease,
  options: DeployOptions = {},
): Promise<ReleaseResult> {
  const emit = stamped(context, options.onEvent);
  const { plan, basis } = await planned(context, rendered, options);
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
    // Planned before the lock was ours: what it carries may have been held since.
    const held =
      options.allowHeld === true ? [] : heldRefusals(rendered, locked.records, context.clock.now());
    const heldSince = refusalError(held);
    if (heldSince !== undefined) throw heldSince;
    const moved = options.frozen === undefined ? undefined : releaseMoved(options.frozen, locked.records[0]);
    if (moved !== undefined) throw moved;
    // Somebody released while this one waited for the lock, or was at it already: what was planned was another state.
    if (basisOf(locked.records) !== basis) {
      const again = await planToDeploy(context, rendered, { ...options, knownAway: locked.skipped });
      emit({ type: "planned", plan: again });
      const refusedNow = refusalError(again.refusals);
      if (refusedNow !== undefined) throw refusedNow;
    }
    const known = { ...locked, records: underPresentNames(locked.records, plan.identities) };
    for (const message of goneWarnings(known.records, names)) emit({ type: "warning", message });
    await options.bringFiles?.();
    return runNumbered(context, known, {
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
      policies: options.frozen?.release,
      identities: identitiesToKeep(locked.records, plan.identities),
    });
  });
}

/** What `deploy` would do, with its reasons not to; for a frozen plan also everything that is not as it was. */
export async function planToDeploy(
  context: ReleaseContext,
  rendered: RenderedRelease,
  options: Pick<DeployOptions, "allowHeld" | "skipUnreachable" | "rebind" | "frozen" | "knownAway"> = {},
): Promise<ReleasePlan> {
  return (await planned(context, rendered, options)).plan;
}

/** What a plan was made on: the newest release, and how far it had come. Holding one of its images changes nothing. */
function basisOf([newest]: readonly ReleaseRecord[]): string {
  return newest === undefined ? "nothing" : `${newest.number} ${newest.outcome}`;
}

async function planned(
  context: ReleaseContext,
  rendered: RenderedRelease,
  options: Parameters<typeof planToDeploy>[2] = {},
): Promise<{ readonly plan: ReleasePlan; readonly basis: string }> {
  const knowledge = await readKnowledge(context, { knownAway: options.knownAway });
  const basis = basisOf(knowledge.records);
  const detailed = await planInDetail(context, rendered, knowledge, options);
  if (options.frozen === undefined) return { plan: detailed.plan, basis };
  const changed = stalenessOf(options.frozen, context, detailed, knowledge);
  return { plan: { ...detailed.plan, refusals: [...changed, ...detailed.plan.refusals] }, basis };
}

function skippedOf(plan: ReleasePlan): ReadonlyMap<string, string> {
  return new Map(
    plan.clusters
      .filter((cluster) => !cluster.reachable)
      .map((cluster) => [cluster.name, cluster.reason ?? "the cluster does not answer"]),
  );
}
