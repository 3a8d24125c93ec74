/**
 * Blocks of a layer packed as gzip members: a gzip file may be several, one after the other (RFC 1952, 2.2), and every engine
 * reads such layers, as eStargz makes them. The same bytes give the same member, so a member is taken from the layer
 * that it was packed for; where it lies there is remembered by the block's digest, with its own, which is checked when it is taken.
 */
import { hash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import { createGzip, gzip } from "node:zlib";
import type { ImageLayout } from "./layout.ts";
import { readRecord, writeRecord } from "./record.ts";

/** Pinned: another level is another digest. */
const GZIP = { level: 6, memLevel: 8, chunkSize: 256 * 1024 };

/** What a packed layer depends on beside its tar: these options, where blocks end, and the program that packs. */
export const GZIP_RECIPE = `gzip-2-${process.versions["zlib"]}`;

/** Byte 9 of a gzip header names the operating system; 255 means "unknown", so every system writes the same. */
const SYSTEM_AT = 9;

export interface Member {
  readonly bytes: Buffer;
  /** What is to be remembered of it; undefined when it is remembered already. */
  readonly news: MemberNews | undefined;
}

interface MemberNews {
  /** sha256 of the block, in hex. */
  readonly key: string;
  /** sha256 of the member, in hex. */
  readonly sum: string;
}

/** Where a member lies. */
interface Place {
  readonly blob: string;
  readonly offset: number;
  readonly size: number;
  readonly sum: string;
}

export async function memberOf(layout: ImageLayout, block: Uint8Array): Promise<Member> {
  const key = hash("sha256", block);
  const known = knownMember(layout, key);
  if (known !== undefined) return { bytes: known, news: undefined };
  const bytes = await promisify(gzip)(block, GZIP);
  bytes[SYSTEM_AT] = 255;
  return { bytes, news: { key, sum: hash("sha256", bytes) } };
}

/** Of what is too big to be held as a whole. */
export async function* gzipped(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let isFirst = true;
  for await (const chunk of Readable.from(source, { objectMode: false }).compose(createGzip(GZIP))) {
    // A header has 10 bytes, and comes in one piece.
    if (isFirst) (chunk as Buffer)[SYSTEM_AT] = 255;
    isFirst = false;
    yield chunk as Buffer;
  }
}

function knownMember(layout: ImageLayout, key: string): Buffer | undefined {
  const place = readRecord<Place>(recordOf(layout, key));
  if (place === undefined) return undefined;
  const bytes = Buffer.allocUnsafe(place.size);
  try {
    const file = openSync(layout.blobPath(place.blob), "r");
    try {
      readSync(file, bytes, 0, place.size, place.offset);
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined; // the layer is gone: the block is packed again
  }
  return hash("sha256", bytes) === place.sum ? bytes : undefined;
}

/** At once: files that are open while they are written. */
const WRITES = 64;

/** `parts`: all of a stored layer, in their order. */
export async function rememberMembers(
  layout: ImageLayout,
  blob: string,
  parts: readonly { readonly size: number; readonly news: MemberNews | undefined }[],
): Promise<void> {
  let offset = 0;
  let writes: Promise<void>[] = [];
  for (const { size, news } of parts) {
    if (news !== undefined) {
      const place: Place = { blob, offset, size, sum: news.sum };
      writes.push(writeRecord(recordOf(layout, news.key), place));
    }
    offset += size;
    if (writes.length < WRITES) continue;
    await Promise.all(writes);
    writes = [];
  }
  await Promise.all(writes);
}

const recordOf = (layout: ImageLayout, key: string): string =>
  layout.cachePath("members", `${key}.${GZIP_RECIPE}.json`);
