/** What was built, as an image in the layout: its configuration and its manifest. */
import { sorted } from "./base-image.ts";
import type { StageImage } from "./dockerfile/stage.ts";
import type { ImageLayout } from "./layout.ts";
import {
  type Descriptor,
  digestOf,
  encodeDocument,
  type ImageConfigFile,
  type ImageManifest,
  MEDIA,
  type Platform,
} from "./oci.ts";

/** `created`: RFC 3339. `labels` come over those of the Dockerfile. */
export async function writeImage(
  layout: ImageLayout,
  image: StageImage,
  facts: {
    readonly platform: Platform;
    readonly created: string;
    readonly labels: Readonly<Record<string, string>>;
  },
): Promise<Descriptor> {
  const labels: Record<string, string> = {
    ...facts.labels,
    ...(image.base === undefined
      ? {}
      : {
          "org.opencontainers.image.base.name": image.base.name,
          "org.opencontainers.image.base.digest": image.base.digest,
        }),
  };
  const config: ImageConfigFile = {
    created: facts.created,
    ...facts.platform,
    config: { ...image.config, Labels: sorted({ ...image.config.Labels, ...labels }) },
    rootfs: { type: "layers", diff_ids: image.diffIds },
    history: image.history,
  };
  const configBytes = encodeDocument(config);
  const manifest: ImageManifest = {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: { mediaType: MEDIA.config, digest: digestOf(configBytes), size: configBytes.byteLength },
    layers: image.layers,
  };
  const [, stored] = await Promise.all([layout.put(configBytes), layout.put(encodeDocument(manifest))]);
  return { mediaType: MEDIA.manifest, ...stored };
}
