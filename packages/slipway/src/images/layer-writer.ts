/**
 * Writes one image layer: a deterministic tar of given entries, stored under its digest. The rules that make equal
 * content equal bytes: entries sorted by the bytes of their path, every parent directory once and before its
 * children, one mtime for all, no names of users, no access times.
 *
 * The tar is first made without being stored, only hashed (its hash is the diffID): if the layout has that diffID
 * already, there is nothing to compress or write, so an unchanged rebuild costs one read of the input; and not that
 * where the files show that they are what was read before (`unchanged.ts`). A small tar is kept from then on: what changes
 * with a commit is read, packed and indexed once, in one piece.
 */
import { createHash, type Hash } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { Readable, Transform } from "node:stream";
import { promisify } from "node:util";
import { createGzip, gzip as gzipWhole } from "node:zlib";
import { readCache, SlipwayError, writeCache } from "@slipway/base";
import { keepIndex } from "./layer-index.ts";
import type { ImageLayout, StoredBlob } from "./layout.ts";
import { type Descriptor, MEDIA } from "./oci.ts";
import { type PlacedEntry, padding, readTar, TAR_END, type TarEntry, tarHeader } from "./tar.ts";
import { entriesKey, knownIds, rememberIds } from "./unchanged.ts";

/** Where a file's bytes come from. */
export type LayerContent =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  /** `stamp`: the same as long as the content is (`stampOf`); without it the file is read each time. */
  | { readonly kind: "path"; readonly path: string; readonly stamp?: string | undefined }
  | { readonly kind: "open"; readonly open: () => Promise<Readable> };

export interface LayerEntry extends Omit<TarEntry, "mtime"> {
  /** Undefined for everything that is not a file. */
  readonly content: LayerContent | undefined;
}

export interface WrittenLayer {
  readonly descriptor: Descriptor;
  readonly diffId: string;
  /** As the diffID would be if all times were 0; only with `hasContentId`. */
  readonly contentId?: string;
}

export interface LayerOptions {
  /** Seconds since the epoch, for every entry. */
  readonly mtime: number;
  /** Uncompressed layers are for big content that stays on this machine: nothing to pack, nothing to unpack. */
  readonly compression: "gzip" | "none";
  readonly hasContentId?: boolean;
}

const SMALL_BYTES = 256 * 1024;

/** Headers and small files one by one would cost more on their way through streams and threads than as bytes. */
const BLOCK_BYTES = 256 * 1024;
/** The biggest tar that is kept in memory between hashing and packing. */
const KEPT_BYTES = 16 * 1024 * 1024;

/** Pinned: another level is another digest. */
const GZIP = { level: 6, memLevel: 8, chunkSize: BLOCK_BYTES };

export async function writeLayer(
  layout: ImageLayout,
  entries: readonly LayerEntry[],
  options: LayerOptions,
): Promise<WrittenLayer> {
  const sorted = inOrder(entries);
  const key = entriesKey(sorted, options.mtime);
  const before = key === undefined ? undefined : await knownIds(layout, key);
  if (before !== undefined && (before.contentId !== undefined || options.hasContentId !== true)) {
    const { diffId, contentId } = before;
    const descriptor = await knownLayer(layout, diffId, options.compression);
    if (descriptor !== undefined)
      return { descriptor, diffId, ...(contentId === undefined ? {} : { contentId }) };
  }
  const hash = createHash("sha256");
  const timeless = options.hasContentId === true ? createHash("sha256") : undefined;
  const blocks: Uint8Array[] = [];
  let size = 0;
  for await (const block of inBlocks(tarStream(sorted, options.mtime, timeless))) {
    hash.update(block);
    size += block.byteLength;
    if (size <= KEPT_BYTES) blocks.push(block);
  }
  const diffId = `sha256:${hash.digest("hex")}`;
  const content = timeless === undefined ? {} : { contentId: `sha256:${timeless.digest("hex")}` };
  if (key !== undefined) await rememberIds(layout, key, { diffId, contentId: content.contentId });
  const known = await knownLayer(layout, diffId, options.compression);
  if (known !== undefined) return { descriptor: known, diffId, ...content };

  const written =
    size <= KEPT_BYTES
      ? await storeWhole(layout, Buffer.concat(blocks), diffId, options.compression)
      : await storeStream(layout, sorted, options);
  await remember(layout, written, options.compression);
  return { ...written, ...content };
}

async function storeWhole(
  layout: ImageLayout,
  tar: Buffer,
  diffId: string,
  compression: LayerOptions["compression"],
): Promise<WrittenLayer> {
  const packed = compression === "gzip" ? await gzipOf(tar) : tar;
  const descriptor = descriptorOf(await layout.put(packed), compression);
  // What stands on this layer looks into it next; unpacking it for that would cost as much as packing it.
  const index: PlacedEntry[] = [];
  const readAt = async (offset: number, length: number) => tar.subarray(offset, offset + length);
  for await (const entry of readTar(readAt, diffId)) index.push(entry);
  await keepIndex(layout, descriptor.digest, index);
  return { descriptor, diffId };
}

async function storeStream(
  layout: ImageLayout,
  entries: readonly LayerEntry[],
  { mtime, compression }: LayerOptions,
): Promise<WrittenLayer> {
  // A file that changes between the two reads changes the diffID too: the second read is the one that counts.
  const stored = createHash("sha256");
  const source = Readable.from(hashed(inBlocks(tarStream(entries, mtime)), stored), { objectMode: false });
  const body = compression === "gzip" ? source.compose(gzip()) : source;
  const descriptor = descriptorOf(await layout.putStream(body as Readable), compression);
  return { descriptor, diffId: `sha256:${stored.digest("hex")}` };
}

const descriptorOf = (blob: StoredBlob, compression: LayerOptions["compression"]): Descriptor => ({
  mediaType: compression === "gzip" ? MEDIA.layerGzip : MEDIA.layer,
  ...blob,
});

/**
 * Sorts by bytes, refuses two entries for one path, and adds the directories that were not named, as root's 0755.
 */
export function inOrder(entries: readonly LayerEntry[]): readonly LayerEntry[] {
  const byPath = new Map<string, LayerEntry>();
  for (const entry of entries) byPath.set(entry.path, entry);
  for (const { path } of entries) {
    for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1)) {
      const parent = path.slice(0, slash);
      if (!byPath.has(parent)) byPath.set(parent, directoryEntry(parent));
    }
  }
  // A hard link must come after its target, so links go last; otherwise byte order, where "a/b" follows "a".
  const rank = (entry: LayerEntry): number => (entry.kind === "link" ? 1 : 0);
  const all = [...byPath.values()];
  return all.sort((a, b) => rank(a) - rank(b) || compareBytes(a.path, b.path));
}

/** By UTF-8, as every other builder sorts: UTF-16, JavaScript's own order, differs only beyond U+FFFF. */
function compareBytes(a: string, b: string): number {
  if (SURROGATE.test(a) || SURROGATE.test(b)) return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a < b ? -1 : a > b ? 1 : 0;
}
const SURROGATE = /[\ud800-\udfff]/;

export function directoryEntry(
  path: string,
  facts: Partial<Pick<LayerEntry, "mode" | "uid" | "gid">> = {},
): LayerEntry {
  return {
    path,
    kind: "directory",
    mode: facts.mode ?? 0o755,
    uid: facts.uid ?? 0,
    gid: facts.gid ?? 0,
    size: 0,
    link: "",
    content: undefined,
  };
}

export function symlinkEntry(path: string, target: string): LayerEntry {
  return { path, kind: "symlink", mode: 0o777, uid: 0, gid: 0, size: 0, link: target, content: undefined };
}

export function bytesEntry(
  path: string,
  content: string | Uint8Array,
  facts: Partial<Pick<LayerEntry, "mode" | "uid" | "gid">> = {},
): LayerEntry {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  return {
    path,
    kind: "file",
    mode: facts.mode ?? 0o644,
    uid: facts.uid ?? 0,
    gid: facts.gid ?? 0,
    size: bytes.byteLength,
    link: "",
    content: { kind: "bytes", bytes },
  };
}

async function* tarStream(
  entries: readonly LayerEntry[],
  mtime: number,
  timeless?: Hash,
): AsyncGenerator<Uint8Array> {
  for (const entry of entries) {
    timeless?.update(tarHeader({ ...entry, mtime: 0 }));
    yield tarHeader({ ...entry, mtime });
    if (entry.kind !== "file") continue;
    let seen = 0;
    for await (const chunk of contentOf(entry)) {
      seen += chunk.byteLength;
      timeless?.update(chunk);
      yield chunk;
    }
    // The header is out already; a tar with a wrong size would be damaged for every reader.
    if (seen !== entry.size) throw changedWhileRead(entry);
    yield Buffer.alloc(padding(entry.size));
  }
  yield TAR_END;
}

async function* inBlocks(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of source) {
    parts.push(part);
    size += part.byteLength;
    if (size < BLOCK_BYTES) continue;
    yield parts.length === 1 ? part : Buffer.concat(parts, size);
    [parts, size] = [[], 0];
  }
  if (size > 0) yield Buffer.concat(parts, size);
}

async function* contentOf(entry: LayerEntry): AsyncGenerator<Uint8Array> {
  const content = entry.content;
  if (content === undefined) return;
  if (content.kind === "bytes") {
    yield content.bytes;
    return;
  }
  if (content.kind === "path" && entry.size <= SMALL_BYTES) {
    // Thousands of small files: a stream each, with its buffer, would cost more than all their bytes.
    yield readFileSync(content.path);
    return;
  }
  const stream =
    content.kind === "path"
      ? createReadStream(content.path, { highWaterMark: 1024 * 1024 })
      : await content.open();
  for await (const chunk of stream) yield chunk as Uint8Array;
}

async function* hashed(
  source: AsyncIterable<Uint8Array>,
  hash: ReturnType<typeof createHash>,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
}

/** Byte 9 of a gzip header names the operating system; 255 means "unknown", so every system writes the same. */
const SYSTEM_AT = 9;

async function gzipOf(tar: Buffer): Promise<Buffer> {
  const packed = await promisify(gzipWhole)(tar, GZIP);
  packed[SYSTEM_AT] = 255;
  return packed;
}

function gzip(): Transform {
  const packer = createGzip(GZIP);
  let position = 0;
  const patch = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      if (position <= SYSTEM_AT && position + chunk.length > SYSTEM_AT) chunk[SYSTEM_AT - position] = 255;
      position += chunk.length;
      done(null, chunk);
    },
  });
  return packer.compose(patch) as unknown as Transform;
}

const layerRecord = (layout: ImageLayout, diffId: string, compression: string): string =>
  layout.cachePath("layers", `${diffId.replace(":", "-")}.${compression}.json`);

async function knownLayer(
  layout: ImageLayout,
  diffId: string,
  compression: string,
): Promise<Descriptor | undefined> {
  const descriptor = await readCache<Descriptor>(layerRecord(layout, diffId, compression));
  if (descriptor === undefined) return undefined;
  if ((await layout.size(descriptor.digest)) !== descriptor.size) return undefined;
  await layout.touch(descriptor.digest);
  return descriptor;
}

async function remember(layout: ImageLayout, layer: WrittenLayer, compression: string): Promise<void> {
  await writeCache(layerRecord(layout, layer.diffId, compression), layer.descriptor);
}

function changedWhileRead(entry: LayerEntry): SlipwayError {
  return new SlipwayError({
    code: "IMAGE_INPUT_CHANGED",
    where: entry.content?.kind === "path" ? entry.content.path : entry.path,
    message: "the file changed its size while the image was built",
    hint: "Stop what writes to it, or leave it out with .dockerignore, and build again.",
    exitCode: 1,
  });
}
