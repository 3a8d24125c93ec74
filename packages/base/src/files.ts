import { randomUUID } from "node:crypto";
import {
  closeSync,
  fsync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFile,
  writeFileSync,
} from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { systemCode } from "./error.ts";

/** Writes a file so that a reader, or a crash, sees the old content or the new one, never a part. */
export function writeAtomic(path: string, data: string | Uint8Array, mode = 0o644): Promise<void> {
  return replace(path, data, mode, true);
}

/**
 * Writes what can be made again. A reader sees all of it or what was there before; after a power cut the file may be
 * empty, because waiting for the disk would cost more than making it again. `readCache` reads it.
 */
export function writeCache(path: string, value: unknown): Promise<void> {
  return writeCacheText(path, JSON.stringify(value));
}

/** Like `writeCache`, for a form of its own. */
export function writeCacheText(path: string, text: string): Promise<void> {
  return replace(path, text, 0o644, false);
}

/** What `writeCache` wrote; undefined when it is not there, or not whole. */
export async function readCache<T>(path: string): Promise<T | undefined> {
  const text = await readTextIfExists(path);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined;
  }
}

/** What is written and read at once: the way to another thread and back takes longer than the file system does. */
const SMALL_BYTES = 256 * 1024;

async function replace(
  path: string,
  data: string | Uint8Array,
  mode: number,
  isFlushed: boolean,
): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  const file = openInFolder(temporary, path, mode);
  try {
    try {
      if (data.length <= SMALL_BYTES) writeFileSync(file, data);
      else await promisify(writeFile)(file, data);
      // The disk is another matter.
      if (isFlushed) await promisify(fsync)(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Most folders are there. A refusal is of `path`: people know nothing of the other file. */
function openInFolder(temporary: string, path: string, mode: number): number {
  try {
    return openSync(temporary, "wx", mode);
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw Object.assign(error as Error, { path });
    mkdirSync(dirname(path), { recursive: true });
    return openSync(temporary, "wx", mode);
  }
}

/** The text of a file, or undefined when there is none. */
export async function readTextIfExists(path: string): Promise<string | undefined> {
  try {
    return statSync(path).size <= SMALL_BYTES ? readFileSync(path, "utf8") : await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
