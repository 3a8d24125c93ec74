/**
 * Where the local clusters' runtimes get their images: the embedded registry's storage, read directly. References
 * are the ones that manifests carry (`host:port/repository:tag@sha256:…`); a digest always wins over the tag, so
 * what runs is what was verified and pushed.
 */
import type { Readable } from "node:stream";
import { SlipwayError } from "@slipway/base";
import { ContainerStartError, type ImageSource, type ResolvedImage } from "@slipway/cluster/runtime";
import type { ImageLayout } from "./layout.ts";
import {
  choosePlatform,
  type Descriptor,
  hostPlatform,
  type ImageConfigFile,
  type ImageIndex,
  type ImageManifest,
  isIndexType,
  type Platform,
} from "./oci.ts";
import { formatReference, type ImageReference, parseReference } from "./reference.ts";
import type { RegistryClient } from "./registry/client.ts";
import { mirrorOf } from "./registry/pull-through.ts";

export interface ImageSourceOptions {
  readonly layout: ImageLayout;
  readonly platform?: Platform;
  /**
   * For images of other registries, which manifests may name too (`image: redis:7`): asked when the layout has no
   * such image, and only when the reference's registry is not one of `own`. The result is kept in the layout.
   */
  readonly remote?: RegistryClient;
  /** `host:port` of the embedded registry, under all its names. */
  readonly own?: readonly string[];
  /** Its mirrors: first part of a repository's name → host of the registry that it stands for. */
  readonly mirrors?: Readonly<Record<string, string>>;
}

/** The image that a repository of the layout holds; `undefined` when it holds none by that tag or digest. */
export async function readImage(
  layout: ImageLayout,
  repository: string,
  tagOrDigest: string,
  platform: Platform = hostPlatform(),
): Promise<{ descriptor: Descriptor; manifest: ImageManifest; config: ImageConfigFile } | undefined> {
  const descriptor = await layout.resolve(repository, tagOrDigest);
  return descriptor === undefined ? undefined : readImageAt(layout, descriptor, platform);
}

/** The same for a manifest or index that is already known by its descriptor. `descriptor` stays the given one. */
export async function readImageAt(
  layout: ImageLayout,
  descriptor: Descriptor,
  platform: Platform = hostPlatform(),
): Promise<{ descriptor: Descriptor; manifest: ImageManifest; config: ImageConfigFile }> {
  const manifestDescriptor = isIndexType(descriptor.mediaType)
    ? choosePlatform(await layout.readJson<ImageIndex>(descriptor.digest), platform, descriptor.digest)
    : descriptor;
  const manifest = await layout.readJson<ImageManifest>(manifestDescriptor.digest);
  const config = await layout.readJson<ImageConfigFile>(manifest.config.digest);
  return { descriptor, manifest, config };
}

export function createImageSource(options: ImageSourceOptions): ImageSource {
  const { layout } = options;
  return {
    resolve: async (text) => {
      const reference = parseOrRefuse(text);
      const found = await find(options, reference, text);
      const { manifest, config, descriptor } = found;
      return {
        id: `${reference.registry}/${reference.repository}@${descriptor.digest}`,
        reference: formatReference(reference),
        layers: manifest.layers.map((layer, position) => ({
          digest: layer.digest,
          mediaType: layer.mediaType,
          size: layer.size,
          diffId: config.rootfs.diff_ids[position] ?? layer.digest,
        })),
        config: config.config ?? {},
      };
    },
    openLayer: (image: ResolvedImage, digest: string): Promise<Readable> =>
      layout.openBlob(digest).catch((error: unknown) => {
        throw pullError(`${image.reference}: ${error instanceof Error ? error.message : String(error)}`);
      }),
  };
}

async function find(
  options: ImageSourceOptions,
  reference: ImageReference,
  text: string,
): Promise<{ descriptor: Descriptor; manifest: ImageManifest; config: ImageConfigFile }> {
  const { layout, platform, remote, own = [] } = options;
  const name = reference.digest ?? reference.tag ?? "latest";
  try {
    const image = await readImage(layout, reference.repository, name, platform);
    if (image !== undefined) return image;
    const from = own.includes(reference.registry) ? mirroredFrom(options, reference) : text;
    if (remote !== undefined && from !== undefined) {
      const descriptor = await remote.pull(from, layout, platform === undefined ? {} : { platform });
      await layout.hold(reference.repository, descriptor, reference.tag === undefined ? [] : [reference.tag]);
      return await readImageAt(layout, descriptor, platform);
    }
  } catch (error) {
    if (error instanceof SlipwayError) throw pullError(inContainerdsWords(error, reference));
    throw error;
  }
  throw pullError(notFound(reference));
}

/** As containerd would have said it: by these words people search, and the causes of a failed release are told apart. */
function inContainerdsWords(error: SlipwayError, reference: ImageReference): string {
  if (error.code === "REGISTRY_NOT_FOUND") return notFound(reference);
  if (error.code === "IMAGE_PLATFORM_MISSING") return `no match for platform in manifest: ${error.message}`;
  return /certificate/.test(error.message) ? `tls: ${error.message}` : error.message;
}

const notFound = (reference: ImageReference): string => `${formatReference(reference)}: not found`;

/** Where an image of our own registry that is a mirror comes from: clusters read its storage, which does not fetch. */
function mirroredFrom({ mirrors = {} }: ImageSourceOptions, reference: ImageReference): string | undefined {
  const mirror = mirrorOf(mirrors, reference.repository);
  if (mirror === undefined) return undefined;
  const tag = reference.tag === undefined ? "" : `:${reference.tag}`;
  return `${mirror.source}${tag}${reference.digest === undefined ? "" : `@${reference.digest}`}`;
}

function parseOrRefuse(text: string): ImageReference {
  try {
    return parseReference(text);
  } catch (error) {
    const why = error instanceof SlipwayError ? error.message : String(error);
    throw new ContainerStartError("InvalidImageName", `Failed to apply default image tag "${text}": ${why}`);
  }
}

/** Why alone: 'Failed to pull image "…": ' comes from the kubelet. */
const pullError = (why: string): ContainerStartError => new ContainerStartError("ErrImagePull", why);
