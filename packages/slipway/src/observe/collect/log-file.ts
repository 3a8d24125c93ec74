/**
 * One file of a log, held open: a rename does not disturb it, a deletion takes nothing away before it was read.
 *
 * Which file it is, is told by a fingerprint of its first line (at most its first 256 bytes): inode numbers are given
 * again as soon as a file is deleted, names wander with each rotation, and a file that kubelet has compressed since is
 * still the same. Until its first line is whole a file has no identity, and nothing in it to store.
 *
 * Reads are synchronous: log files that are being written lie in the page cache, and a read of a few kilobytes takes
 * microseconds there, less than handing it to a thread.
 */
import { createHash } from "node:crypto";
import { closeSync, createReadStream, fstatSync, openSync, readSync } from "node:fs";
import { constants, createGunzip, gunzipSync } from "node:zlib";
import { systemCode } from "@slipway/base";

const FINGERPRINT_BYTES = 256;
const NEWLINE = 0x0a;

export interface LogFile {
  /** `KEY-OF-LOG/FINGERPRINT` */
  readonly stream: string;
  /** `device:inode` */
  readonly inode: string;
  /** How far it is stored. */
  position: number;
  /** The size that was seen last. */
  seen: number;
  /** When a newer file of the log was first seen, in monotonic ms. */
  supersededAt: number | undefined;
  /** Bytes that are there; of a compressed file, those that are known to be there. */
  size(): number;
  /** Fewer bytes than asked for: that is the end of it, for now. */
  read(from: number, maxBytes: number): Promise<Uint8Array>;
  /** Cut off and written anew: what it held is gone. */
  isReplaced(): boolean;
  close(): void;
}

export interface Found {
  readonly path: string;
  readonly isCompressed: boolean;
  readonly descriptor: number;
  readonly inode: string;
}

/** Undefined when it is gone by now. */
export function openFound(path: string, isCompressed: boolean): Found | undefined {
  try {
    const descriptor = openSync(path, "r");
    const { dev, ino } = fstatSync(descriptor, { bigint: true });
    return { path, isCompressed, descriptor, inode: `${dev}:${ino}` };
  } catch (error) {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") return undefined;
    throw error;
  }
}

/** Undefined while its first line is not whole. */
export function fingerprintOf({ descriptor, isCompressed }: Found): string | undefined {
  return isCompressed ? compressedFingerprint(descriptor) : fingerprint(readAt(descriptor, 0, 256));
}

function fingerprint(head: Uint8Array): string | undefined {
  const newline = head.subarray(0, FINGERPRINT_BYTES).indexOf(NEWLINE);
  if (newline < 0 && head.length < FINGERPRINT_BYTES) return undefined;
  const identity = head.subarray(0, newline < 0 ? FINGERPRINT_BYTES : newline + 1);
  return createHash("sha256").update(identity).digest("hex").slice(0, 16);
}

function compressedFingerprint(descriptor: number): string | undefined {
  try {
    // The file goes on after what is read here; what can be told from the beginning is enough.
    return fingerprint(
      gunzipSync(readAt(descriptor, 0, 4096), { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, 256),
    );
  } catch {
    return undefined;
  }
}

function readAt(descriptor: number, from: number, maxBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(maxBytes);
  let length = 0;
  while (length < maxBytes) {
    const read = readSync(descriptor, bytes, length, maxBytes - length, from + length);
    if (read === 0) break;
    length += read;
  }
  return bytes.subarray(0, length);
}

export function plainFile(found: Found, stream: string, position: number): LogFile {
  const { descriptor, inode } = found;
  const mark = stream.slice(stream.lastIndexOf("/") + 1);
  return {
    stream,
    inode,
    position,
    seen: 0,
    supersededAt: undefined,
    size: () => fstatSync(descriptor).size,
    async read(from, maxBytes) {
      const there = fstatSync(descriptor).size - from;
      return there <= 0 ? new Uint8Array() : readAt(descriptor, from, Math.min(maxBytes, there));
    },
    isReplaced: () => fingerprint(readAt(descriptor, 0, FINGERPRINT_BYTES)) !== mark,
    close: () => closeSync(descriptor),
  };
}

/** Read through from the front, as a compressed file must be; `position` and all sizes are those of what it holds. */
export function compressedFile(found: Found, stream: string, position: number): LogFile {
  const { descriptor, inode } = found;
  let chunks: AsyncIterator<Buffer> | undefined;
  /** What was unpacked and is still wanted, and where it begins. */
  let window = Buffer.alloc(0);
  let begin = 0;
  let isAtEnd = false;

  const open = (): AsyncIterator<Buffer> => {
    const source = createReadStream("", { fd: descriptor, autoClose: false, start: 0 });
    const unpacked = createGunzip();
    source.on("error", (error) => unpacked.destroy(error));
    [window, begin, isAtEnd] = [Buffer.alloc(0), 0, false];
    return source.pipe(unpacked)[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  };
  return {
    stream,
    inode,
    position,
    seen: 0,
    supersededAt: undefined,
    // Unknown before its end was seen: one byte more than is known, so that it is read on.
    size: () => begin + window.length + (isAtEnd ? 0 : 1),
    async read(from, maxBytes) {
      if (chunks === undefined || from < begin) chunks = open();
      while (!isAtEnd && begin + window.length < from + maxBytes) {
        const next = await chunks.next();
        if (next.done === true) isAtEnd = true;
        else window = Buffer.concat([window, next.value]);
        const skipped = Math.min(window.length, Math.max(0, from - begin));
        window = window.subarray(skipped);
        begin += skipped;
      }
      const at = Math.max(0, from - begin);
      return window.subarray(at, at + maxBytes);
    },
    isReplaced: () => false,
    close: () => {
      void chunks?.return?.();
      closeSync(descriptor);
    },
  };
}
