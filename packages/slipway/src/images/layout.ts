/**
 * An OCI image layout on disk: the one form in which Slipway keeps images (the builder's store, the registry's
 * storage, what archives unpack to). skopeo and crane read the same folder.
 *
 *     oci-layout              {"imageLayoutVersion":"1.0.0"}
 *     index.json              one entry per tag (annotation org.opencontainers.image.ref.name = "repository:tag")
 *                             and one per manifest that a repository holds without a tag (dev.slipway.repository)
 *     blobs/sha256/<hex>      every blob of every repository, once
 *     slipway/…               our own caches (layer indexes, diffID → digest); may be deleted at any time
 *
 * All repositories share the blobs: this store has one owner, so a blob that one repository holds is visible in
 * all (a push of known content uploads nothing). Manifests and tags are kept apart per repository.
 *
 * Durability: a blob is written to a temporary file, hashed while it is written, flushed, and renamed to its
 * digest; index.json is replaced atomically under a lock. So a crash leaves an unused temporary file, never half a
 * blob or half a tag. Digests are checked again whenever content is read.
 */
import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { type Readable, Transform } from "node:stream";
import {
  type Clock,
  readTextIfExists,
  SlipwayError,
  systemClock,
  systemCode,
  writeAtomic,
} from "@slipway/base";
import {
  type Descriptor,
  digestOf,
  type ImageIndex,
  type ImageManifest,
  isIndexType,
  MEDIA,
  parseDigest,
} from "./oci.ts";

const REF_NAME = "org.opencontainers.image.ref.name";
const REPOSITORY = "dev.slipway.repository";

export interface StoredBlob {
  readonly digest: string;
  readonly size: number;
}

/** A manifest that a repository holds, with the tags that point at it. */
export interface HeldManifest {
  readonly descriptor: Descriptor;
  readonly tags: readonly string[];
}

export class ImageLayout {
  readonly directory: string;
  readonly #clock: Clock;
  /** Changes to index.json by this process, one after the other. */
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(directory: string, clock: Clock) {
    this.directory = directory;
    this.#clock = clock;
  }

  /** Opens the layout, creating what is missing. Rejects with IMAGE_LAYOUT_INVALID when the folder is another thing. */
  static async open(directory: string, options: { readonly clock?: Clock } = {}): Promise<ImageLayout> {
    const marker = await readTextIfExists(join(directory, "oci-layout"));
    if (marker === undefined) {
      await mkdir(join(directory, "blobs", "sha256"), { recursive: true });
      await writeAtomic(join(directory, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
    } else if (!marker.includes('"1.')) {
      throw new SlipwayError({
        code: "IMAGE_LAYOUT_INVALID",
        where: directory,
        message: "is an image layout of an unknown version",
        hint: "Only OCI image layout 1.x is read; delete the folder to start anew.",
        exitCode: 3,
      });
    }
    return new ImageLayout(directory, options.clock ?? systemClock);
  }

  blobPath(digest: string): string {
    const parts = parseDigest(digest);
    if (parts === undefined) throw invalidDigest(digest);
    return join(this.directory, "blobs", parts.algorithm, parts.hex);
  }

  cachePath(...names: string[]): string {
    return join(this.directory, "slipway", ...names);
  }

  /** Size in bytes, or undefined when the blob is not here. */
  async size(digest: string): Promise<number | undefined> {
    try {
      return (await stat(this.blobPath(digest))).size;
    } catch (error) {
      if (systemCode(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  /** Stores bytes. With `expected`, refuses others: IMAGE_DIGEST_MISMATCH. */
  async put(data: Uint8Array, expected?: string): Promise<StoredBlob> {
    const digest = expected ?? digestOf(data);
    const parts = parseDigest(digest);
    if (parts === undefined) throw invalidDigest(digest);
    const actual = digestOf(data, parts.algorithm);
    if (actual !== digest) throw digestMismatch(digest, actual);
    if ((await this.size(digest)) !== data.byteLength) await writeAtomic(this.blobPath(digest), data);
    return { digest, size: data.byteLength };
  }

  /** Stores a stream of unknown length without holding it in memory. */
  async putStream(source: Readable | AsyncIterable<Uint8Array>, expected?: string): Promise<StoredBlob> {
    const writer = await this.startBlob();
    try {
      for await (const chunk of source) await writer.write(chunk as Uint8Array);
      return await writer.commit(expected);
    } catch (error) {
      await writer.abort();
      throw error;
    }
  }

  /** A blob that arrives in pieces; `commit` makes it visible. */
  async startBlob(): Promise<BlobWriter> {
    const folder = join(this.directory, "slipway", "incoming");
    await mkdir(folder, { recursive: true });
    const path = join(folder, randomUUID());
    return new BlobWriter(this, path, await open(path, "wx", 0o644));
  }

  /** All bytes, checked against the digest. Rejects with IMAGE_BLOB_MISSING or IMAGE_DIGEST_MISMATCH. */
  async read(digest: string): Promise<Buffer> {
    const parts = parseDigest(digest);
    if (parts === undefined) throw invalidDigest(digest);
    let data: Buffer;
    try {
      data = await readFile(this.blobPath(digest));
    } catch (error) {
      if (systemCode(error) === "ENOENT") throw blobMissing(digest, this.directory);
      throw error;
    }
    const actual = digestOf(data, parts.algorithm);
    if (actual !== digest) throw digestMismatch(digest, actual, this.blobPath(digest));
    return data;
  }

  async readJson<T>(digest: string): Promise<T> {
    return JSON.parse((await this.read(digest)).toString("utf8")) as T;
  }

  /**
   * A stream of the blob. A whole read is checked as it flows and ends with IMAGE_DIGEST_MISMATCH if the content
   * is not what its name says; a part (`start`, `end` inclusive) cannot be checked.
   */
  async openBlob(
    digest: string,
    range?: { readonly start: number; readonly end: number },
  ): Promise<Readable> {
    const parts = parseDigest(digest);
    if (parts === undefined) throw invalidDigest(digest);
    const path = this.blobPath(digest);
    if ((await this.size(digest)) === undefined) throw blobMissing(digest, this.directory);
    if (range !== undefined) return createReadStream(path, range);
    const hash = createHash(parts.algorithm);
    const check = new Transform({
      highWaterMark: 256 * 1024,
      transform(chunk: Buffer, _encoding, done) {
        hash.update(chunk);
        done(null, chunk);
      },
      flush(done) {
        const actual = `${parts.algorithm}:${hash.digest("hex")}`;
        done(actual === digest ? null : digestMismatch(digest, actual, path));
      },
    });
    const source = createReadStream(path, { highWaterMark: 256 * 1024 });
    source.on("error", (error) => check.destroy(error));
    check.on("close", () => source.destroy());
    return source.pipe(check);
  }

  async removeBlob(digest: string): Promise<void> {
    await rm(this.blobPath(digest), { force: true });
  }

  /** The descriptor that a tag or digest of a repository names; undefined when it does not exist there. */
  async resolve(repository: string, tagOrDigest: string): Promise<Descriptor | undefined> {
    const entries = await this.#entries();
    const found = entries.find((entry) => {
      if (repositoryOf(entry) !== repository) return false;
      return parseDigest(tagOrDigest) === undefined
        ? tagOf(entry) === tagOrDigest
        : entry.digest === tagOrDigest;
    });
    return found === undefined ? undefined : bare(found);
  }

  /** Every manifest of a repository; undefined when the repository was never pushed to. */
  async manifests(repository: string): Promise<readonly HeldManifest[] | undefined> {
    const held = new Map<string, { descriptor: Descriptor; tags: string[] }>();
    for (const entry of await this.#entries()) {
      if (repositoryOf(entry) !== repository) continue;
      const one = held.get(entry.digest) ?? { descriptor: bare(entry), tags: [] };
      const tag = tagOf(entry);
      if (tag !== undefined) one.tags.push(tag);
      held.set(entry.digest, one);
    }
    return held.size === 0 ? undefined : [...held.values()];
  }

  async repositories(): Promise<readonly string[]> {
    const names = (await this.#entries()).map(repositoryOf).filter((name) => name !== undefined);
    return [...new Set(names)].sort();
  }

  /**
   * Makes a repository hold a manifest, under these tags (atomically: all or none). A tag that pointed elsewhere
   * moves; the manifest it left stays in the repository by digest, so what runs by digest can still be pulled.
   */
  async hold(repository: string, descriptor: Descriptor, tags: readonly string[] = []): Promise<void> {
    await this.#change((entries) => {
      const kept: Descriptor[] = [];
      for (const entry of entries) {
        const tag = tagOf(entry);
        const isMoved = repositoryOf(entry) === repository && tag !== undefined && tags.includes(tag);
        if (!isMoved) kept.push(entry);
        else if (entry.digest !== descriptor.digest)
          kept.push(annotated(bare(entry), { [REPOSITORY]: repository }));
      }
      for (const tag of tags) {
        kept.push(annotated(descriptor, { [REF_NAME]: `${repository}:${tag}`, [REPOSITORY]: repository }));
      }
      if (tags.length === 0) kept.push(annotated(descriptor, { [REPOSITORY]: repository }));
      return withoutRedundant(kept);
    });
  }

  /** Removes a tag, or (by digest) a manifest with all its tags. Returns whether there was one. */
  async release(repository: string, tagOrDigest: string): Promise<boolean> {
    let isFound = false;
    await this.#change((entries) => {
      const isDigest = parseDigest(tagOrDigest) !== undefined;
      const kept = entries.flatMap((entry) => {
        const isNamed =
          repositoryOf(entry) === repository && (isDigest ? entry.digest : tagOf(entry)) === tagOrDigest;
        if (!isNamed) return [entry];
        isFound = true;
        return isDigest ? [] : [annotated(bare(entry), { [REPOSITORY]: repository })];
      });
      return withoutRedundant(kept);
    });
    return isFound;
  }

  /**
   * Deletes blobs that no held manifest reaches and that were not touched for `graceMs` (an upload in progress
   * sends its blobs before its manifest). Returns the bytes that were freed.
   */
  async collectGarbage(options: { readonly now: number; readonly graceMs: number }): Promise<number> {
    const reachable = new Set<string>();
    for (const entry of await this.#entries()) await this.#mark(entry, reachable);
    let freed = 0;
    for (const algorithm of ["sha256", "sha512"]) {
      const folder = join(this.directory, "blobs", algorithm);
      for (const hex of await readdir(folder).catch(() => [])) {
        if (reachable.has(`${algorithm}:${hex}`)) continue;
        const facts = await stat(join(folder, hex));
        if (facts.mtimeMs + options.graceMs > options.now) continue;
        freed += facts.size;
        await rm(join(folder, hex), { force: true });
      }
    }
    const incoming = this.cachePath("incoming"); // what a killed process left half-written
    for (const name of await readdir(incoming).catch(() => [])) {
      const facts = await stat(join(incoming, name)).catch(() => undefined);
      if (facts === undefined || facts.mtimeMs + options.graceMs > options.now) continue;
      freed += facts.size;
      await rm(join(incoming, name), { force: true });
    }
    return freed;
  }

  /** Removes what uploads left half-written; only for the one process that owns the layout, at its start. */
  async sweepIncoming(): Promise<void> {
    await rm(this.cachePath("incoming"), { recursive: true, force: true });
  }

  /** Marks a blob as in use now, so that garbage collection leaves it for another grace period. */
  async touch(digest: string): Promise<void> {
    const now = this.#clock.now() / 1000;
    await utimes(this.blobPath(digest), now, now).catch(() => {});
  }

  async #mark(descriptor: Descriptor, reachable: Set<string>): Promise<void> {
    if (reachable.has(descriptor.digest)) return;
    reachable.add(descriptor.digest);
    if ((await this.size(descriptor.digest)) === undefined) return;
    if (isIndexType(descriptor.mediaType)) {
      const index = await this.readJson<ImageIndex>(descriptor.digest);
      for (const child of index.manifests) await this.#mark(child, reachable);
    } else {
      const manifest = await this.readJson<ImageManifest>(descriptor.digest);
      for (const blob of [manifest.config, ...(manifest.layers ?? [])]) reachable.add(blob.digest);
    }
  }

  async #entries(): Promise<readonly Descriptor[]> {
    const text = await readTextIfExists(join(this.directory, "index.json"));
    return text === undefined ? [] : (JSON.parse(text) as ImageIndex).manifests;
  }

  #change(edit: (entries: readonly Descriptor[]) => readonly Descriptor[]): Promise<void> {
    const result = this.#queue.then(() =>
      this.#locked(async () => {
        const index: ImageIndex = {
          schemaVersion: 2,
          mediaType: MEDIA.index,
          manifests: edit(await this.#entries()),
        };
        await writeAtomic(join(this.directory, "index.json"), `${JSON.stringify(index, null, 2)}\n`);
      }),
    );
    this.#queue = result.catch(() => {});
    return result;
  }

  /** Two processes may share a layout (a build and the world): a lock file with the owner's pid orders them. */
  async #locked<T>(body: () => Promise<T>): Promise<T> {
    const path = join(this.directory, "index.lock");
    const deadline = this.#clock.monotonic() + 10_000;
    for (;;) {
      try {
        await (await open(path, "wx")).close();
        break;
      } catch (error) {
        if (systemCode(error) !== "EEXIST") throw error;
        // The body takes milliseconds, so a lock that is seconds old was left behind by a process that was killed.
        const facts = await stat(path).catch(() => undefined);
        if (facts !== undefined && this.#clock.now() - facts.mtimeMs > 5_000) await rm(path, { force: true });
        else if (this.#clock.monotonic() > deadline) throw lockHeld(path);
        else await this.#clock.sleep(5);
      }
    }
    try {
      return await body();
    } finally {
      await rm(path, { force: true });
    }
  }
}

/** A blob on its way in: hashed and counted while it is written. */
export class BlobWriter {
  readonly #layout: ImageLayout;
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #hash = createHash("sha256");
  #size = 0;
  #isClosed = false;

  constructor(layout: ImageLayout, path: string, file: FileHandle) {
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
        : digestOf(await readFile(this.#path), algorithm);
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

function repositoryOf(entry: Descriptor): string | undefined {
  const named = entry.annotations?.[REPOSITORY];
  if (named !== undefined) return named;
  const name = entry.annotations?.[REF_NAME];
  return name?.includes(":") ? name.slice(0, name.lastIndexOf(":")) : undefined;
}

function tagOf(entry: Descriptor): string | undefined {
  const name = entry.annotations?.[REF_NAME];
  return name?.includes(":") ? name.slice(name.lastIndexOf(":") + 1) : undefined;
}

function bare(entry: Descriptor): Descriptor {
  return { mediaType: entry.mediaType, digest: entry.digest, size: entry.size };
}

const annotated = (entry: Descriptor, annotations: Record<string, string>): Descriptor => ({
  ...bare(entry),
  annotations,
});

/** An untagged entry is needed only while no tag of its repository points at the same manifest. */
function withoutRedundant(entries: readonly Descriptor[]): readonly Descriptor[] {
  const key = (entry: Descriptor): string => `${repositoryOf(entry) ?? ""}@${entry.digest}`;
  const tagged = new Set(entries.filter((entry) => tagOf(entry) !== undefined).map(key));
  const seen = new Set<string>();
  return entries.filter((entry) => {
    const id = `${key(entry)} ${tagOf(entry) ?? ""}`;
    if (seen.has(id)) return false;
    seen.add(id);
    return tagOf(entry) !== undefined || repositoryOf(entry) === undefined || !tagged.has(key(entry));
  });
}

function invalidDigest(digest: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGE_DIGEST_INVALID",
    message: `"${digest}" is not a digest`,
    hint: "A digest is sha256: and 64 hexadecimal digits.",
    exitCode: 2,
  });
}

function digestMismatch(expected: string, actual: string, where?: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGE_DIGEST_MISMATCH",
    where,
    message: `the content is ${actual}, not ${expected}`,
    hint: "The content was damaged or replaced. Delete it and build or push the image again.",
    exitCode: 1,
  });
}

function blobMissing(digest: string, directory: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGE_BLOB_MISSING",
    where: directory,
    message: `${digest} is not here`,
    hint: "Build or push the image again.",
    exitCode: 1,
  });
}

function lockHeld(path: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGE_LAYOUT_LOCKED",
    where: path,
    message: "another process keeps changing this image layout",
    hint: "Wait for it, or delete the file if no other Slipway runs.",
    exitCode: 1,
  });
}
