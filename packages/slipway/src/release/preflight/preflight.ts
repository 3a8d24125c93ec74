/**
 * Everything that can be known before anything is changed: what would certainly stop the release is refused now, with
 * numbers, instead of half way through a wave. Reading is here; each check is a function of what was read, in a file of
 * its own.
 *
 * It runs beside the dry run of the plan, in all clusters at once: `readPreflight` asks the registry once,
 * `preflightCluster` looks at one cluster, `preflightManifests` at what needs no cluster.
 */
import type { ReleaseContext, RenderedRelease, Target } from "../model.ts";
import { checkAutoscaling, checkBudgets } from "./autoscaling.ts";
import { checkCapacity } from "./capacity.ts";
import { type ClusterFacts, readClusterFacts } from "./facts.ts";
import { type Finding, type RawFinding, type Weights, weigh } from "./finding.ts";
import { checkArchitectures, checkImages, type ImageFacts, readImages } from "./images.ts";
import { checkImmutable } from "./immutable.ts";
import { checkManifests, checkReadinessGates } from "./lints.ts";
import { checkReferences, referenceKey } from "./references.ts";
import type { SeenObject } from "./seen.ts";

export interface PreflightInput {
  readonly context: ReleaseContext;
  readonly target: Target;
  readonly rendered: Pick<RenderedRelease, "objects" | "images">;
  readonly purpose: Weights["purpose"];
  readonly images: readonly ImageFacts[];
}

/** What the registry says, asked once. Empty without a registry to ask. */
export async function readPreflight(
  context: ReleaseContext,
  rendered: Pick<RenderedRelease, "images">,
): Promise<readonly ImageFacts[]> {
  return context.images === undefined ? [] : readImages(rendered.images, context.images);
}

/** What the manifests and the registry show, the same for all clusters. */
export function preflightManifests(
  context: ReleaseContext,
  rendered: Pick<RenderedRelease, "objects">,
  images: readonly ImageFacts[],
  purpose: Weights["purpose"],
): readonly Finding[] {
  return weigh([...checkImages(images), ...checkManifests(rendered.objects)], undefined, {
    severities: context.preflight,
    purpose,
  });
}

/** Starts reading at once; judges when the dry run has come, too. Throws only when the cluster does not answer. */
export async function preflightCluster(
  input: PreflightInput,
  dryRun: Promise<readonly SeenObject[]>,
): Promise<readonly Finding[]> {
  const { context, target, rendered, purpose } = input;
  const [facts, seen] = await Promise.all([readClusterFacts(target.client, rendered.objects), dryRun]);
  const raw = checkCluster({ facts, seen, images: input.images, now: context.clock.now() });
  return weigh(raw, target.name, { severities: context.preflight, purpose });
}

/** The checks of one cluster. Pure. */
export function checkCluster(input: {
  readonly facts: ClusterFacts;
  readonly seen: readonly SeenObject[];
  readonly images: readonly ImageFacts[];
  readonly now: number;
}): readonly RawFinding[] {
  const { facts, seen, images, now } = input;
  const objects = seen.map(({ object }) => object);
  return [
    ...checkReferences(objects, (reference) => facts.referenced.get(referenceKey(reference)) ?? "unreadable"),
    ...seen.flatMap(({ object, live }) => checkImmutable(object, live)),
    ...checkArchitectures(objects, images, facts.nodes ?? []),
    ...checkCapacity(facts, seen, now),
    ...checkAutoscaling(facts, seen),
    ...checkBudgets(facts, seen),
    ...checkReadinessGates(facts, objects),
    ...unreadable(facts),
  ];
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
