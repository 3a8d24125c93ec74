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
import {
  closeSync,
  createReadStream,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { mkdir, open, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Readable, Transform } from "node:stream";
import {
  type Clock,
  isProcessAlive,
  type ProcessIdentity,
  readTextIfExists,
  SlipwayError,
  systemClock,
  systemCode,
  thisProcess,
  writeAtomic,
} from "@slipway/base";
import { BlobWriter, type StoredBlob } from "./blob-writer.ts";
import {
  bare,
  entryFor,
  pushedAtOf,
  repositoryOf,
  subjectOf,
  tagOf,
  untagged,
  withoutRedundant,
} from "./index-entries.ts";
import { blobMissing, digestMismatch, invalidDigest, lockHeld, tagTaken } from "./layout-errors.ts";
import { type Descriptor, digestOf, type ImageIndex, type ImageManifest, MEDIA, parseDigest } from "./oci.ts";

export type { BlobWriter, StoredBlob } from "./blob-writer.ts";

/** A manifest that a repository holds, with the tags that point at it. */
export interface HeldManifest {
  readonly descriptor: Descriptor;
  readonly tags: readonly string[];
  /** When it was last pushed under any of its names, in milliseconds since the epoch; undefined when unknown. */
  readonly pushedAtMs: number | undefined;
  /** The digest of what it is about, empty for nothing; undefined when only the manifest itself knows. */
  readonly subject: string | undefined;
}

/** The index as it stands in its file. */
interface ReadIndex {
  readonly text: string;
  readonly entries: readonly Descriptor[];
}

/** What is read at once: for manifests, configurations and documents, a thread's answer takes longer than the file system's. */
const SMALL_BYTES = 256 * 1024;

/** Who has it mostly needs milliseconds, but a change reaches the disk before it is over. */
const LOCK_WITHIN_MS = 60_000;
/** Of a lock whose owner cannot be judged: older than any change takes. */
const LOCK_OLD_MS = 5_000;

export class ImageLayout {
  readonly directory: string;
  readonly #clock: Clock;
  /** As it was read or written last: a week of builds makes it long, and each step asks it. */
  #index: ReadIndex = { text: "", entries: [] };
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
    return statSync(this.blobPath(digest), { throwIfNoEntry: false })?.size;
  }

  /** Stores bytes. With `expected`, refuses others: IMAGE_DIGEST_MISMATCH. */
  async put(data: Uint8Array, expected?: string): Promise<StoredBlob> {
    const algorithm = expected === undefined ? "sha256" : parseDigest(expected)?.algorithm;
    if (algorithm === undefined) throw invalidDigest(expected as string);
    const digest = digestOf(data, algorithm);
    if (expected !== undefined && digest !== expected) throw digestMismatch(expected, digest);
    if ((await this.size(digest)) === data.byteLength) await this.touch(digest);
    else await writeAtomic(this.blobPath(digest), data);
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
      const path = this.blobPath(digest);
      data = statSync(path).size <= SMALL_BYTES ? readFileSync(path) : await readFile(path);
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
    const held = new Map<
      string,
      {
        descriptor: Descriptor;
        tags: string[];
        pushedAtMs: number | undefined;
        subject: string | undefined;
      }
    >();
    for (const entry of await this.#entries()) {
      if (repositoryOf(entry) !== repository) continue;
      const one = held.get(entry.digest) ?? {
        descriptor: bare(entry),
        tags: [],
        pushedAtMs: undefined,
        subject: undefined,
      };
      one.subject ??= subjectOf(entry);
      const tag = tagOf(entry);
      const pushedAtMs = pushedAtOf(entry);
      if (pushedAtMs !== undefined) one.pushedAtMs = Math.max(one.pushedAtMs ?? 0, pushedAtMs);
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
   * moves; the manifest it left stays in the repository by digest, so what runs by digest can still be pulled. With
   * `mayMoveTags: false` such a tag rejects with IMAGE_TAG_TAKEN, and nothing is changed. `attached`: manifests about this
   * one, to be held without tags in the same change; given, it also says that this one is about nothing itself.
   */
  async hold(
    repository: string,
    descriptor: Descriptor,
    tags: readonly string[] = [],
    options: { readonly mayMoveTags?: boolean; readonly attached?: readonly Descriptor[] } = {},
  ): Promise<void> {
    const now = this.#clock.now();
    const { attached } = options;
    const subject = attached === undefined ? undefined : "";
    await this.#change((entries) => {
      const kept: Descriptor[] = [];
      for (const entry of entries) {
        const tag = tagOf(entry);
        const isSame = entry.digest === descriptor.digest;
        if (repositoryOf(entry) !== repository || tag === undefined || !tags.includes(tag)) kept.push(entry);
        else if (isSame)
          continue; // pushed again: a new entry says when
        else if (options.mayMoveTags === false) throw tagTaken(repository, tag, entry.digest);
        else kept.push(untagged(entry));
      }
      for (const tag of tags) kept.push(entryFor(descriptor, repository, now, tag, subject));
      if (tags.length === 0) kept.push(entryFor(descriptor, repository, now, undefined, subject));
      for (const one of attached ?? [])
        kept.push(entryFor(one, repository, now, undefined, descriptor.digest));
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
        return isDigest ? [] : [untagged(entry)];
      });
      return withoutRedundant(kept);
    });
    return isFound;
  }

  /** Every blob that a held manifest (or `roots` instead) needs, the manifests among them, and those of `more`. */
  async reachable(more: readonly string[] = [], roots?: readonly string[]): Promise<ReadonlySet<string>> {
    const reached = new Set<string>();
    const held = roots ?? (await this.#entries()).map(({ digest }) => digest);
    for (const digest of [...held, ...more]) await this.#mark(digest, reached);
    return reached;
  }

  /** What uploads left half-written, to be removed by the one process that owns the layout; asked before it takes any itself. */
  async leftIncoming(): Promise<readonly string[]> {
    const folder = this.cachePath("incoming");
    return (await readdir(folder).catch(() => [])).map((name) => join(folder, name));
  }

  /** By this layout's clock, in milliseconds since the epoch. */
  now(): number {
    return this.#clock.now();
  }

  /** Marks a blob as in use now, so that garbage collection leaves it for another grace period. */
  async touch(digest: string): Promise<void> {
    const now = this.#clock.now() / 1000;
    try {
      utimesSync(this.blobPath(digest), now, now);
    } catch {
      // It is gone: whoever needs it finds out.
    }
  }

  async #mark(digest: string, reached: Set<string>): Promise<void> {
    if (reached.has(digest)) return;
    reached.add(digest);
    if ((await this.size(digest)) === undefined) return;
    const { manifests, config, layers } = await this.readJson<Partial<ImageIndex & ImageManifest>>(digest);
    for (const child of manifests ?? []) await this.#mark(child.digest, reached);
    for (const blob of [config, ...(layers ?? [])]) if (blob !== undefined) reached.add(blob.digest);
  }

  async #entries(): Promise<readonly Descriptor[]> {
    return (await this.#read()).entries;
  }

  async #read(): Promise<ReadIndex> {
    const text = await readTextIfExists(join(this.directory, "index.json"));
    if (text === undefined) return { text: "", entries: [] };
    if (text !== this.#index.text)
      this.#index = { text, entries: (JSON.parse(text) as ImageIndex).manifests };
    return this.#index;
  }

  #change(edit: (entries: readonly Descriptor[]) => readonly Descriptor[]): Promise<void> {
    const result = this.#queue.then(() =>
      this.#locked(async () => {
        const before = await this.#read();
        const manifests = edit(before.entries);
        const index: ImageIndex = { schemaVersion: 2, mediaType: MEDIA.index, manifests };
        const text = `${JSON.stringify(index)}\n`;
        if (text === before.text || before.entries.length + manifests.length === 0) return;
        await writeAtomic(join(this.directory, "index.json"), text);
        this.#index = { text, entries: manifests };
      }),
    );
    this.#queue = result.catch(() => {});
    return result;
  }

  /** Two processes may share a layout (a build and the world): a lock file that names its owner orders them. */
  async #locked<T>(body: () => Promise<T>): Promise<T> {
    const path = join(this.directory, "index.lock");
    const deadline = this.#clock.monotonic() + LOCK_WITHIN_MS;
    while (!isTaken(path)) {
      if (await this.#isLeftBehind(path)) await rm(path, { force: true });
      else if (this.#clock.monotonic() > deadline) throw lockHeld(path);
      else await this.#clock.sleep(5);
    }
    try {
      return await body();
    } finally {
      rmSync(path, { force: true });
    }
  }

  /** By a process that was killed. A slow disk makes who lives hold it for seconds, too. */
  async #isLeftBehind(path: string): Promise<boolean> {
    const facts = await stat(path).catch(() => undefined);
    if (facts === undefined) return false;
    const isAlive = isOwnerAlive(await readTextIfExists(path));
    return isAlive === undefined ? this.#clock.now() - facts.mtimeMs > LOCK_OLD_MS : !isAlive;
  }
}

/** Whether the lock is this process's now. */
function isTaken(path: string): boolean {
  let file: number;
  try {
    file = openSync(path, "wx");
  } catch (error) {
    if (systemCode(error) === "EEXIST") return false;
    throw error;
  }
  try {
    self ??= JSON.stringify(thisProcess());
    writeSync(file, self);
  } catch {
    // No space left: a lock that names nobody is judged by its age.
  } finally {
    closeSync(file);
  }
  return true;
}

let self: string | undefined;

/** Undefined where that cannot be known from here. */
function isOwnerAlive(text: string | undefined): boolean | undefined {
  try {
    return isProcessAlive(JSON.parse(text ?? "") as ProcessIdentity);
  } catch {
    return undefined;
  }
}
