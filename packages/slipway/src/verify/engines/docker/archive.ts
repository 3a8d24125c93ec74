/** Folders and files of this machine as the archives that an engine unpacks into a container (PUT …/archive). */
import { createReadStream, type Stats, statSync } from "node:fs";
import { lstat, readdir, readlink, stat } from "node:fs/promises";
import { join } from "node:path";
import { SlipwayError, systemCode } from "@slipway/base";
import { padding, TAR_END, type TarKind, tarHeader } from "../../../images/tar.ts";
import type { SourceKind } from "./copies.ts";

/** A link counts as what it leads to, as when it is mounted. */
export function kindOnThisMachine(source: string): SourceKind {
  try {
    const facts = statSync(source);
    if (facts.isDirectory()) return "folder";
    return facts.isFile() ? "file" : "other";
  } catch (error) {
    if (systemCode(error) === "ENOENT") return "absent";
    throw error;
  }
}

/**
 * The folder under another name, with what is in it; owners, modes and times as they are here. Sockets and devices are left
 * out. Without a name it is only what is in it: of `.` neither Docker nor Podman takes owner and mode.
 */
export async function* folderArchive(source: string, name: string): AsyncGenerator<Uint8Array> {
  if (name !== "") yield header(name, "directory", await stat(source));
  yield* within(source, name);
  yield TAR_END;
}

/** `path`: of the file in the archive. */
export async function* fileArchive(source: string, path: string): AsyncGenerator<Uint8Array> {
  yield* file(source, path, await stat(source));
  yield TAR_END;
}

async function* within(folder: string, path: string): AsyncGenerator<Uint8Array> {
  for (const name of (await readdir(folder)).sort()) {
    const [source, below] = [join(folder, name), path === "" ? name : `${path}/${name}`];
    const facts = await lstat(source);
    if (facts.isDirectory()) {
      yield header(below, "directory", facts);
      yield* within(source, below);
    } else if (facts.isSymbolicLink()) yield header(below, "symlink", facts, await readlink(source));
    else if (facts.isFile()) yield* file(source, below, facts);
  }
}

async function* file(source: string, path: string, facts: Stats): AsyncGenerator<Uint8Array> {
  yield header(path, "file", facts);
  let size = 0;
  // Not more than was promised: a log may grow meanwhile.
  if (facts.size > 0) {
    for await (const chunk of createReadStream(source, { end: facts.size - 1 })) {
      size += (chunk as Buffer).length;
      yield chunk as Buffer;
    }
  }
  if (size < facts.size) throw shorter(source);
  yield Buffer.alloc(padding(size));
}

function header(path: string, kind: TarKind, facts: Stats, link = ""): Buffer {
  const { mode, uid, gid, mtimeMs } = facts;
  const size = kind === "file" ? facts.size : 0;
  return tarHeader({ path, kind, mode: mode & 0o7777, uid, gid, size, mtime: mtimeMs / 1000, link });
}

function shorter(source: string): SlipwayError {
  return new SlipwayError({
    code: "ENGINE_COPY_CHANGED",
    where: source,
    message: "the file became shorter while it was copied to the engine",
    hint: "Stop what writes to it, and run it again.",
    exitCode: 3,
  });
}
