/** All that can be seen of an image without running it: its configuration and its layers, opened once for all checks. */
import { SlipwayError } from "@slipway/base";
import type { BuiltImage } from "../../images/image.ts";
import { type FileNode, ImageFiles } from "../../images/layers.ts";
import { ImageLayout } from "../../images/layout.ts";
import {
  hostPlatform,
  type ImageConfigFile,
  type ImageManifest,
  MEDIA,
  type Platform,
} from "../../images/oci.ts";
import { readImageAt } from "../../images/source.ts";
import type { ContainerFiles, FileFacts, FoundFile } from "../engines/engine.ts";

export interface ImageView {
  readonly image: BuiltImage;
  readonly manifest: ImageManifest;
  readonly config: ImageConfigFile;
  readonly files: ContainerFiles;
  /** Every regular file of every layer, also those that a later layer deletes or replaces. */
  everyFile(): AsyncGenerator<LayerFile>;
}

export interface LayerFile {
  readonly path: string;
  readonly size: number;
  /** 0 at the bottom. */
  readonly layer: number;
  /** A later layer deletes or replaces it. */
  readonly isHidden: boolean;
  read(): Promise<Uint8Array>;
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
  return {
    image,
    manifest,
    // Docker writes null where OCI leaves a key out.
    config: { ...config, config: config.config ?? {} },
    files: new LayerFiles(files),
    async *everyFile() {
      for (const layer of manifest.layers.keys()) {
        const until = await ImageFiles.open(layout, { layers: manifest.layers.slice(0, layer + 1) });
        for (const { path, node } of until.entries()) {
          if (node.layer !== layer || node.kind !== "file") continue;
          const now = files.lookup(path, { isLinkKept: true });
          const isHidden =
            now.kind !== "found" || now.node.layer !== layer || now.node.offset !== node.offset;
          yield { path, size: node.size, layer, isHidden, read: () => until.read(node) };
        }
      }
    },
  };
}

/** The merged layers as the file system that a container would start with. */
export class LayerFiles implements ContainerFiles {
  readonly #files: ImageFiles;
  #entries: readonly { readonly path: string; readonly file: FileFacts }[] | undefined;

  constructor(files: ImageFiles) {
    this.#files = files;
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
    return this.#files.read(found.node, limit);
  }
}

const factsOf = ({ kind, mode, uid, gid, size, mtime, link }: FileNode): FileFacts => ({
  kind,
  mode,
  uid,
  gid,
  size,
  mtime,
  link,
});
