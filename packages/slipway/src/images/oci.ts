/**
 * The OCI image documents as data: descriptors, manifests, indexes, configs, and the media types that name them.
 * Docker's schema 2 documents have the same shape under other names, so both are read by the same types.
 * Source: the OCI image specification 1.1 (descriptor, manifest, image-index, config).
 */
import { createHash } from "node:crypto";
import { SlipwayError } from "@slipway/base";
import type { ImageConfig } from "@slipway/cluster";

export const MEDIA = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  index: "application/vnd.oci.image.index.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
  layerGzip: "application/vnd.oci.image.layer.v1.tar+gzip",
  layerZstd: "application/vnd.oci.image.layer.v1.tar+zstd",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerConfig: "application/vnd.docker.container.image.v1+json",
  dockerLayerGzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
  dockerLayer: "application/vnd.docker.image.rootfs.diff.tar",
} as const;

export const MANIFEST_TYPES: readonly string[] = [
  MEDIA.manifest,
  MEDIA.index,
  MEDIA.dockerManifest,
  MEDIA.dockerList,
];

export const isIndexType = (mediaType: string): boolean =>
  mediaType === MEDIA.index || mediaType === MEDIA.dockerList;

export interface Platform {
  /** `linux` */
  readonly os: string;
  /** Go's names: `amd64`, `arm64`, … */
  readonly architecture: string;
  readonly variant?: string;
}

export interface Descriptor {
  readonly mediaType: string;
  /** `sha256:<64 hex>` */
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: Platform;
  readonly artifactType?: string;
}

export interface ImageManifest {
  readonly schemaVersion: 2;
  readonly mediaType?: string;
  readonly artifactType?: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface ImageIndex {
  readonly schemaVersion: 2;
  readonly mediaType?: string;
  readonly artifactType?: string;
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** The image configuration file. `config` holds what a container starts with. */
export interface ImageConfigFile {
  readonly created?: string;
  readonly author?: string;
  readonly architecture: string;
  readonly os: string;
  readonly variant?: string;
  readonly config: ImageConfig & { readonly Healthcheck?: Healthcheck; readonly Shell?: readonly string[] };
  readonly rootfs: { readonly type: "layers"; readonly diff_ids: readonly string[] };
  readonly history?: readonly HistoryEntry[];
}

export interface HistoryEntry {
  readonly created?: string;
  readonly created_by?: string;
  readonly comment?: string;
  readonly empty_layer?: boolean;
}

/** Docker's extension of the configuration; durations are nanoseconds. Kubernetes ignores it. */
export interface Healthcheck {
  readonly Test: readonly string[];
  readonly Interval?: number;
  readonly Timeout?: number;
  readonly StartPeriod?: number;
  readonly StartInterval?: number;
  readonly Retries?: number;
}

export type DigestAlgorithm = "sha256" | "sha512";

/** The parts of a digest, or undefined when the text is none. Nothing else may become part of a path. */
export function parseDigest(digest: string): { algorithm: DigestAlgorithm; hex: string } | undefined {
  const match = /^(?:(sha256):([0-9a-f]{64})|(sha512):([0-9a-f]{128}))$/.exec(digest);
  if (match === null) return undefined;
  return {
    algorithm: (match[1] ?? match[3]) as DigestAlgorithm,
    hex: (match[2] ?? match[4]) as string,
  };
}

export function digestOf(data: string | Uint8Array, algorithm: DigestAlgorithm = "sha256"): string {
  return `${algorithm}:${createHash(algorithm).update(data).digest("hex")}`;
}

/** The bytes of a document that Slipway writes: keys in the order given, no spaces, so the digest is stable. */
export function encodeDocument(document: unknown): Buffer {
  return Buffer.from(JSON.stringify(document));
}

/** This machine's platform in OCI's words. */
export function hostPlatform(): Platform {
  const names: Record<string, string> = { x64: "amd64", ia32: "386", arm: "arm" };
  return { os: "linux", architecture: names[process.arch] ?? process.arch };
}

export const showPlatform = ({ os, architecture, variant }: Platform): string =>
  [os, architecture, variant].filter((part) => part !== undefined).join("/");

/** `linux/arm64/v8` → a platform. */
export function parsePlatform(text: string, where: string): Platform {
  const [os, architecture, variant] = text.split("/");
  if (os === undefined || os === "" || architecture === undefined || architecture === "") {
    throw new SlipwayError({
      code: "IMAGE_PLATFORM_INVALID",
      where,
      message: `"${text}" is not a platform`,
      hint: "Write os/architecture, like linux/amd64 or linux/arm64.",
      exitCode: 2,
    });
  }
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

/** The entry of a multi-platform index that runs on `platform`; an error lists what there is instead. */
export function choosePlatform(index: ImageIndex, platform: Platform, where: string): Descriptor {
  const images = index.manifests.filter((entry) => entry.platform?.os !== "unknown"); // attestations say "unknown"
  const fits = images.filter(
    (entry) =>
      entry.platform?.os === platform.os &&
      entry.platform.architecture === platform.architecture &&
      (platform.variant === undefined || entry.platform.variant === platform.variant),
  );
  const chosen =
    fits[0] ?? (images.length === 1 && images[0]?.platform === undefined ? images[0] : undefined);
  if (chosen !== undefined) return chosen;
  const offered = images.map((entry) =>
    entry.platform === undefined ? "unnamed" : `${entry.platform.os}/${entry.platform.architecture}`,
  );
  throw new SlipwayError({
    code: "IMAGE_PLATFORM_MISSING",
    where,
    message: `no image for ${platform.os}/${platform.architecture}; it offers ${offered.join(", ") || "none"}`,
    hint: "Choose an image or tag that was built for this platform.",
    exitCode: 3,
  });
}
