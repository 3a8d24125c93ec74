/**
 * Everything that can be known before anything is changed: what would certainly stop the release is refused now, with
 * numbers, instead of half way through a wave. Reading is here; each check is a function of what was read, in a file of
 * its own.
 *
 * It runs beside the dry run of the plan, in all clusters at once: `readPreflight` asks the registry once,
 * `preflightCluster` looks at one cluster, `preflightManifests` at what needs no cluster.
 */
import type { AnyObject } from "@slipway/kube";
import { isPrunable } from "../apply/prune.ts";
import type { HookJob } from "../hooks/hook-object.ts";
import { podSpecOf } from "../manifests/workload.ts";
import type { ReleaseContext, RenderedRelease, Target } from "../model.ts";
import { checkAutoscaling, checkBudgets } from "./autoscaling.ts";
import { checkCapacity } from "./capacity.ts";
import { type ClusterFacts, readClusterFacts } from "./facts.ts";
import { type Finding, type RawFinding, type Weights, weigh } from "./finding.ts";
import { checkHashedNames } from "./hashed-names.ts";
import { checkArchitectures, checkImages, type ImageFacts, readImages } from "./images.ts";
import { checkImmutable } from "./immutable.ts";
import { checkLimitRanges, withDefaults } from "./limit-range.ts";
import { checkManifests, checkReadinessGates } from "./lints.ts";
import { checkOwners } from "./owners.ts";
import {
  checkAccounts,
  checkHookReferences,
  checkReferences,
  type Found,
  type FoundBefore,
  keyOf,
  type Reference,
  referenceKey,
} from "./references.ts";
import type { SeenObject } from "./seen.ts";
import { checkSelectors, checkServicePorts } from "./services.ts";

export interface PreflightInput {
  readonly context: ReleaseContext;
  readonly target: Target;
  readonly rendered: Pick<RenderedRelease, "objects" | "images">;
  readonly purpose: Weights["purpose"];
  readonly images: readonly ImageFacts[];
  /** Jobs that hooks of the release create there. */
  readonly hooks?: readonly HookJob[] | undefined;
  /** What earlier releases brought and this one no longer has. */
  readonly leftBehind: readonly AnyObject[];
}

/** What the registry says, asked once. Empty without a registry to ask. */
export async function readPreflight(
  context: ReleaseContext,
  rendered: Pick<RenderedRelease, "images" | "objects" | "hooks">,
): Promise<readonly ImageFacts[]> {
  const { images: check, clock } = context;
  if (check === undefined) return [];
  const { images } = rendered;
  return readImages({ images, objects: [...rendered.objects, ...jobsOf(rendered)] }, { check, clock });
}

function jobsOf({ hooks = [] }: Pick<RenderedRelease, "hooks">): readonly AnyObject[] {
  return hooks.flatMap(({ hook: { run } }) => (run.kind === "job" ? [run.job] : []));
}

/** What the manifests and the registry show, the same for all clusters. */
export function preflightManifests(
  context: ReleaseContext,
  rendered: Pick<RenderedRelease, "objects" | "hooks">,
  images: readonly ImageFacts[],
  purpose: Weights["purpose"],
): readonly Finding[] {
  const { objects } = rendered;
  const jobs = jobsOf(rendered);
  const found = [
    ...checkImages(images, [...objects, ...jobs]),
    ...checkManifests(objects),
    ...checkHashedNames(objects, jobs),
    ...checkServicePorts(objects),
  ];
  return weigh(found, undefined, { severities: context.preflight, purpose });
}

/** Starts reading at once; judges when the dry run has come, too. Throws only when the cluster does not answer. */
export async function preflightCluster(
  input: PreflightInput,
  dryRun: Promise<readonly SeenObject[]>,
): Promise<readonly Finding[]> {
  const { context, target, rendered, purpose, images, hooks = [] } = input;
  const [facts, seen] = await Promise.all([readClusterFacts(target.client, rendered.objects, hooks), dryRun]);
  const leaving = new Set(input.leftBehind.map(keyOf));
  const raw = checkCluster({
    facts,
    seen,
    images,
    hooks,
    now: context.clock.now(),
    service: context.service,
    isPruned: (live) => leaving.has(keyOf(live)) && isPrunable(live, context.service, context.namespace),
  });
  return weigh(raw, target.name, { severities: context.preflight, purpose });
}

/** The checks of one cluster. Pure. */
export function checkCluster(input: {
  readonly facts: ClusterFacts;
  readonly seen: readonly SeenObject[];
  readonly images: readonly ImageFacts[];
  readonly hooks?: readonly HookJob[];
  readonly now: number;
  /** Is it in the cluster only until this release, or one after it, deletes it? */
  readonly isPruned: (live: AnyObject) => boolean;
  readonly service: string;
}): readonly RawFinding[] {
  const { facts, seen, images, hooks = [], now, isPruned, service } = input;
  const objects = seen.map(({ object }) => object);
  const known = (reference: Reference): Found =>
    facts.referenced.get(referenceKey(reference)) ?? "unreadable";
  const lookup = (reference: Reference): FoundBefore => {
    const found = known(reference);
    return typeof found === "object" && isPruned(found) ? "pruned" : found;
  };
  return [
    ...checkReferences(objects, lookup),
    ...checkAccounts(objects, lookup),
    ...checkOwners(seen, service),
    // Hooks run before anything is pruned.
    ...hooks.flatMap((job) => checkHook(job, { facts, objects, images, lookup: known })),
    ...seen.flatMap(({ object, live }) => checkImmutable(object, live)),
    ...checkArchitectures(objects, images, facts.nodes ?? []),
    ...checkCapacity(facts, seen, now),
    ...checkAutoscaling(facts, seen),
    ...checkBudgets(facts, seen),
    ...checkReadinessGates(facts, objects),
    ...checkSelectors(objects, facts.pods),
    ...unreadable(facts),
  ];
}

/** A Job's pod comes once, beside what runs: it needs what it refers to and must be allowed, but no room is kept for it. */
function checkHook(
  job: HookJob,
  given: {
    readonly facts: ClusterFacts;
    readonly objects: readonly AnyObject[];
    readonly images: readonly ImageFacts[];
    readonly lookup: (reference: Reference) => Found;
  },
): readonly RawFinding[] {
  const { object } = job;
  const { facts, objects, images, lookup } = given;
  const spec = podSpecOf(object);
  const limitRanges = facts.limitRanges ?? [];
  const found = [
    ...checkHookReferences([job], objects, lookup),
    ...checkArchitectures([object], images, facts.nodes ?? []),
    ...(spec === undefined
      ? []
      : checkLimitRanges(
          object,
          withDefaults(spec, limitRanges, object.metadata.namespace ?? "default"),
          limitRanges,
        )),
  ];
  return found.map((one) => ({ ...one, hook: job.hook.name }));
}

function unreadable({ unreadable: words }: ClusterFacts): readonly RawFinding[] {
  if (words.length === 0) return [];
  return [
    {
      code: "PREFLIGHT_PARTIAL",
      message: `could not read ${words.join(", ")}: what they say was not checked`,
    },
  ];
}
