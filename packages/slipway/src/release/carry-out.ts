/**
 * Carries out a release, from its record to its result, in the order that makes every death of this process explainable:
 * the record is in every cluster before the first change in any, it is written before each step, and only whoever still
 * has the lock prunes and tidies.
 */
import { SlipwayError } from "@slipway/base";
import { cannotBeAsked, whyUnreachable } from "./apply/apply.ts";
import { type RunInput, runRelease } from "./engine/engine.ts";
import type { OnReleaseEvent } from "./events.ts";
import { resultOf, tidy } from "./finish.ts";
import { noClusterAnswers } from "./history/knowledge.ts";
import { withoutSecrets, writeRecord } from "./history/records.ts";
import { examineLate } from "./late-cluster.ts";
import { lateLocks } from "./lock/late-lock.ts";
import type { Emit, Locked } from "./lock/under-lock.ts";
import type {
  ClusterRecord,
  ReleaseContext,
  ReleaseRecord,
  ReleaseResult,
  RenderedRelease,
  Target,
} from "./model.ts";
import type { Resumed } from "./resume.ts";

/** What whoever runs a release decides, be it begun or gone on with. */
export interface RunOptions {
  readonly onEvent?: OnReleaseEvent | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Wait this long for a lock that somebody holds; 0 refuses at once. */
  readonly lockWaitMs?: number | undefined;
  /** Shown to whoever meets the lock. */
  readonly message?: string | undefined;
  /** Go on without clusters that cannot be reached: their verdict is `unknown`. Refused otherwise. */
  readonly skipUnreachable?: boolean | undefined;
  /** Gates that wait for a person are passed in this one's name. */
  readonly approveGates?: boolean | undefined;
  /** Clusters that were rebuilt, and so are not what they were bound to. */
  readonly rebind?: readonly string[] | undefined;
}

export interface NumberedRun {
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
  readonly policies?: ReleaseRecord["policies"];
  readonly identities: NonNullable<ReleaseRecord["identities"]>;
}

/** A new release, under the next number. */
export async function runNumbered(
  context: ReleaseContext,
  locked: Locked,
  run: NumberedRun,
): Promise<ReleaseResult> {
  return runRecord(context, locked, { ...run, record: firstRecord(context, locked, run) });
}

/** A release that has its record: a new one, or one that is gone on with. */
export async function runRecord(
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
        if (!mayLeaveOut || !cannotBeAsked(error)) throw error;
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
    ...(run.policies === undefined ? {} : { policies: run.policies }),
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

/** May a release begin although a cluster does not answer? */
export function goesOnWithout(
  context: ReleaseContext,
  options: Pick<RunOptions, "skipUnreachable">,
): boolean {
  return options.skipUnreachable === true || (context.release.unreachable ?? "fail") !== "fail";
}

/** Tells everything with the time at which it happened. */
export function stamped(context: ReleaseContext, onEvent: OnReleaseEvent | undefined): Emit {
  return (news) => onEvent?.({ ...news, at: context.clock.now() } as Parameters<OnReleaseEvent>[0]);
}
