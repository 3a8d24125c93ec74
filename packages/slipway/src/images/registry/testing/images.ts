/** Small images for tests of the registry and its client, the same for the same seed. */
import { type Random, seededRandom } from "@slipway/base";
import type { ImageLayout } from "../../layout.ts";
import { type Descriptor, encodeDocument, type ImageManifest, MEDIA } from "../../oci.ts";

export interface ImageRecipe {
  readonly seed: number;
  /** Bytes of each layer. */
  readonly layers: readonly number[];
  readonly subject?: Descriptor;
  readonly artifactType?: string;
}

/** Layers of random bytes: nothing here unpacks them. */
export async function putImage(layout: ImageLayout, recipe: ImageRecipe): Promise<Descriptor> {
  const random = seededRandom(recipe.seed);
  const layers: Descriptor[] = [];
  for (const size of recipe.layers) {
    layers.push({ mediaType: MEDIA.layer, ...(await layout.put(randomData(random, size))) });
  }
  const config = await layout.put(
    encodeDocument({ os: "linux", architecture: "amd64", config: { Labels: { seed: `${recipe.seed}` } } }),
  );
  const manifest: ImageManifest = {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    ...(recipe.artifactType === undefined ? {} : { artifactType: recipe.artifactType }),
    config: { mediaType: MEDIA.config, ...config },
    layers,
    ...(recipe.subject === undefined ? {} : { subject: recipe.subject }),
  };
  return { mediaType: MEDIA.manifest, ...(await layout.put(encodeDocument(manifest))) };
}

export function randomData(random: Random, size: number): Buffer {
  const data = Buffer.allocUnsafe(size);
  for (let at = 0; at < size; at += 1) data[at] = random.int(256);
  return data;
}
