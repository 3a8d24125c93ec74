/**
 * Going on with the release that was cut off last: its number, its stored objects, under a new fence. `resume.ts` says
 * from where.
 */
import { goesOnWithout, type RunOptions, runRecord, stamped } from "./carry-out.ts";
import { settingsOf } from "./engine/wave-settings.ts";
import { newestHealthy } from "./history/history.ts";
import { describeInterruption } from "./history/interruption.ts";
import { noClusterAnswers, readKnowledge } from "./history/knowledge.ts";
import { withoutSecrets } from "./history/records.ts";
import { checkIdentities, readIdentities } from "./identity.ts";
import { type LockRequest, underLock } from "./lock/under-lock.ts";
import type { ReleaseContext, ReleaseRecord, ReleaseResult } from "./model.ts";
import { refusalError, unreachableRefusal } from "./plan/refusals.ts";
import { isGoingBack, resumable, resumeFrom } from "./resume.ts";

/** The release that `resume` would go on with. Throws when there is none. */
export async function planResume(context: ReleaseContext): Promise<ReleaseRecord> {
  const { records, unreachable, unreadable } = await readKnowledge(context);
  if (unreachable.size === context.targets.length) throw noClusterAnswers(unreachable);
  return withoutSecrets(resumable(records, unreadable));
}

/**
 * Throws before anything is changed when it may not go on: nothing was cut off, something else has been released since,
 * a freeze.
 */
export async function resume(configured: ReleaseContext, options: RunOptions = {}): Promise<ReleaseResult> {
  const emit = stamped(configured, options.onEvent);
  const { records, unreachable, unreadable } = await readKnowledge(configured);
  if (unreachable.size === configured.targets.length) throw noClusterAnswers(unreachable);
  const identities = await readIdentities(configured, records, unreachable);
  const stranger = refusalError(checkIdentities(identities, options.rebind));
  if (stranger !== undefined) throw stranger;
  emit({ type: "identified", clusters: identities });
  const found = resumable(records, unreadable);
  // What was agreed on with a plan is gone on with as it was agreed on.
  const context = { ...configured, release: found.policies ?? configured.release };
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
