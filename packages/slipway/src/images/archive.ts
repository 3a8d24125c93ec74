/**
 * Takes an image out of an archive into the layout: an OCI layout (folder or tar) or what `docker save` writes, also
 * gzipped. Contents keep their digests: configuration and layers are stored byte for byte.
 */
import { createReadStream, createWriteStream } from "node:fs";
import { type FileHandle, mkdtemp, open, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { SlipwayError, systemCode } from "@slipway/base";
import { REF_NAME } from "./index-entries.ts";
import type { ImageLayout } from "./layout.ts";
import {
  choosePlatform,
  type Descriptor,
  encodeDocument,
  hostPlatform,
  type ImageConfigFile,
  type ImageIndex,
  type ImageManifest,
  isIndexType,
  MEDIA,
  type Platform,
} from "./oci.ts";
import { normalPath, type PlacedEntry, type ReadAt, readerOf, readTar } from "./tar.ts";

/** Named parts of an archive, wherever they lie. */
interface Parts {
  readonly where: string;
  read(name: string): Promise<Buffer | undefined>;
  stream(name: string): Promise<Readable | undefined>;
  close(): Promise<void>;
}

/** What `docker save` says of each image. */
interface SavedImage {
  readonly Config: string;
  readonly RepoTags: readonly string[] | null;
  readonly Layers: readonly string[];
}

/**
 * Returns the descriptor of the manifest, now in the layout. Rejects with IMAGE_ARCHIVE_MISSING, IMAGE_ARCHIVE_DAMAGED,
 * IMAGE_ARCHIVE_EMPTY, IMAGE_ARCHIVE_AMBIGUOUS (several images), IMAGE_DIGEST_MISMATCH, IMAGE_PLATFORM_MISSING.
 */
export async function importArchive(
  path: string,
  layout: ImageLayout,
  platform: Platform = hostPlatform(),
): Promise<Descriptor> {
  const parts = await openParts(path);
  try {
    const index = await parts.read("index.json");
    const saved = await parts.read("manifest.json");
    const descriptor =
      index !== undefined
        ? await importLayout(parts, parseJson(index, parts.where, isIndex), layout, platform)
        : saved !== undefined
          ? await importSaved(parts, parseJson(saved, parts.where, isSaved), layout)
          : undefined;
    if (descriptor === undefined) {
      throw problem(
        "IMAGE_ARCHIVE_DAMAGED",
        path,
        "holds neither index.json (OCI layout) nor manifest.json (docker save)",
      );
    }
    await requirePlatform(descriptor, layout, platform, path);
    return descriptor;
  } finally {
    await parts.close();
  }
}

// OCI layout

async function importLayout(
  parts: Parts,
  index: ImageIndex,
  layout: ImageLayout,
  platform: Platform,
): Promise<Descriptor> {
  const images: Descriptor[] = [];
  for (const entry of index.manifests) if (!(await isAboutAnother(parts, entry))) images.push(entry);
  const digests = new Set(images.map((entry) => entry.digest));
  if (digests.size === 0) throw problem("IMAGE_ARCHIVE_EMPTY", parts.where, "holds no image");
  const isOneImage = digests.size === 1 || images.every((entry) => entry.platform !== undefined);
  if (!isOneImage)
    throw ambiguous(
      parts.where,
      images.map((entry) => entry.annotations?.[REF_NAME] || entry.digest),
    );
  let descriptor =
    digests.size === 1
      ? (images[0] as Descriptor)
      : choosePlatform({ ...index, manifests: images }, platform, parts.where);
  while (isIndexType(descriptor.mediaType)) {
    const inner = parseJson(await blobOf(parts, descriptor), parts.where, isIndex);
    descriptor = choosePlatform(inner, platform, parts.where);
  }
  const body = await blobOf(parts, descriptor);
  const manifest = parseJson(body, parts.where, isManifest);
  for (const blob of [manifest.config, ...manifest.layers]) {
    if ((await layout.size(blob.digest)) === blob.size) continue;
    const stream = await parts.stream(blobName(blob.digest));
    if (stream === undefined)
      throw problem("IMAGE_ARCHIVE_DAMAGED", parts.where, `lacks the blob ${blob.digest}`);
    await ofArchive(parts, layout.putStream(stream, blob.digest));
  }
  await ofArchive(parts, layout.put(body, descriptor.digest));
  return { mediaType: descriptor.mediaType, digest: descriptor.digest, size: body.byteLength };
}

/** Content that is not what its digest says was so in the archive: nothing of the layout is wrong. */
async function ofArchive<T>(parts: Parts, stored: Promise<T>): Promise<T> {
  try {
    return await stored;
  } catch (error) {
    if (!(error instanceof SlipwayError) || error.code !== "IMAGE_DIGEST_MISMATCH") throw error;
    throw mismatch(parts.where, error.message);
  }
}

/** A bill of materials, a signature: an artifact that has an image as its subject. */
async function isAboutAnother(parts: Parts, entry: Descriptor): Promise<boolean> {
  if (entry.mediaType !== MEDIA.manifest) return false;
  const body = await parts.read(blobName(entry.digest));
  if (body === undefined) return false; // the clear error comes when it is needed
  return parseJson(body, parts.where, isManifest).subject !== undefined;
}

async function blobOf(parts: Parts, descriptor: Descriptor): Promise<Buffer> {
  const body = await parts.read(blobName(descriptor.digest));
  if (body === undefined)
    throw problem("IMAGE_ARCHIVE_DAMAGED", parts.where, `lacks the blob ${descriptor.digest}`);
  return body;
}

const blobName = (digest: string): string => `blobs/${digest.replace(":", "/")}`;

// docker save

async function importSaved(
  parts: Parts,
  images: readonly SavedImage[],
  layout: ImageLayout,
): Promise<Descriptor> {
  const configs = new Set(images.map((image) => image.Config));
  const image = images[0];
  if (image === undefined) throw problem("IMAGE_ARCHIVE_EMPTY", parts.where, "holds no image");
  if (configs.size > 1)
    throw ambiguous(
      parts.where,
      images.map((one) => one.RepoTags?.[0] ?? one.Config),
    );
  const configBody = await parts.read(image.Config);
  if (configBody === undefined) throw problem("IMAGE_ARCHIVE_DAMAGED", parts.where, `lacks ${image.Config}`);
  const config = parseJson(configBody, parts.where, isConfig);
  const layers: Descriptor[] = [];
  for (const [position, name] of image.Layers.entries()) {
    const stream = await parts.stream(name);
    if (stream === undefined) throw problem("IMAGE_ARCHIVE_DAMAGED", parts.where, `lacks the layer ${name}`);
    const blob = await layout.putStream(stream);
    const mediaType = await layerType(layout, blob.digest);
    const diffId = config.rootfs?.diff_ids?.[position];
    // A packed one is checked when it is unpacked.
    if (mediaType === MEDIA.layer && diffId !== undefined && diffId !== blob.digest)
      throw mismatch(parts.where, `the content of ${name} is ${blob.digest}, not ${diffId}`);
    layers.push({ mediaType, ...blob });
  }
  const manifest: ImageManifest = {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: { mediaType: MEDIA.config, ...(await layout.put(configBody)) },
    layers,
  };
  return { mediaType: MEDIA.manifest, ...(await layout.put(encodeDocument(manifest))) };
}

/** docker save does not say how a layer is packed; its first bytes do. */
async function layerType(layout: ImageLayout, digest: string): Promise<string> {
  const file = await open(layout.blobPath(digest), "r");
  try {
    const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0);
    if (buffer.readUInt16BE(0) === 0x1f8b) return MEDIA.layerGzip;
    return buffer.readUInt32LE(0) === 0xfd2fb528 ? MEDIA.layerZstd : MEDIA.layer;
  } finally {
    await file.close();
  }
}

// Where the parts lie

async function openParts(path: string): Promise<Parts> {
  let isFolder: boolean;
  try {
    isFolder = (await stat(path)).isDirectory();
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    throw problem("IMAGE_ARCHIVE_MISSING", path, "there is no such archive");
  }
  return isFolder ? folderParts(path) : tarParts(path);
}

async function folderParts(path: string): Promise<Parts> {
  const orMissing = (error: unknown): undefined => {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  };
  return {
    where: path,
    read: (name) => readFile(join(path, normalPath(name))).catch(orMissing),
    stream: async (name) => {
      const file = join(path, normalPath(name));
      const isThere = await stat(file).then(() => true, orMissing);
      return isThere === undefined ? undefined : createReadStream(file);
    },
    close: () => Promise.resolve(),
  };
}

async function tarParts(path: string): Promise<Parts> {
  const { file, temporary } = await openTar(path);
  const remove = async (): Promise<void> => {
    await file.close();
    if (temporary !== undefined) await rm(temporary, { recursive: true, force: true });
  };
  const entries = new Map<string, PlacedEntry>();
  try {
    for await (const entry of readTar(readerOf(file), path)) entries.set(entry.path, entry);
  } catch (error) {
    await remove();
    throw error;
  }
  const find = (name: string, hops = 0): PlacedEntry | undefined => {
    const entry = entries.get(normalPath(name));
    if (entry === undefined || entry.kind === "file" || hops > 5) return entry;
    // Old docker save writes a layer once and links to it from the images that share it.
    const target = entry.kind === "symlink" ? join(dirname(entry.path), entry.link) : entry.link;
    return entry.kind === "symlink" || entry.kind === "link" ? find(target, hops + 1) : entry;
  };
  const readAt = readerOf(file);
  return {
    where: path,
    read: async (name) => {
      const entry = find(name);
      return entry === undefined ? undefined : readAt(entry.offset, entry.size);
    },
    stream: async (name) => {
      const entry = find(name);
      return entry === undefined ? undefined : Readable.from(chunks(readAt, entry));
    },
    close: remove,
  };
}

async function* chunks(readAt: ReadAt, entry: PlacedEntry): AsyncGenerator<Buffer> {
  const CHUNK = 1024 * 1024;
  for (let at = 0; at < entry.size; at += CHUNK) {
    yield await readAt(entry.offset + at, Math.min(CHUNK, entry.size - at));
  }
}

/** A gzipped archive is unpacked beside the others in the temporary folder, since parts are read in any order. */
async function openTar(path: string): Promise<{ file: FileHandle; temporary: string | undefined }> {
  const file = await open(path, "r");
  const { buffer } = await file.read(Buffer.alloc(2), 0, 2, 0);
  if (buffer.readUInt16BE(0) !== 0x1f8b) return { file, temporary: undefined };
  await file.close();
  const temporary = await mkdtemp(join(tmpdir(), "slipway-archive-"));
  const unpacked = join(temporary, "archive.tar");
  try {
    await pipeline(createReadStream(path), createGunzip(), createWriteStream(unpacked));
    return { file: await open(unpacked, "r"), temporary };
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    // The disk may be full; everything that zlib says is about the archive.
    if (systemCode(error)?.startsWith("Z_") !== true) throw error;
    throw problem("IMAGE_ARCHIVE_DAMAGED", path, `cannot be unpacked: ${(error as Error).message}`);
  }
}

// Checks and errors

async function requirePlatform(
  descriptor: Descriptor,
  layout: ImageLayout,
  platform: Platform,
  where: string,
): Promise<void> {
  const manifest = await layout.readJson<ImageManifest>(descriptor.digest);
  const config = parseJson(await layout.read(manifest.config.digest), where, isConfig);
  if (config.os === platform.os && config.architecture === platform.architecture) return;
  throw problem(
    "IMAGE_PLATFORM_MISSING",
    where,
    `the image is for ${config.os}/${config.architecture}, not ${platform.os}/${platform.architecture}`,
    "Build it for this platform (docker build --platform).",
  );
}

function parseJson<T>(body: Buffer, where: string, fits: (value: unknown) => value is T): T {
  let value: unknown;
  try {
    value = JSON.parse(body.toString("utf8"));
  } catch {
    throw problem("IMAGE_ARCHIVE_DAMAGED", where, "a document in it is not JSON");
  }
  if (fits(value)) return value;
  throw problem("IMAGE_ARCHIVE_DAMAGED", where, "a document in it is not what its name says");
}

const isIndex = (value: unknown): value is ImageIndex =>
  Array.isArray((value as Partial<ImageIndex> | null)?.manifests);

const isSaved = (value: unknown): value is readonly SavedImage[] =>
  Array.isArray(value) &&
  value.every(
    (one: Partial<SavedImage> | null) => typeof one?.Config === "string" && Array.isArray(one.Layers),
  );

const isConfig = (value: unknown): value is ImageConfigFile => typeof value === "object" && value !== null;

const isManifest = (value: unknown): value is ImageManifest => {
  const { config, layers } = (value ?? {}) as Partial<ImageManifest>;
  return typeof config?.digest === "string" && Array.isArray(layers);
};

const mismatch = (where: string, message: string): SlipwayError =>
  problem(
    "IMAGE_DIGEST_MISMATCH",
    where,
    message,
    "The archive is damaged. Save it again, or fetch it again.",
  );

function ambiguous(where: string, names: readonly string[]): SlipwayError {
  return problem(
    "IMAGE_ARCHIVE_AMBIGUOUS",
    where,
    `holds several images: ${names.join(", ")}`,
    "Save one image per archive.",
  );
}

function problem(code: string, where: string, message: string, hint?: string): SlipwayError {
  return new SlipwayError({
    code,
    where,
    message,
    hint:
      hint ??
      "Make it with docker save -o FILE IMAGE, skopeo copy … oci:FOLDER, or buildah push … oci-archive:FILE.",
    exitCode: code === "IMAGE_PLATFORM_MISSING" || code === "IMAGE_ARCHIVE_MISSING" ? 3 : 1,
  });
}
