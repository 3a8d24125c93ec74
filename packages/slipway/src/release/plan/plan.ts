/**
 * What a release would do, cluster by cluster, found by a server-side dry run; and every reason not to begin.
 * Nothing is changed by planning. A clean plan is what makes failing fast safe later: an image that cannot be
 * pulled after it was found here is not "nobody pushed it".
 */
import type { SlipwayError } from "@slipway/base";
import { cannotBeAsked, whyUnreachable } from "../apply/apply.ts";
import { wavesOf } from "../engine/wave-settings.ts";
import { goneWarnings } from "../history/gone.ts";
import { heldRefusals } from "../history/held.ts";
import { newestHealthy, wayBack } from "../history/history.ts";
import { type Knowledge, readKnowledge } from "../history/knowledge.ts";
import { type HookJob, hookJobs } from "../hooks/hook-object.ts";
import {
  type ClusterIdentity,
  checkIdentities,
  identityWarnings,
  readIdentities,
  underPresentNames,
} from "../identity.ts";
import type { ReleaseContext, ReleaseRecord, RenderedRelease, Target } from "../model.ts";
import { asRefusal, asWarning, type Finding, unknownIgnores } from "../preflight/finding.ts";
import { preflightManifests, readPreflight } from "../preflight/preflight.ts";
import { type ClusterPlan, type PlannedCluster, planCluster, silent } from "./cluster-plan.ts";
import { orderOfDeploy, orderOfRollback, type ReleaseOrder } from "./order.ts";
import { isChange, type LiveObject } from "./planned-object.ts";
import { unreachableRefusal } from "./refusals.ts";

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

export async function planRelease(
  context: ReleaseContext,
  rendered: RenderedRelease,
  options: PlanOptions = {},
): Promise<ReleasePlan> {
  return planWith(context, rendered, await readKnowledge(context), options);
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
  const records = underPresentNames(knowledge.records, identities);
  const refusals: SlipwayError[] = [...checkIdentities(identities, options.rebind)];
  // A cluster that may be a stranger's is not even asked to try anything.
  const targets = refusals.length > 0 ? [] : context.targets;
  if (options.allowHeld !== true) refusals.push(...heldRefusals(rendered, records, context.clock.now()));
  const planned = await Promise.all(
    targets.map(async (target): Promise<PlannedCluster> => {
      const reason = knowledge.unreachable.get(target.name);
      if (reason !== undefined) return silent(target.name, reason);
      try {
        const hooks = jobsIn(context, target.name, { rendered, knowledge, purpose });
        return await planCluster({ context, target, rendered, records, images, purpose, hooks });
      } catch (error) {
        if (cannotBeAsked(error)) return silent(target.name, whyUnreachable(error));
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
  const names = context.targets.map(({ name }) => name);
  const away = names.filter(
    (name) => knowledge.unreachable.has(name) || clusters.some((one) => one.name === name && !one.reachable),
  );
  const plan: ReleasePlan = {
    namespace: context.namespace,
    clusters,
    identities,
    order: orderOf(context, { rendered, records, silent: away, options }),
    refusals,
    warnings: [
      ...rendered.warnings,
      ...unknownIgnores(rendered.objects),
      ...knowledge.warnings,
      ...(purpose === "deploy" ? goneWarnings(records, names) : []),
      ...identityWarnings(identities),
      ...planned.flatMap((one) => one.warnings),
      ...warningsIn(findings),
    ],
    findings,
    hasChanges: clusters.some((cluster) => cluster.objects.some(isChange)),
  };
  return { plan, live: new Map(planned.map(({ cluster, live }) => [cluster.name, live])) };
}

/** As `run-hooks.ts` places them: what runs in one cluster runs in the first that answers. */
function jobsIn(
  context: ReleaseContext,
  cluster: string,
  given: {
    readonly rendered: Plannable;
    readonly knowledge: Knowledge;
    readonly purpose: "deploy" | "rollback";
  },
): readonly HookJob[] {
  const { rendered, knowledge, purpose } = given;
  const { records, unreachable, unreadable } = knowledge;
  const names = context.targets.map(({ name }) => name);
  const order = purpose === "rollback" ? names : wavesOf(context.release, names).flat();
  const hooks = (rendered.hooks ?? []).filter(({ hook }) => purpose === "deploy" || hook.onRollback);
  return hookJobs(hooks, {
    isFirst: order.find((name) => !unreachable.has(name)) === cluster,
    number: Math.max(0, ...unreadable, ...records.map(({ number }) => number)) + 1,
    service: context.service,
  });
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
  const sameAs = backTo === undefined ? newestHealthy(records)?.number : undefined;
  const { release } = context;
  return orderOfDeploy({ release, clusters, silent, skipUnreachable, hooks, backTo, sameAs });
}

const refusalsIn = (findings: readonly Finding[]): readonly SlipwayError[] =>
  findings.filter(({ severity }) => severity === "error").map(asRefusal);
const warningsIn = (findings: readonly Finding[]): readonly string[] =>
  findings.filter(({ severity }) => severity === "warning").map(asWarning);

/** One cluster alone, while the release goes on in the others. Throws when it does not answer. */
export async function planTarget(
  context: ReleaseContext,
  target: Target,
  release: Pick<ReleaseRecord, "objects" | "images" | "content" | "hooks" | "number" | "service">,
  records: readonly ReleaseRecord[],
): Promise<Pick<ReleasePlan, "refusals" | "warnings">> {
  const purpose = "deploy";
  const images = await readPreflight(context, release);
  // What the manifests are warned of was told when the release began.
  const ofManifests = preflightManifests(context, release, images, purpose);
  const planned = await planCluster({
    ...{ context, target, rendered: release, records, images, purpose },
    // What runs in one cluster has run, or will run, in one of those that answered.
    hooks: hookJobs(release.hooks ?? [], { ...release, isFirst: false }),
  });
  return {
    refusals: [...refusalsIn([...ofManifests, ...planned.findings]), ...planned.refusals],
    warnings: [...planned.warnings, ...warningsIn(planned.findings)],
  };
}
