/** A blob on its way into a layout. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { digestMismatch, invalidDigest } from "./layout-errors.ts";
import { parseDigest } from "./oci.ts";

export interface StoredBlob {
  readonly digest: string;
  readonly size: number;
}

/** Where blobs end up: the layout. */
export interface BlobHome {
  blobPath(digest: string): string;
  size(digest: string): Promise<number | undefined>;
  touch(digest: string): Promise<void>;
}

/** A blob on its way in: hashed and counted while it is written. */
export class BlobWriter {
  readonly #layout: BlobHome;
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #hash = createHash("sha256");
  #size = 0;
  #isClosed = false;

  constructor(layout: BlobHome, path: string, file: FileHandle) {
    this.#layout = layout;
    this.#path = path;
    this.#file = file;
  }

  get size(): number {
    return this.#size;
  }

  async write(chunk: Uint8Array): Promise<void> {
    let written = 0;
    while (written < chunk.byteLength) {
      written += (await this.#file.write(chunk, written)).bytesWritten;
    }
    this.#hash.update(chunk);
    this.#size += chunk.byteLength;
  }

  /** Flushes and renames to the digest. A digest that is not the expected one leaves the bytes here, uncommitted. */
  async commit(expected?: string): Promise<StoredBlob> {
    const algorithm = expected === undefined ? "sha256" : parseDigest(expected)?.algorithm;
    if (algorithm === undefined) throw invalidDigest(expected as string);
    const digest =
      algorithm === "sha256"
        ? `sha256:${this.#hash.copy().digest("hex")}`
        : `${algorithm}:${await hashOfFile(this.#path, algorithm)}`;
    if (expected !== undefined && digest !== expected) throw digestMismatch(expected, digest);
    const target = this.#layout.blobPath(digest);
    if ((await this.#layout.size(digest)) === this.#size) {
      await this.abort();
      await this.#layout.touch(digest);
    } else {
      await this.#file.sync();
      await this.#close();
      await mkdir(join(target, ".."), { recursive: true });
      await rename(this.#path, target);
    }
    return { digest, size: this.#size };
  }

  async abort(): Promise<void> {
    await this.#close();
    await rm(this.#path, { force: true });
  }

  async #close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#file.close();
  }
}

/** The algorithm is known only when the upload ends, so any but sha256 reads the file once more. */
async function hashOfFile(path: string, algorithm: string): Promise<string> {
  const hash = createHash(algorithm);
  for await (const chunk of createReadStream(path, { highWaterMark: 256 * 1024 }))
    hash.update(chunk as Buffer);
  return hash.digest("hex");
}
