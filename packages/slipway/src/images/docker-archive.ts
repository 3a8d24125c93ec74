/**
 * An image of the layout as `docker load` and `podman load` read it: what `docker save` writes. Layers go in as they are
 * stored; only zstd is unpacked, which Docker before version 23 cannot read. The configuration goes in byte for byte, so
 * the image's id in the engine is the digest of its configuration.
 *
 * Source: the Docker image specification v1.2, "Combined Image JSON + Filesystem Changeset Format".
 */
import { Readable } from "node:stream";
import { createZstdDecompress } from "node:zlib";
import type { ImageLayout } from "./layout.ts";
import type { Descriptor, ImageManifest } from "./oci.ts";
import { padding, TAR_END, tarHeader } from "./tar.ts";

/** `name`: `repository:tag`, under which the engine lists it. */
export async function* dockerArchive(
  layout: ImageLayout,
  manifest: ImageManifest,
  name: string,
): AsyncGenerator<Uint8Array> {
  const config = `${hexOf(manifest.config)}.json`;
  const layers = manifest.layers.map((layer, position) => `${position}-${hexOf(layer)}/layer.tar`);
  yield* entry(config, await layout.read(manifest.config.digest));
  for (const [position, layer] of manifest.layers.entries()) {
    const path = layers[position] as string;
    yield header(path, await storedSize(layout, layer));
    let size = 0;
    for await (const chunk of await openStored(layout, layer)) {
      size += (chunk as Buffer).length;
      yield chunk as Buffer;
    }
    yield Buffer.alloc(padding(size));
  }
  yield* entry("manifest.json", JSON.stringify([{ Config: config, RepoTags: [name], Layers: layers }]));
  yield TAR_END;
}

const hexOf = (descriptor: Descriptor): string => descriptor.digest.slice(descriptor.digest.indexOf(":") + 1);

const isZstd = (layer: Descriptor): boolean => layer.mediaType.endsWith("+zstd");

async function openStored(layout: ImageLayout, layer: Descriptor): Promise<Readable> {
  const stored = await layout.openBlob(layer.digest);
  return isZstd(layer) ? stored.pipe(createZstdDecompress()) : stored;
}

/** A tar names a size before the content, so a layer that is unpacked is unpacked twice. */
async function storedSize(layout: ImageLayout, layer: Descriptor): Promise<number> {
  if (!isZstd(layer)) return layer.size;
  let size = 0;
  for await (const chunk of await openStored(layout, layer)) size += (chunk as Buffer).length;
  return size;
}

function* entry(path: string, content: string | Uint8Array): Generator<Uint8Array> {
  const bytes = Buffer.from(content);
  yield header(path, bytes.length);
  yield bytes;
  yield Buffer.alloc(padding(bytes.length));
}

const header = (path: string, size: number): Buffer =>
  tarHeader({ path, kind: "file", mode: 0o644, uid: 0, gid: 0, size, mtime: 0, link: "" });

export const dockerArchiveStream = (layout: ImageLayout, manifest: ImageManifest, name: string): Readable =>
  Readable.from(dockerArchive(layout, manifest, name), { objectMode: false });
