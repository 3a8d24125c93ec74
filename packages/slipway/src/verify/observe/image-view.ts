/** All that can be seen of an image without running it: its configuration and its layers, opened once for all checks. */
import { SlipwayError } from "@slipway/base";
import type { FileNode } from "../../images/file-node.ts";
import type { BuiltImage } from "../../images/image.ts";
import { ImageFiles } from "../../images/layers.ts";
import { ImageLayout } from "../../images/layout.ts";
import {
  hostPlatform,
  type ImageConfigFile,
  type ImageManifest,
  MEDIA,
  type Platform,
} from "../../images/oci.ts";
import { readImageAt } from "../../images/source.ts";
import { capabilitiesOf } from "../capabilities.ts";
import type { ContainerFiles, FileFacts, FoundFile } from "../engines/engine.ts";
import { LayerReader } from "./layer-reader.ts";

export interface ImageView {
  readonly image: BuiltImage;
  readonly manifest: ImageManifest;
  readonly config: ImageConfigFile;
  readonly files: ContainerFiles;
  /** Takes contents that will be read: one pass over each layer instead of one for each file. */
  fetch(paths: readonly string[]): Promise<void>;
  /** The wanted files of every layer with their contents, also those that a later layer deletes or replaces. */
  everyFile(isWanted: (path: string, size: number) => boolean): AsyncGenerator<LayerFile>;
}

export interface LayerFile {
  readonly path: string;
  /** 0 at the bottom. */
  readonly layer: number;
  /** A later layer deletes or replaces it. */
  readonly isHidden: boolean;
  readonly content: Uint8Array;
}

/** Rejects with VERIFY_IMAGE_UNREADABLE (exit 3): one error for all checks of an image that cannot be opened. */
export async function openImage(image: BuiltImage, platform: Platform = hostPlatform()): Promise<ImageView> {
  try {
    return await open(image, platform);
  } catch (error) {
    if (!(error instanceof SlipwayError)) throw error;
    throw new SlipwayError({
      code: "VERIFY_IMAGE_UNREADABLE",
      where: error.where ?? image.name,
      message: `image ${image.name} cannot be read: ${error.message}`,
      hint: error.hint ?? "Build it again (slipway build).",
      cause: error,
      exitCode: 3,
    });
  }
}

async function open(image: BuiltImage, platform: Platform): Promise<ImageView> {
  const layout = await ImageLayout.open(image.layout);
  const held = await layout.resolve(image.name, image.digest);
  const size = await layout.size(image.digest);
  const descriptor = held ?? { mediaType: MEDIA.manifest, digest: image.digest, size: size ?? 0 };
  const { manifest, config } = await readImageAt(layout, descriptor, platform);
  const files = await ImageFiles.open(layout, manifest);
  const reader = new LayerReader(layout, manifest.layers, files);
  return {
    image,
    manifest,
    // Docker writes null where OCI leaves a key out.
    config: { ...config, config: config.config ?? {} },
    files: new LayerFiles(files, reader),
    async fetch(paths) {
      const wanted = paths.flatMap((path) => {
        const found = files.lookup(path);
        return found.kind === "found" && found.node.kind === "file"
          ? [{ node: found.node, length: found.node.size }]
          : [];
      });
      await reader.fetch(wanted);
    },
    async *everyFile(isWanted) {
      for (const layer of manifest.layers.keys()) {
        const until = await ImageFiles.open(layout, { layers: manifest.layers.slice(0, layer + 1) });
        const byOffset = new Map<number, { readonly path: string; readonly node: FileNode }>();
        for (const { path, node } of until.entries()) {
          const isOwn = node.layer === layer && node.kind === "file" && node.size > 0;
          if (isOwn && isWanted(path, node.size)) byOffset.set(node.offset, { path, node });
        }
        const nodes = [...byOffset.values()].map(({ node }) => node);
        const own = new LayerReader(layout, manifest.layers, until);
        for await (const { offset, bytes } of own.through(layer, nodes)) {
          const { path } = byOffset.get(offset) as { path: string };
          const now = files.lookup(path, { isLinkKept: true });
          const isHidden = now.kind !== "found" || now.node.layer !== layer || now.node.offset !== offset;
          yield { path, layer, isHidden, content: bytes };
        }
      }
    },
  };
}

/** The merged layers as the file system that a container would start with. */
export class LayerFiles implements ContainerFiles {
  readonly #files: ImageFiles;
  readonly #reader: LayerReader;
  #entries: readonly { readonly path: string; readonly file: FileFacts }[] | undefined;

  constructor(files: ImageFiles, reader: LayerReader) {
    this.#files = files;
    this.#reader = reader;
  }

  lookup(path: string, options: { readonly isLinkKept?: boolean } = {}): Promise<FoundFile> {
    const found = this.#files.lookup(path, options);
    return Promise.resolve(
      found.kind === "found" ? { kind: "found", path: found.path, file: factsOf(found.node) } : found,
    );
  }

  async *entries(): AsyncGenerator<{ readonly path: string; readonly file: FileFacts }> {
    this.#entries ??= [...this.#files.entries()]
      .filter(({ path }) => !/^\/(?:proc|sys|dev)(?:\/|$)/.test(path))
      .map(({ path, node }) => ({ path, file: factsOf(node) }));
    yield* this.#entries;
  }

  async read(path: string, limit?: number): Promise<Uint8Array> {
    const found = this.#files.lookup(path);
    if (found.kind !== "found") throw new TypeError(`${path}: ${found.why}`);
    return this.#reader.read(found.node, limit);
  }
}

const factsOf = ({ kind, mode, uid, gid, size, mtime, link, xattrs }: FileNode): FileFacts => ({
  kind,
  mode,
  uid,
  gid,
  size,
  mtime,
  link,
  capabilities: capabilitiesOf(xattrs),
});
