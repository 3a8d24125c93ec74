/**
 * Writes one image layer: a deterministic tar of given entries, stored under its digest. The rules that make equal
 * content equal bytes: entries sorted by the bytes of their path, every parent directory once and before its
 * children, one mtime for all, no names of users, no access times; packed in blocks that depend on the entries alone.
 *
 * The tar is first made without being stored, only hashed (its hash is the diffID): if the layout has that diffID
 * already, there is nothing to compress or write, so an unchanged rebuild costs one read of the input; and not that
 * where the files show that they are what was read before (`unchanged.ts`). A tar that is not big is kept from then on: what
 * changes with a commit is read once.
 */
import { createHash, type Hash } from "node:crypto";
import { type Block, blocksOf } from "./layer-blocks.ts";
import { inOrder, type LayerEntry } from "./layer-entry.ts";
import { keepIndex } from "./layer-index.ts";
import { GZIP_RECIPE, gzipped, type Member, memberOf, rememberMembers } from "./layer-members.ts";
import { smallTarOf, type TarSeen, tarOf } from "./layer-tar.ts";
import type { ImageLayout } from "./layout.ts";
import { type Descriptor, MEDIA } from "./oci.ts";
import { readRecord, writeRecord } from "./record.ts";
import { type PlacedEntry, TAR_END } from "./tar.ts";
import { entriesKey, knownIds, rememberIds } from "./unchanged.ts";

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

/** The biggest tar that is kept in memory between hashing and packing. */
const KEPT_BYTES = 32 * 1024 * 1024;
/** A block up to this is packed in one go; a bigger one is a big file, packed as it is read, and not remembered. */
const WHOLE_BYTES = 8 * 1024 * 1024;
/** Blocks that are packed at once: as many as there are threads for it. */
const PACKERS = 4;

export async function writeLayer(
  layout: ImageLayout,
  entries: readonly LayerEntry[],
  options: LayerOptions,
): Promise<WrittenLayer> {
  const { mtime, compression, hasContentId = false } = options;
  const sorted = inOrder(entries);
  const key = entriesKey(sorted, mtime);
  const before = key === undefined ? undefined : knownIds(layout, key);
  if (before !== undefined && (before.contentId !== undefined || !hasContentId)) {
    const { diffId, contentId } = before;
    const descriptor = await knownLayer(layout, diffId, compression);
    if (descriptor !== undefined)
      return { descriptor, diffId, ...(contentId === undefined ? {} : { contentId }) };
  }
  const blocks = compression === "gzip" ? blocksOf(sorted) : [{ entries: sorted, bytes: Infinity }];
  const index: PlacedEntry[] = [];
  const timeless = hasContentId ? createHash("sha256") : undefined;
  const { hash, kept } = await readBlocks(blocks, mtime, { size: 0, timeless, index });
  const diffId = `sha256:${hash.digest("hex")}`;
  const content = timeless === undefined ? {} : { contentId: `sha256:${timeless.digest("hex")}` };
  if (key !== undefined) await rememberIds(layout, key, { diffId, contentId: content.contentId });
  const known = await knownLayer(layout, diffId, compression);
  if (known !== undefined) return { descriptor: known, diffId, ...content };

  const written = await storeBlocks(layout, blocks, { kept, diffId }, options);
  // What stands on this layer looks into it next; unpacking it for that would cost as much as packing it.
  if (written.diffId === diffId) await keepIndex(layout, written.descriptor.digest, index);
  await writeRecord(layerRecord(layout, written.diffId, compression), written.descriptor);
  return { ...written, ...content };
}

type LayerBlock = Block<LayerEntry>;

/** The archive's hash, and its blocks' bytes where all of them are not too many. */
async function readBlocks(
  blocks: readonly LayerBlock[],
  mtime: number,
  seen: TarSeen,
): Promise<{ readonly hash: Hash; readonly kept: readonly Uint8Array[] | undefined }> {
  const hash = createHash("sha256");
  const isKept = blocks.reduce((sum, { bytes }) => sum + bytes, 0) <= KEPT_BYTES;
  const kept: Uint8Array[] = [];
  for (const block of blocks) {
    if (isKept && isWhole(block)) {
      const bytes = await read(block, mtime, seen);
      hash.update(bytes);
      kept.push(bytes);
      continue;
    }
    for await (const chunk of tarOf(block.entries, mtime, seen)) hash.update(chunk);
    kept.push(NOTHING);
  }
  return { hash: hash.update(TAR_END), kept: isKept ? kept : undefined };
}

const isWhole = ({ bytes }: LayerBlock): boolean => bytes <= WHOLE_BYTES;

const NOTHING = Buffer.alloc(0);

async function read({ entries, bytes }: LayerBlock, mtime: number, seen: TarSeen): Promise<Uint8Array> {
  const small = smallTarOf(entries, bytes, mtime, seen);
  if (small !== undefined) return small;
  const chunks: Uint8Array[] = [];
  for await (const chunk of tarOf(entries, mtime, seen)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/**
 * Packs and stores the layer. What was not kept is read again; a file that changes between the two reads changes the diffID
 * too, and the second read is the one that counts.
 */
async function storeBlocks(
  layout: ImageLayout,
  blocks: readonly LayerBlock[],
  { kept, diffId }: { readonly kept: readonly Uint8Array[] | undefined; readonly diffId: string },
  { mtime, compression }: LayerOptions,
): Promise<WrittenLayer> {
  const hash = kept !== undefined && blocks.every(isWhole) ? undefined : createHash("sha256");
  const writer = await layout.startBlob();
  const packing: Promise<Member>[] = [];
  const parts: Parameters<typeof rememberMembers>[2][number][] = [];
  const writeNext = async (): Promise<void> => {
    const { bytes, news } = await (packing.shift() as Promise<Member>);
    parts.push({ size: bytes.byteLength, news });
    await writer.write(bytes);
  };
  const pack = async (block: Uint8Array): Promise<void> => {
    hash?.update(block);
    const member = memberOf(layout, block);
    member.catch(() => {}); // thrown when it is its turn
    packing.push(member);
    if (packing.length >= PACKERS) await writeNext();
  };
  try {
    for (const [position, block] of blocks.entries()) {
      if (isWhole(block)) {
        await pack(kept?.[position] ?? (await read(block, mtime, { size: 0 })));
        continue;
      }
      while (packing.length > 0) await writeNext();
      const before = writer.size;
      const source = hashed(tarOf(block.entries, mtime, { size: 0 }), hash);
      for await (const chunk of compression === "gzip" ? gzipped(source) : source) await writer.write(chunk);
      parts.push({ size: writer.size - before, news: undefined });
    }
    if (compression === "gzip") await pack(TAR_END);
    else {
      hash?.update(TAR_END);
      await writer.write(TAR_END);
    }
    while (packing.length > 0) await writeNext();
    const blob = await writer.commit();
    await rememberMembers(layout, blob.digest, parts);
    const mediaType = compression === "gzip" ? MEDIA.layerGzip : MEDIA.layer;
    return {
      descriptor: { mediaType, ...blob },
      diffId: hash === undefined ? diffId : `sha256:${hash.digest("hex")}`,
    };
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

async function* hashed(
  source: AsyncIterable<Uint8Array>,
  hash: Hash | undefined,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    hash?.update(chunk);
    yield chunk;
  }
}

const layerRecord = (layout: ImageLayout, diffId: string, compression: LayerOptions["compression"]): string =>
  layout.cachePath(
    "layers",
    `${diffId.replace(":", "-")}.${compression === "gzip" ? GZIP_RECIPE : compression}.json`,
  );

async function knownLayer(
  layout: ImageLayout,
  diffId: string,
  compression: LayerOptions["compression"],
): Promise<Descriptor | undefined> {
  const descriptor = readRecord<Descriptor>(layerRecord(layout, diffId, compression));
  if (descriptor === undefined) return undefined;
  if ((await layout.size(descriptor.digest)) !== descriptor.size) return undefined;
  await layout.touch(descriptor.digest);
  return descriptor;
}
