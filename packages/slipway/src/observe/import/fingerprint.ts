/**
 * Which log a file is, by how it begins: the same when it is compressed, renamed, rotated, or has grown since. What is
 * stored under it is how far it was imported.
 */
import { createHash } from "node:crypto";

/** Enough to tell logs apart whose first lines look alike. */
export const HEAD_BYTES = 1024;

/** A shorter beginning is the key of a whole file only: others may well begin with it. */
const MIN_BYTES = 40;

/**
 * Keys of the stream, the longest beginning first. A log that was shorter than that when it was imported was known by
 * all that it had.
 */
export function streamKeys(head: Buffer, service: string): readonly string[] {
  const longest = Math.min(head.length, HEAD_BYTES);
  const shortest = Math.min(longest, MIN_BYTES);
  return Array.from({ length: longest - shortest + 1 }, (_, index) => {
    const end = longest - index;
    const hash = createHash("sha256").update(head.subarray(0, end)).digest("hex").slice(0, 32);
    return `import/${service}/${end}/${hash}`;
  });
}
