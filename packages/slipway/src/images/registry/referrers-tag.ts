/**
 * The referrers list of registries without the referrers API: an image index under the tag `<algorithm>-<hex>` of the
 * subject, which the client has to keep itself. Source: OCI distribution specification 1.1, "Pushing manifests with
 * subject" and "Unavailable referrers API".
 */
import {
  type Descriptor,
  encodeDocument,
  type ImageIndex,
  type ImageManifest,
  MEDIA,
  parseDigest,
} from "../oci.ts";

/** Cut to what a tag may have: 32 characters for the algorithm, 64 for the hash. */
export function referrersTag(subject: string): string {
  const parts = parseDigest(subject);
  if (parts === undefined) throw new Error(`not a digest: ${subject}`);
  return `${parts.algorithm.slice(0, 32)}-${parts.hex.slice(0, 64)}`;
}

/** How a referrer stands in the list: its type, and the annotations that say what it is. */
export function referrerEntry(
  descriptor: Descriptor,
  manifest: Partial<ImageManifest & ImageIndex>,
): Descriptor {
  const artifactType = manifest.artifactType ?? manifest.config?.mediaType;
  return {
    mediaType: descriptor.mediaType,
    digest: descriptor.digest,
    size: descriptor.size,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(manifest.annotations === undefined ? {} : { annotations: manifest.annotations }),
  };
}

/** The list with `entry` in it; undefined when it is there already. */
export function withReferrer(list: ImageIndex | undefined, entry: Descriptor): Buffer | undefined {
  const manifests = list?.manifests ?? [];
  if (manifests.some(({ digest }) => digest === entry.digest)) return undefined;
  return encodeDocument({ schemaVersion: 2, mediaType: MEDIA.index, manifests: [...manifests, entry] });
}
