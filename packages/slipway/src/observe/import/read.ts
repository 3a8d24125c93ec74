/** The bytes of a log file as they were before it was compressed; gzip and zstd are told by their first bytes. */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import type { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { SlipwayError, systemCode } from "@slipway/base";

const CHUNK_BYTES = 1_048_576;
/** RFC 1952, RFC 8878. */
const GZIP = Buffer.from([0x1f, 0x8b]);
const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/** Rejects with IMPORT_FILE while it is read. A chunk is valid until the next is asked for. */
export async function* readLog(path: string): AsyncGenerator<Buffer> {
  try {
    const magic = await beginningOf(path);
    if (magic.subarray(0, 2).equals(GZIP)) yield* through(path, createGunzip({ chunkSize: CHUNK_BYTES }));
    else if (magic.equals(ZSTD)) yield* through(path, createZstdDecompress({ chunkSize: CHUNK_BYTES }));
    else yield* plain(path);
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined || error instanceof SlipwayError) throw error;
    const isDamaged = code.startsWith("Z_") || code.startsWith("ZSTD_") || code.startsWith("ERR_");
    throw new SlipwayError({
      code: "IMPORT_FILE",
      where: path,
      message: isDamaged
        ? `is damaged or cut off (${code}); the lines before that are stored`
        : `cannot be read (${code})`,
      cause: error,
    });
  }
}

/** Into the same memory each time: a new megabyte for each makes V8 collect all of its garbage every few of them. */
async function* plain(path: string): AsyncGenerator<Buffer> {
  const file = await open(path, "r");
  try {
    const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, null);
      if (bytesRead === 0) return;
      yield chunk.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

async function* through(path: string, decompress: NodeJS.ReadWriteStream): AsyncGenerator<Buffer> {
  const file = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  file.on("error", (error) => (decompress as unknown as Readable).destroy(error));
  try {
    yield* file.pipe(decompress) as unknown as AsyncIterable<Buffer>;
  } finally {
    file.destroy();
  }
}

async function beginningOf(path: string): Promise<Buffer> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
