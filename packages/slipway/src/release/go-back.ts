/**
 * Going back: a forward release of stored objects that a person asks for. `rollback.ts` says to which release.
 */
import { SlipwayError } from "@slipway/base";
import { type RunOptions, runNumbered, stamped } from "./carry-out.ts";
import { type Knowledge, noClusterAnswers, readKnowledge, URGENT_MS } from "./history/knowledge.ts";
import { withoutSecrets } from "./history/records.ts";
import {
  type ClusterIdentity,
  checkIdentities,
  identitiesToKeep,
  identityWarnings,
  readIdentities,
  underPresentNames,
} from "./identity.ts";
import { type LockRequest, underLock } from "./lock/under-lock.ts";
import type { ReleaseContext, ReleaseRecord, ReleaseResult } from "./model.ts";
import { planWith, type ReleasePlan } from "./plan/plan.ts";
import { refusalError } from "./plan/refusals.ts";
import { type RollbackChange, type RollbackEta, rollbackChanges, rollbackEta } from "./plan/rollback-plan.ts";
import { keepPromise, type RollbackPromise } from "./promise.ts";
import { chooseTarget, heldByLeaving } from "./rollback.ts";

export interface RollbackOptions extends Pick<RunOptions, "onEvent" | "signal" | "lockWaitMs" | "rebind"> {
  /** A release number; without it the newest release that was healthy everywhere and differs from what is live. */
  readonly to?: number | undefined;
  /** The beginning of a commit, instead of a number. */
  readonly toCommit?: string | undefined;
  /** Only these clusters go back. */
  readonly clusters?: readonly string[] | undefined;
  /** Go back although the registry no longer has an image of the target. */
  readonly force?: boolean | undefined;
  /** Take the lock from whoever holds it. */
  readonly stealLock?: boolean | undefined;
  /** Clusters that this command found not to answer already, and why. */
  readonly knownAway?: ReadonlyMap<string, string> | undefined;
  /** What a button promised: refused when it would leave, or go to, another release by now. */
  readonly promised?: RollbackPromise | undefined;
}

export interface RollbackPlan {
  readonly target: ReleaseRecord;
  readonly leaves: ReleaseRecord;
  /** The clusters that go back, and why some of them cannot. */
  readonly clusters: readonly string[];
  readonly unreachable: ReadonlyMap<string, string>;
  /** The others that cannot be asked, which only miss the record, and why. */
  readonly othersAway: ReadonlyMap<string, string>;
  readonly changes: readonly RollbackChange[];
  readonly eta: RollbackEta | undefined;
  /** Which clusters the names stand for. */
  readonly identities: readonly ClusterIdentity[];
  readonly refusals: readonly SlipwayError[];
  readonly warnings: readonly string[];
  /** What the clusters answer to a dry run, when it was asked for. */
  readonly plan: ReleasePlan | undefined;
}

/**
 * What `rollback` would do. From the stored records and the registry alone, which takes a moment; `dryRun` also asks
 * the clusters, object by object.
 */
export async function planRollback(
  context: ReleaseContext,
  options: Pick<RollbackOptions, "to" | "toCommit" | "clusters" | "force" | "rebind" | "knownAway"> & {
    readonly dryRun?: boolean;
  } = {},
): Promise<RollbackPlan> {
  const wanted = wantedClusters(context, options.clusters);
  const knowledge = await readKnowledge(context, { patienceMs: URGENT_MS, knownAway: options.knownAway });
  const { unreadable } = knowledge;
  const identities = await readIdentities(context, knowledge.records, knowledge.unreachable);
  const { records, clusters, newcomers } = scopeOf(knowledge, identities, wanted);
  const [unreachable, othersAway] = divide(knowledge.unreachable, clusters);
  if (unreachable.size === clusters.length) {
    throw noClusterAnswers(unreachable, clusters.length < context.targets.length);
  }
  const { target, leaves } = chooseTarget(records, { ...options, clusters, unreadable });
  const images = await imagesOfTarget(context, target, options.force === true);
  const scoped = { ...context, targets: context.targets.filter(({ name }) => clusters.includes(name)) };
  return {
    target: withoutSecrets(target),
    leaves: withoutSecrets(leaves),
    clusters,
    unreachable,
    othersAway,
    changes: rollbackChanges(leaves, target),
    eta: rollbackEta(records, clusters, context.release.bakeMs),
    identities,
    refusals: [...checkIdentities(identities, options.rebind), ...images.refusals],
    warnings: [
      ...newcomers.map(
        (name) =>
          `${name} never ran a release of ${context.service}; a rollback does not go there, a deploy does`,
      ),
      ...[...othersAway].map(
        ([name, reason]) => `${name} cannot be asked and gets no record of this: ${reason}`,
      ),
      ...knowledge.warnings,
      ...identityWarnings(identities),
      ...images.warnings,
    ],
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
  const { clusters, unreachable, othersAway, refusals, warnings, identities } = planned;
  keepPromise(options.promised, planned.leaves.number, planned.target.number);
  emit({ type: "identified", clusters: identities });
  const refused = refusalError(refusals);
  if (refused !== undefined) throw refused;
  for (const message of warnings) emit({ type: "warning", message });
  const request: LockRequest = {
    ...options,
    message: "rollback",
    skipped: new Map([...unreachable, ...othersAway]),
    needed: clusters,
    whatCannotBeLocked: "skip",
    goesThroughFreeze: true,
    emit,
  };
  return underLock(context, request, async (locked) => {
    // Chosen again under the lock: somebody may have released in between.
    const wanted = wantedClusters(context, options.clusters);
    const { records, clusters, newcomers } = scopeOf(locked, identities, wanted);
    const { unreadable } = locked;
    const { target, leaves } = chooseTarget(records, { ...options, clusters, unreadable });
    keepPromise(options.promised, leaves.number, target.number);
    return runNumbered(
      context,
      { ...locked, records },
      {
        kind: "rollback",
        rendered: target,
        waves: [clusters],
        bakeMs: 0,
        onFailure: "halt",
        backTo: undefined,
        restores: target.number,
        leaves: leaves.number,
        only: clusters.length + newcomers.length === context.targets.length ? undefined : clusters,
        held: heldByLeaving(leaves, target),
        hooks: target.hooks?.filter(({ hook }) => hook.onRollback).map(({ hook }) => ({ hook, runs: [] })),
        identities: identitiesToKeep(locked.records, identities),
      },
    );
  });
}

interface WantedClusters {
  readonly clusters: readonly string[];
  /** Somebody chose them; otherwise they are all there are. */
  readonly areNamed: boolean;
}

/** The named clusters in the order of the environment; all of them when none is named. */
function wantedClusters(context: ReleaseContext, named: readonly string[] | undefined): WantedClusters {
  const names = context.targets.map((target) => target.name);
  if (named === undefined || named.length === 0) return { clusters: names, areNamed: false };
  const strange = named.find((name) => !names.includes(name));
  if (strange === undefined)
    return { clusters: names.filter((name) => named.includes(name)), areNamed: true };
  throw new SlipwayError({
    code: "USAGE_CLUSTER",
    where: `--cluster ${strange}`,
    message: "no such cluster in this environment",
    hint: `Known: ${names.join(", ")}.`,
    exitCode: 2,
  });
}

/**
 * The records under the names of now, and the clusters that go back. Where none is named, a cluster that no kept release
 * knows, under whatever name, is left out: it was added since, and to bring a first release there is no way back. One
 * that does not answer may be anything, and stays, to end as `unknown`.
 */
function scopeOf(
  known: Pick<Knowledge, "records" | "unreadable">,
  identities: readonly ClusterIdentity[],
  wanted: WantedClusters,
): {
  readonly records: readonly ReleaseRecord[];
  readonly clusters: readonly string[];
  readonly newcomers: readonly string[];
} {
  const records = underPresentNames(known.records, identities);
  const isNew = (name: string): boolean =>
    identities.some(({ cluster, uid }) => cluster === name && uid !== undefined) &&
    records.every(({ clusters }) => clusters[name] === undefined);
  // A record that cannot be read may know it.
  const newcomers = wanted.areNamed || known.unreadable.length > 0 ? [] : wanted.clusters.filter(isNew);
  const rest = wanted.clusters.filter((name) => !newcomers.includes(name));
  return rest.length === 0
    ? { records, clusters: wanted.clusters, newcomers: [] }
    : { records, clusters: rest, newcomers };
}

/** Those that are among the named clusters, and the rest. */
function divide<T>(
  all: ReadonlyMap<string, T>,
  clusters: readonly string[],
): readonly [ReadonlyMap<string, T>, ReadonlyMap<string, T>] {
  const isNamed = ([name]: readonly [string, T]): boolean => clusters.includes(name);
  return [new Map([...all].filter(isNamed)), new Map([...all].filter((one) => !isNamed(one)))];
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
