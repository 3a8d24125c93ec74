/**
 * A running container's file system, read through /proc/PID/root: what is mounted there is seen as the container sees it,
 * and nothing runs inside. Symbolic links are followed here, part by part, because the kernel would follow an absolute
 * one out of the container; `..` never leads out.
 */
import { constants, type Dirent, lstatSync, readdirSync, readlinkSync, type Stats } from "node:fs";
import { open } from "node:fs/promises";
import { posix } from "node:path";
import { systemCode } from "@slipway/base/error";
import type { ContainerFiles, FileFacts, FoundFile } from "../engine.ts";

const LINKS_MAX = 40; // as the kernel
/** Not the image's: the kernel's and the engine's. */
const HIDDEN = ["/proc", "/sys", "/dev"];

export interface RootEntry {
  readonly path: string;
  readonly file: FileFacts;
}

/** `root`: `/proc/PID/root`, or any folder that holds a root file system. */
export function lookupIn(root: string, path: string, isLinkKept = false): FoundFile {
  const rest = partsOf(path);
  let at = "/";
  let links = 0;
  for (let part = rest.shift(); part !== undefined; part = rest.shift()) {
    if (part === "..") {
      at = posix.dirname(at);
      continue;
    }
    const next = posix.join(at, part);
    const stat = statOf(root, next);
    if (typeof stat === "string") return { kind: "unknown", why: stat };
    if (stat === undefined) return { kind: "absent", why: `${next} does not exist` };
    if (stat.isSymbolicLink() && !(isLinkKept && rest.length === 0)) {
      links += 1;
      if (links > LINKS_MAX)
        return { kind: "unknown", why: `${path} goes through more than ${LINKS_MAX} links` };
      const target = readlinkSync(root + next);
      if (target.startsWith("/")) at = "/";
      rest.unshift(...partsOf(target));
      continue;
    }
    if (rest.length > 0 && !stat.isDirectory()) return { kind: "absent", why: `${next} is not a directory` };
    at = next;
  }
  const stat = statOf(root, at);
  if (typeof stat === "string") return { kind: "unknown", why: stat };
  if (stat === undefined) return { kind: "absent", why: `${at} does not exist` };
  return { kind: "found", path: at, file: factsOf(stat, root + at) };
}

/** At most `limit` bytes. Throws with the reason when it is not a file that can be read. */
export async function readIn(root: string, path: string, limit = Number.POSITIVE_INFINITY): Promise<Buffer> {
  const found = lookupIn(root, path);
  if (found.kind !== "found") throw new Error(found.why);
  if (found.file.kind !== "file") throw new Error(`${found.path} is a ${found.file.kind}, not a file`);
  // Without following: between the look and this a program of the container may have put a link there.
  const file = await open(
    root + found.path,
    constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
  );
  try {
    const pieces: Buffer[] = [];
    let length = 0;
    while (length < limit) {
      const piece = Buffer.alloc(Math.min(64 * 1024, limit - length));
      const { bytesRead } = await file.read(piece, 0, piece.length, null);
      if (bytesRead === 0) break;
      pieces.push(piece.subarray(0, bytesRead));
      length += bytesRead;
    }
    return Buffer.concat(pieces);
  } finally {
    await file.close();
  }
}

/** Every path but those of /proc, /sys and /dev, sorted bytewise. Throws when a folder cannot be read. */
export function entriesIn(root: string): RootEntry[] {
  const found: RootEntry[] = [];
  const waiting = ["/"];
  for (let folder = waiting.pop(); folder !== undefined; folder = waiting.pop()) {
    for (const entry of childrenOf(root, folder)) {
      const path = posix.join(folder, entry.name);
      if (HIDDEN.includes(path)) continue;
      const stat = statOf(root, path);
      if (typeof stat === "string") throw new Error(stat);
      if (stat === undefined) continue; // removed meanwhile
      found.push({ path, file: factsOf(stat, root + path) });
      if (stat.isDirectory()) waiting.push(path);
    }
  }
  return found.sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
}

export function filesIn(root: string): ContainerFiles {
  return {
    lookup: async (path, options) => lookupIn(root, path, options?.isLinkKept),
    entries: async function* () {
      yield* entriesIn(root);
    },
    read: (path, limit) => readIn(root, path, limit),
  };
}

function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

function childrenOf(root: string, folder: string): readonly Dirent[] {
  try {
    return readdirSync(root + folder, { withFileTypes: true });
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  }
}

/** A text: why it cannot be seen. */
function statOf(root: string, path: string): Stats | string | undefined {
  try {
    return lstatSync(root + path);
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") {
      // A process that has ended has no root any more, which is not the same as a path that is not there.
      return isThere(root) ? undefined : `${root} is gone: the process has ended`;
    }
    return `${path} cannot be looked at: ${code ?? String(error)}`;
  }
}

function isThere(root: string): boolean {
  try {
    lstatSync(`${root}/`);
    return true;
  } catch {
    return false;
  }
}

function factsOf(stat: Stats, at: string): FileFacts {
  const kind = kindOf(stat);
  return {
    kind,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    gid: stat.gid,
    size: kind === "file" ? stat.size : 0, // of a folder it would be the file system's business
    mtime: Math.floor(stat.mtimeMs / 1000),
    link: kind === "symlink" ? readlinkSync(at) : "",
  };
}

function kindOf(stat: Stats): FileFacts["kind"] {
  if (stat.isFile()) return "file";
  if (stat.isDirectory()) return "directory";
  if (stat.isSymbolicLink()) return "symlink";
  if (stat.isCharacterDevice()) return "character";
  if (stat.isBlockDevice()) return "block";
  return stat.isFIFO() ? "fifo" : "socket";
}
