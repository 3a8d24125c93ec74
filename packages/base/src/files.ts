import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
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

async function replace(
  path: string,
  data: string | Uint8Array,
  mode: number,
  isFlushed: boolean,
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    const file = await open(temporary, "wx", mode);
    try {
      await file.writeFile(data);
      if (isFlushed) await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** The text of a file, or undefined when there is none. */
export async function readTextIfExists(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
