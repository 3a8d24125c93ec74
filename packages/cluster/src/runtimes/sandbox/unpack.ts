/**
 * Unpacks one layer into a folder; a process of its own, so that the node agent keeps serving meanwhile, and in the
 * agent's namespaces, so that files get the owners that pods will see. Started by `layers.ts` through the agent:
 *
 *   node unpack.ts '{"do":"unpack", …}'      prints nothing; exit 0, or 1 with one line on stderr
 *
 * Overlay's own form of a deleted file needs device nodes or extended attributes, for which Node has no calls and
 * an ordinary user often no right. So whiteouts are written down beside the layer, and a layer that has any is
 * *flattened*: one folder with hard links to all that is below it, minus what it deletes, plus what it adds.
 */
import { execFileSync } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import {
  chmodSync,
  closeSync,
  createReadStream,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { readTar, type TarEntry } from "./tar.ts";

export interface UnpackJob {
  readonly do: "unpack";
  readonly archive: string;
  readonly mediaType: string;
  /** `sha256:…` of the uncompressed archive; checked. */
  readonly diffId: string;
  /** The layers directory and the name of the folder to make in it. */
  readonly directory: string;
  readonly name: string;
  /** Whether owners can be set (root, or subordinate ids). */
  readonly owners: boolean;
}

export interface FlattenJob {
  readonly do: "flatten";
  readonly directory: string;
  readonly name: string;
  /** Folders under `directory`, the lowest first. */
  readonly lowers: readonly string[];
  readonly layer: string;
  readonly owners: boolean;
}

/** What a layer deletes from those below it; paths without a slash in front. */
export interface Whiteouts {
  readonly deleted: readonly string[];
  readonly opaque: readonly string[];
  /** Hard links to files of the layers below. */
  readonly linked?: readonly { readonly path: string; readonly target: string }[];
}

export function whiteoutsFile(directory: string, name: string): string {
  return join(directory, `${name}.whiteouts.json`);
}

export async function unpack(job: UnpackJob): Promise<void> {
  const temporary = join(job.directory, `.${job.name}.${randomUUID()}`);
  mkdirSync(temporary, { mode: 0o755 });
  try {
    const whiteouts = await extract(job, temporary);
    // The list before the folder: who sees the folder must find the list.
    writeFileSync(`${temporary}.json`, JSON.stringify(whiteouts));
    renameSync(`${temporary}.json`, whiteoutsFile(job.directory, job.name));
    publish(temporary, join(job.directory, job.name));
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  }
}

async function extract(job: UnpackJob, root: string): Promise<Whiteouts> {
  const deleted: string[] = [];
  const opaque: string[] = [];
  const linked: { readonly path: string; readonly target: string }[] = [];
  const directories: TarEntry[] = [];
  let file: { readonly descriptor: number; readonly entry: TarEntry } | undefined;
  const hash = createHash("sha256");
  await readTar(hashed(decompressed(job), hash), {
    entry(entry) {
      const name = entry.path.split("/").at(-1) as string;
      if (name === ".wh..wh..opq") return void opaque.push(parentOf(entry.path));
      if (name.startsWith(".wh.")) {
        const hidden = name.slice(".wh.".length);
        if (["", ".", ".."].includes(hidden))
          throw new Error(`whiteout ${JSON.stringify(entry.path)} leaves the layer`);
        return void deleted.push(join(parentOf(entry.path), hidden));
      }
      const target = place(root, entry.path);
      if (entry.type === "directory") {
        if (lstatSync(target, { throwIfNoEntry: false })?.isDirectory() !== true) {
          rmSync(target, { recursive: true, force: true });
          mkdirSync(target);
        }
        directories.push(entry);
        return;
      }
      rmSync(target, { recursive: true, force: true });
      if (entry.type === "file") file = { descriptor: openSync(target, "wx", 0o600), entry };
      else if (entry.type === "symlink") symlinkSync(entry.link, target);
      else if (entry.type === "hardlink") {
        const link = entry.link.replace(/^(\.?\/)+/, "");
        const source = place(root, link);
        if (lstatSync(source, { throwIfNoEntry: false }) !== undefined) linkSync(source, target);
        else linked.push({ path: target.slice(root.length + 1), target: link });
      } else if (!makeSpecial(entry, target, job.owners)) return;
      if (entry.type === "symlink") finish(target, entry, job.owners);
    },
    data(piece) {
      if (file === undefined) return;
      for (let at = 0; at < piece.length; ) at += writeSync(file.descriptor, piece, at);
    },
    end() {
      if (file === undefined) return;
      closeSync(file.descriptor);
      finish(place(root, file.entry.path), file.entry, job.owners);
      file = undefined;
    },
  });
  const diffId = `sha256:${hash.digest("hex")}`;
  if (job.diffId !== "" && diffId !== job.diffId)
    throw new Error(`content is ${diffId}, the image's configuration says ${job.diffId}`);
  // Folders last, from the deepest: a read-only one could not have been filled.
  for (const entry of directories.reverse()) {
    const target = place(root, entry.path);
    // A later entry may have put something else there.
    if (lstatSync(target, { throwIfNoEntry: false })?.isDirectory() === true)
      finish(target, entry, job.owners);
  }
  return { deleted, opaque, linked };
}

async function* hashed(
  source: AsyncIterable<Buffer>,
  hash: { update(data: Buffer): unknown },
): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
}

function decompressed(job: UnpackJob): AsyncIterable<Buffer> {
  const source = createReadStream(job.archive, { highWaterMark: 1 << 18 });
  const through = job.mediaType.endsWith("gzip")
    ? createGunzip({ chunkSize: 1 << 18 })
    : job.mediaType.endsWith("zstd")
      ? createZstdDecompress({ chunkSize: 1 << 18 })
      : undefined;
  if (through === undefined) return source;
  source.on("error", (error) => through.destroy(error));
  return source.pipe(through);
}

/**
 * The host path of an entry, its parent made if need be. Refuses paths that leave the root, by `..` or through a
 * symbolic link that an earlier entry made.
 */
function place(root: string, path: string): string {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw new Error(`entry ${JSON.stringify(path)} leaves the layer`);
  let at = root;
  for (const part of parts.slice(0, -1)) {
    at = join(at, part);
    const there = lstatSync(at, { throwIfNoEntry: false });
    if (there === undefined) mkdirSync(at, { mode: 0o755 });
    else if (there.isSymbolicLink()) {
      const target = readlinkSync(at);
      const inside = target.startsWith("/") ? target : `/${parentOf(at.slice(root.length + 1))}/${target}`;
      return place(root, `${normalize(inside)}/${parts.slice(parts.indexOf(part) + 1).join("/")}`);
    } else if (!there.isDirectory()) {
      rmSync(at);
      mkdirSync(at, { mode: 0o755 });
    }
  }
  return parts.length === 0 ? root : join(at, parts.at(-1) as string);
}

/** Resolves `..` without ever going above the root, as the kernel does at `/`. */
function normalize(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}

function makeSpecial(entry: TarEntry, target: string, owners: boolean): boolean {
  if (entry.type === "fifo") execFileSync("mkfifo", ["--", target]);
  else if (owners) {
    const kind = entry.type === "character" ? "c" : "b";
    try {
      execFileSync("mknod", ["--", target, kind, String(entry.deviceMajor), String(entry.deviceMinor)], {
        stdio: "ignore",
      });
    } catch {
      return false; // only the real root may make device nodes; containers get their own /dev anyway
    }
  } else return false;
  finish(target, entry, owners);
  return true;
}

function finish(target: string, entry: TarEntry, owners: boolean): void {
  if (owners) lchownSync(target, entry.uid, entry.gid);
  if (entry.type === "symlink") return lutimesSync(target, entry.mtimeSeconds, entry.mtimeSeconds);
  chmodSync(target, entry.mode); // after chown, which clears setuid
  utimesSync(target, entry.mtimeSeconds, entry.mtimeSeconds);
}

/** `rename` onto a folder that has something in it fails: then somebody else was faster with the same content. */
function publish(temporary: string, target: string): void {
  try {
    renameSync(temporary, target);
  } catch (error) {
    if (lstatSync(target, { throwIfNoEntry: false })?.isDirectory() !== true) throw error;
    rmSync(temporary, { recursive: true, force: true });
  }
}

export function flatten(job: FlattenJob, whiteouts: Whiteouts): void {
  const temporary = join(job.directory, `.${job.name}.${randomUUID()}`);
  mkdirSync(temporary, { mode: 0o755 });
  try {
    for (const lower of job.lowers) overlay(join(job.directory, lower), temporary, job.owners);
    for (const path of whiteouts.opaque) {
      const folder = realPath(temporary, path);
      if (folder === undefined) continue;
      for (const name of listing(folder)) rmSync(join(folder, name), { recursive: true, force: true });
    }
    for (const path of whiteouts.deleted) {
      const folder = realPath(temporary, parentOf(path));
      if (folder !== undefined) rmSync(join(folder, basename(path)), { recursive: true, force: true });
    }
    overlay(join(job.directory, job.layer), temporary, job.owners);
    for (const { path, target } of whiteouts.linked ?? []) {
      const [from, to] = [realPath(temporary, parentOf(target)), realPath(temporary, parentOf(path))];
      const source = from === undefined ? undefined : join(from, basename(target));
      if (
        source === undefined ||
        to === undefined ||
        lstatSync(source, { throwIfNoEntry: false }) === undefined
      )
        throw new Error(`${path} is a hard link to ${target}, which is not in the layers below`);
      rmSync(join(to, basename(path)), { recursive: true, force: true });
      linkSync(source, join(to, basename(path)));
    }
    publish(temporary, join(job.directory, job.name));
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw error;
  }
}

/** Lays one tree over another: folders merge and take the upper one's mode, all else is replaced by a hard link. */
function overlay(from: string, to: string, owners: boolean): void {
  for (const name of listing(from)) {
    const source = join(from, name);
    const target = join(to, name);
    const there = lstatSync(target, { throwIfNoEntry: false });
    const entry = lstatSync(source);
    if (!entry.isDirectory()) {
      rmSync(target, { recursive: true, force: true });
      if (entry.isSymbolicLink()) {
        symlinkSync(readlinkSync(source), target);
        if (owners) lchownSync(target, entry.uid, entry.gid);
      } else linkSync(source, target);
      continue;
    }
    if (there?.isDirectory() !== true) {
      rmSync(target, { recursive: true, force: true });
      mkdirSync(target);
    }
    overlay(source, target, owners);
    if (owners) lchownSync(target, entry.uid, entry.gid);
    chmodSync(target, entry.mode & 0o7777);
    utimesSync(target, entry.atime, entry.mtime);
  }
}

function listing(path: string): string[] {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true ? readdirSync(path) : [];
}

/**
 * The host path of a folder of the tree, or undefined where a part is missing or no folder. Never through a symbolic
 * link, which may lead out of the tree: what a layer deletes is deleted here and nowhere else.
 */
function realPath(root: string, path: string): string | undefined {
  let at = root;
  for (const part of path.split("/").filter((name) => name !== "" && name !== ".")) {
    at = join(at, part);
    if (part === ".." || lstatSync(at, { throwIfNoEntry: false })?.isDirectory() !== true) return undefined;
  }
  return at;
}

function parentOf(path: string): string {
  const parent = dirname(path);
  return parent === "." ? "" : parent;
}
