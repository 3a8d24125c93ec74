/**
 * Image substitution: a manifest says `image: web`, the cluster gets `registry/web:tag@sha256:…`. By structure in
 * the pod specs, never by text. A tag or digest that the manifest carries is ignored for a declared image.
 */
import { nearest, SlipwayError } from "@slipway/base";
import type { ReleaseImage } from "../model.ts";
import type { LoadedObject } from "./manifests.ts";
import { mapContainers, mapPodSpec, podSpecPath } from "./workload.ts";

/** `host/path`, tag and digest of an image reference. */
function splitReference(reference: string): {
  readonly repository: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
} {
  const [beforeDigest, digest] = reference.split("@", 2) as [string, string | undefined];
  const slash = beforeDigest.lastIndexOf("/");
  const colon = beforeDigest.indexOf(":", slash + 1);
  return colon < 0
    ? { repository: beforeDigest, tag: undefined, digest }
    : { repository: beforeDigest.slice(0, colon), tag: beforeDigest.slice(colon + 1), digest };
}

export interface Substituted {
  readonly loaded: readonly LoadedObject[];
  /** Declared images that no manifest names. */
  readonly unused: readonly string[];
}

export function substituteImages(
  loaded: readonly LoadedObject[],
  images: readonly ReleaseImage[],
): Substituted {
  const used = new Set<string>();
  const declared = new Map<string, ReleaseImage>();
  for (const image of images) {
    declared.set(image.name, image);
    declared.set(splitReference(image.reference).repository, image);
  }
  const result = loaded.map((entry) => ({
    ...entry,
    object: mapPodSpec(entry.object, (spec) =>
      mapContainers(spec, (container, path) => {
        if (container.image === undefined) return container;
        const match = declared.get(splitReference(container.image).repository);
        if (match !== undefined) {
          used.add(match.name);
          return { ...container, image: match.reference };
        }
        const reason = refusalOf(container.image);
        if (reason === undefined) return container;
        throw unknownImage(entry, [...(podSpecPath(entry.object) ?? []), ...path, "image"], {
          image: container.image,
          reason,
          names: images.map((image) => image.name),
        });
      }),
    ),
  }));
  return { loaded: result, unused: images.map((image) => image.name).filter((name) => !used.has(name)) };
}

/** Why an image that the config does not declare may not be shipped as it is written; undefined when it may. */
function refusalOf(image: string): string | undefined {
  const { repository, tag, digest } = splitReference(image);
  const slash = repository.indexOf("/");
  const first = slash < 0 ? "" : repository.slice(0, slash);
  if (!/[.:]|^localhost$/.test(first)) return "is not declared under `images` and names no registry";
  // What `latest` is may differ from cluster to cluster and from one restart to the next.
  if (digest === undefined && (tag === undefined || tag === "latest")) {
    return "is not declared under `images` and has no fixed tag or digest";
  }
  return undefined;
}

function unknownImage(
  entry: LoadedObject,
  path: readonly (string | number)[],
  facts: { image: string; reason: string; names: readonly string[] },
): SlipwayError {
  const near = nearest(splitReference(facts.image).repository, facts.names);
  return new SlipwayError({
    code: "MANIFEST_UNKNOWN_IMAGE",
    where: entry.locate(path),
    message: `image "${facts.image}" ${facts.reason}`,
    hint:
      near === undefined
        ? `Add it under \`images\` in slipway.config.ts${facts.names.length > 0 ? ` (declared: ${facts.names.join(", ")})` : ""}, or write it in full, like registry.example.com/team/name:1.2.3.`
        : `Did you mean "${near}"?`,
    exitCode: 2,
  });
}
