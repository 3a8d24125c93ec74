/** The tar of a layer's entries: the same entries and time give the same bytes. */
import type { Hash } from "node:crypto";
import { closeSync, createReadStream, openSync, readSync } from "node:fs";
import { SlipwayError, systemCode } from "@slipway/base";
import type { LayerEntry } from "./layer-entry.ts";
import { type PlacedEntry, padding, tarHeader } from "./tar.ts";

/** Headers and small files one by one would cost more on their way through streams and threads than as bytes. */
const CHUNK_BYTES = 256 * 1024;
const SMALL_BYTES = 256 * 1024;
const HEADER_BYTES = 512;
const ZEROS = Buffer.alloc(512);

/** What is noticed of an archive while its parts are made, one after the other. */
export interface TarSeen {
  /** Bytes so far. */
  size: number;
  /** Gets the archive with all times 0, and without what only fills its blocks. */
  readonly timeless?: Hash | undefined;
  /** The entries with their places, as a reader of the archive would find them. */
  readonly index?: PlacedEntry[] | undefined;
}

/**
 * The entries' part of the archive, without its end. Rejects with IMAGE_INPUT_CHANGED when a file is gone, or has not the size that
 * its entry says: the header is out already, and the archive would be damaged for every reader.
 */
export async function* tarOf(
  entries: readonly LayerEntry[],
  mtime: number,
  seen: TarSeen,
): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let size = 0;
  const add = (part: Uint8Array): void => {
    parts.push(part);
    size += part.byteLength;
    seen.size += part.byteLength;
  };
  const taken = (): Uint8Array => {
    const chunk = parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts, size);
    [parts, size] = [[], 0];
    return chunk;
  };
  for (const entry of entries) {
    seen.timeless?.update(tarHeader({ ...entry, mtime: 0 }));
    add(tarHeader({ ...entry, mtime }));
    seen.index?.push(placed(entry, mtime, seen.size));
    if (entry.kind === "file") {
      if (isSmall(entry)) {
        const content = wholeContent(entry);
        seen.timeless?.update(content);
        add(content);
      } else {
        let read = 0;
        for await (const chunk of contentOf(entry)) {
          read += chunk.byteLength;
          seen.timeless?.update(chunk);
          add(chunk);
          if (size >= CHUNK_BYTES) yield taken();
        }
        if (read !== entry.size) throw changedWhileRead(entry);
      }
      add(ZEROS.subarray(0, padding(entry.size)));
    }
    if (size >= CHUNK_BYTES) yield taken();
  }
  if (size > 0) yield taken();
}

/**
 * The same of files that are small, at once and in one piece: their bytes go straight to where they stand in the archive.
 * `bytes`: how many that will be, at least. Undefined when there are other files among them.
 */
export function smallTarOf(
  entries: readonly LayerEntry[],
  bytes: number,
  mtime: number,
  seen: TarSeen,
): Buffer | undefined {
  if (!entries.every((entry) => entry.kind !== "file" || isSmall(entry))) return undefined;
  const headers = entries.map((entry) => tarHeader({ ...entry, mtime }));
  const more = headers.reduce((sum, { byteLength }) => sum + byteLength - HEADER_BYTES, 0);
  // One more, to see that a file did not grow.
  const archive = Buffer.allocUnsafeSlow(bytes + more + 1);
  let at = 0;
  for (const [position, entry] of entries.entries()) {
    const header = headers[position] as Buffer;
    seen.timeless?.update(tarHeader({ ...entry, mtime: 0 }));
    at += header.copy(archive, at);
    const start = at;
    seen.index?.push(placed(entry, mtime, seen.size + at));
    if (entry.kind === "file") {
      at += contentInto(archive, at, entry);
      seen.timeless?.update(archive.subarray(start, at));
      at += ZEROS.copy(archive, at, 0, padding(entry.size));
    }
  }
  seen.size += at;
  return archive.subarray(0, at);
}

/** As `readTar` gives it. */
function placed(entry: LayerEntry, mtime: number, offset: number): PlacedEntry {
  const { path, kind, mode, uid, gid, size, link, xattrs, device } = entry;
  return {
    path,
    kind,
    mode: mode & 0o7777,
    uid,
    gid,
    size: kind === "file" ? size : 0,
    mtime: Math.max(0, Math.floor(mtime)),
    link,
    ...(xattrs === undefined || Object.keys(xattrs).length === 0 ? {} : { xattrs }),
    ...(kind === "character" || kind === "block" ? { device: device ?? [0, 0] } : {}),
    offset,
  };
}

const isSmall = ({ content, size }: LayerEntry): boolean =>
  content?.kind === "bytes" || (content?.kind === "path" && size <= SMALL_BYTES);

/** Thousands of small files: a stream each, with its buffer, would cost more than all their bytes. */
function wholeContent(entry: LayerEntry): Uint8Array {
  if (entry.content?.kind === "bytes" && entry.content.bytes.byteLength === entry.size)
    return entry.content.bytes;
  const bytes = Buffer.allocUnsafe(entry.size + 1);
  return bytes.subarray(0, contentInto(bytes, 0, entry));
}

/** Returns the entry's size. There is room for a byte more than that. */
function contentInto(target: Buffer, at: number, entry: LayerEntry): number {
  const { content, size } = entry;
  let read = 0;
  if (content?.kind === "bytes") {
    read = content.bytes.byteLength;
    if (read === size) target.set(content.bytes, at);
  }
  if (content?.kind === "path") {
    try {
      read = fileInto(target, at, content.path, size);
    } catch (error) {
      throw whyUnread(error, entry);
    }
  }
  if (read !== size) throw changedWhileRead(entry);
  return size;
}

/** One byte more is asked for than there should be, to see that there is not. */
function fileInto(target: Buffer, at: number, path: string, size: number): number {
  const file = openSync(path, "r");
  try {
    let filled = 0;
    do {
      const read = readSync(file, target, at + filled, size + 1 - filled, null);
      if (read === 0) break;
      filled += read;
    } while (filled < size);
    return filled;
  } finally {
    closeSync(file);
  }
}

async function* contentOf(entry: LayerEntry): AsyncGenerator<Uint8Array> {
  const { content } = entry;
  if (content === undefined) return;
  if (content.kind === "bytes") {
    yield content.bytes;
    return;
  }
  const stream =
    content.kind === "path"
      ? createReadStream(content.path, { highWaterMark: 1024 * 1024 })
      : await content.open();
  try {
    for await (const chunk of stream) yield chunk as Uint8Array;
  } catch (error) {
    throw whyUnread(error, entry);
  }
}

/** It was there when its folder was looked at. */
function whyUnread(error: unknown, entry: LayerEntry): unknown {
  return systemCode(error) === "ENOENT" ? changedWhileRead(entry, "the file went") : error;
}

function changedWhileRead(entry: LayerEntry, how = "the file changed its size"): SlipwayError {
  return new SlipwayError({
    code: "IMAGE_INPUT_CHANGED",
    where: entry.content?.kind === "path" ? entry.content.path : entry.path,
    message: `${how} while the image was built`,
    hint: "Stop what writes to it, or leave it out with .dockerignore, and build again.",
    exitCode: 1,
  });
}
