/** The registry has what the nodes will ask it for, and for the processors that the nodes have. */
import type { Clock } from "@slipway/base";
import { matchesNodeSelector, tolerates } from "@slipway/cluster/scheduling";
import type { AnyObject, Node, Pod } from "@slipway/kube";
import { podSpecOf } from "../manifests/workload.ts";
import type { ImageCheck, RenderedRelease } from "../model.ts";
import type { RawFinding } from "./finding.ts";

export interface ImageFacts {
  /** Undefined for one that the release does not bring: a sidecar, somebody else's image. */
  readonly name: string | undefined;
  readonly reference: string;
  readonly state: "exists" | "missing" | "unknown";
  /** Undefined when it is not known. */
  readonly platforms: readonly string[] | undefined;
}

/** A registry that is not ours may be one that only the nodes reach: it is not waited for any longer than this. */
export const OTHERS_PATIENCE_MS = 3_000;

/** Asked once for all clusters, each image once and all at the same time. */
export async function readImages(
  { images, objects }: Pick<RenderedRelease, "images" | "objects">,
  { check, clock }: { readonly check: ImageCheck; readonly clock: Clock },
): Promise<readonly ImageFacts[]> {
  const ours = images.map(async ({ name, reference }): Promise<ImageFacts> => {
    const [state, platforms] = await Promise.all([
      check.exists(reference),
      check.platforms?.(reference).catch(() => undefined),
    ]);
    return { name, reference, state, platforms: platforms?.length === 0 ? undefined : platforms };
  });
  // Not their platforms: that takes a manifest, and Docker Hub counts those as pulls.
  const known = new Set(images.map(({ reference }) => reference));
  const others = otherImages(objects, known).map(async ({ reference }): Promise<ImageFacts> => {
    const state = await existsSoon(reference, { check, clock });
    return { name: undefined, reference, state, platforms: undefined };
  });
  return Promise.all([...ours, ...others]);
}

async function existsSoon(
  reference: string,
  { check, clock }: { readonly check: ImageCheck; readonly clock: Clock },
): Promise<ImageFacts["state"]> {
  const done = new AbortController();
  const late = new AbortController();
  const asked = check.exists(reference, late.signal).catch(() => "unknown" as const);
  const limit = clock.sleep(OTHERS_PATIENCE_MS, done.signal).then(
    () => "unknown" as const,
    () => "unknown" as const,
  );
  const state = await Promise.race([asked, limit]);
  done.abort();
  late.abort();
  return state;
}

interface OtherImage {
  readonly reference: string;
  /** The first object that has it, for the finding's place. */
  readonly object: AnyObject;
  readonly container: string;
}

/** Images of pod templates that the release does not bring itself; without those that a node must have already. */
function otherImages(objects: readonly AnyObject[], known: ReadonlySet<string>): readonly OtherImage[] {
  const found = new Map<string, OtherImage>();
  for (const object of objects) {
    const spec = podSpecOf(object);
    for (const { name, image, imagePullPolicy } of [
      ...(spec?.initContainers ?? []),
      ...(spec?.containers ?? []),
    ]) {
      if (!image || imagePullPolicy === "Never" || known.has(image) || found.has(image)) continue;
      found.set(image, { reference: image, object, container: name });
    }
  }
  return [...found.values()];
}

export function checkImages(
  images: readonly ImageFacts[],
  objects: readonly AnyObject[],
): readonly RawFinding[] {
  const ours = new Set(images.filter(({ name }) => name !== undefined).map(({ reference }) => reference));
  const states = new Map(images.map(({ reference, state }) => [reference, state]));
  return [
    ...images
      .filter(({ name }) => name !== undefined)
      .flatMap(({ name, reference, state }) => judge(reference, state, { place: `images/${name}` })),
    ...otherImages(objects, ours).flatMap(({ reference, object, container }) =>
      judgeOther(reference, states.get(reference), { object, place: `containers/${container}` }),
    ),
  ];
}

function judge(
  reference: string,
  state: ImageFacts["state"] | undefined,
  at: Pick<RawFinding, "place">,
): readonly RawFinding[] {
  if (state === "missing") {
    return [{ ...at, code: "IMAGE_NOT_IN_REGISTRY", message: `the registry does not have ${reference}` }];
  }
  return state === "unknown" ? [unchecked(reference, at)] : [];
}

const OTHER_HINT =
  "Nothing, where the nodes have it or have a way to the registry that is not ours; else correct its name or tag.";

/**
 * What the release did not push itself may be on the nodes already, or come to them from a mirror or with a pull secret that
 * is not ours: that a registry does not know it here is worth saying, and no reason to refuse.
 */
function judgeOther(
  reference: string,
  state: ImageFacts["state"] | undefined,
  at: Pick<RawFinding, "object" | "place">,
): readonly RawFinding[] {
  if (state === "missing") {
    const message = `the registry that its name says does not have ${reference}`;
    return [{ ...at, code: "IMAGE_UNCHECKED", message, hint: OTHER_HINT }];
  }
  return state === "unknown" ? [{ ...unchecked(reference, at), hint: OTHER_HINT }] : [];
}

function unchecked(reference: string, at: Pick<RawFinding, "object" | "place">): RawFinding {
  return { ...at, code: "IMAGE_UNCHECKED", message: `the registry could not be asked for ${reference}` };
}

/**
 * Each image against the nodes that its pods can go to by selector, required affinity and taints; not by room, which
 * changes.
 */
export function checkArchitectures(
  objects: readonly AnyObject[],
  images: readonly ImageFacts[],
  nodes: readonly Node[],
): readonly RawFinding[] {
  const known = new Map(images.map((image) => [image.reference, image]));
  return objects.flatMap((object) => {
    const spec = podSpecOf(object);
    if (spec === undefined) return [];
    const pod: Pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "any" }, spec };
    const reachable = nodes.filter((node) => canGoTo(pod, node));
    const containers = [...(spec.initContainers ?? []), ...(spec.containers ?? [])];
    return containers.flatMap((container): readonly RawFinding[] => {
      const platforms = known.get(container.image ?? "")?.platforms;
      if (platforms === undefined) return [];
      const wrong = reachable.filter((node) => !runsOn(platforms, node));
      if (wrong.length === 0) return [];
      const what = [...new Set(wrong.map(platformOf))].join(", ");
      const of = `${wrong.length} of the ${reachable.length} nodes that its pods can go to`;
      return [
        {
          code: "IMAGE_ARCHITECTURE",
          object,
          place: `containers/${container.name}`,
          message: `its image is for ${platforms.join(", ")}; ${of} are ${what} (${names(wrong)})`,
        },
      ];
    });
  });
}

function canGoTo(pod: Pod, node: Node): boolean {
  const taints = (node.spec?.taints ?? []).filter(
    // A node that is not ready for the moment will be again; it counts as one that pods can go to.
    ({ key, effect }) => effect !== "PreferNoSchedule" && !key.startsWith("node.kubernetes.io/"),
  );
  return matchesNodeSelector(pod, node) && taints.every((taint) => tolerates(pod.spec.tolerations, taint));
}

function runsOn(platforms: readonly string[], node: Node): boolean {
  const [os, architecture] = platformOf(node).split("/");
  if (os === undefined || architecture === undefined || architecture === "") return true;
  return platforms.some(
    (platform) => platform === `${os}/${architecture}` || platform.startsWith(`${os}/${architecture}/`),
  );
}

function platformOf(node: Node): string {
  const labels = node.metadata.labels ?? {};
  const info = node.status?.nodeInfo ?? {};
  const os = labels["kubernetes.io/os"] ?? info["operatingSystem"] ?? "linux";
  return `${os}/${labels["kubernetes.io/arch"] ?? info["architecture"] ?? ""}`;
}

function names(nodes: readonly Node[]): string {
  const shown = nodes.slice(0, 3).map(({ metadata }) => metadata.name);
  return nodes.length > 3 ? `${shown.join(", ")}, …` : shown.join(", ");
}
