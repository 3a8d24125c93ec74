/**
 * Puts a folder's files into a bucket that is being read. Each file is written beside the bucket and renamed into it,
 * so that a reader meets the old or the new one, never none or half. Files that are gone from the source stay.
 */
import { copyFile, mkdir, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { systemCode } from "@slipway/base";

/** Links are followed, as uploads to object storage do. Throws what the file system says of an unreadable source. */
export async function publishFolder(source: string, bucket: string): Promise<void> {
  const upload = join(dirname(bucket), `.${basename(bucket)}.upload-${process.pid}`);
  await mkdir(bucket, { recursive: true });
  try {
    await publish(source, bucket, upload);
  } finally {
    await rm(upload, { force: true });
  }
}

async function publish(source: string, target: string, upload: string): Promise<void> {
  for (const name of await readdir(source)) {
    const from = join(source, name);
    const to = join(target, name);
    const info = await stat(from);
    if (info.isDirectory()) {
      await mkdir(to, { recursive: true });
      await publish(from, to, upload);
    } else if (info.isFile() && !(await isSame(to, info))) {
      await copyFile(from, upload);
      await utimes(upload, info.atime, info.mtime);
      await rename(upload, to);
    }
  }
}

/** Size and time, as rsync compares them; utimes may lose the part below a millisecond. */
async function isSame(
  file: string,
  wanted: { readonly size: number; readonly mtimeMs: number },
): Promise<boolean> {
  try {
    const found = await stat(file);
    return found.size === wanted.size && Math.abs(found.mtimeMs - wanted.mtimeMs) < 1;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw error;
  }
}
