/** The registry has what the nodes will ask it for, and for the processors that the nodes have. */
import { matchesNodeSelector, tolerates } from "@slipway/cluster/scheduling";
import type { AnyObject, Node, Pod } from "@slipway/kube";
import { podSpecOf } from "../manifests/workload.ts";
import type { ImageCheck, ReleaseImage } from "../model.ts";
import type { RawFinding } from "./finding.ts";

export interface ImageFacts {
  readonly name: string;
  readonly reference: string;
  readonly state: "exists" | "missing" | "unknown";
  /** Undefined when it is not known. */
  readonly platforms: readonly string[] | undefined;
}

/** Asked once for all clusters. */
export async function readImages(
  images: readonly ReleaseImage[],
  check: ImageCheck,
): Promise<readonly ImageFacts[]> {
  return Promise.all(
    images.map(async ({ name, reference }) => {
      const [state, platforms] = await Promise.all([
        check.exists(reference),
        check.platforms?.(reference).catch(() => undefined),
      ]);
      return { name, reference, state, platforms: platforms?.length === 0 ? undefined : platforms };
    }),
  );
}

export function checkImages(images: readonly ImageFacts[]): readonly RawFinding[] {
  return images.flatMap(({ name, reference, state }): readonly RawFinding[] => {
    const place = `images/${name}`;
    if (state === "missing")
      return [{ code: "IMAGE_NOT_IN_REGISTRY", place, message: `the registry does not have ${reference}` }];
    if (state === "unknown")
      return [
        { code: "IMAGE_UNCHECKED", place, message: `the registry could not be asked for ${reference}` },
      ];
    return [];
  });
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
