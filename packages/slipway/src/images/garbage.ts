/**
 * What a layout stores and nobody needs any more: mark and sweep. Kept are the blobs that a held manifest reaches, those
 * that the caller names (the manifests that a release may go back to), and everything younger than the grace: an upload
 * in progress sends its blobs before the manifest that will hold them.
 */
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { ImageLayout } from "./layout.ts";

export interface Garbage {
  readonly digest: string;
  readonly size: number;
}

export interface SweepOptions {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly graceMs: number;
  /** Digests of manifests that stay with all they reach, though no repository holds them. */
  readonly keep?: readonly string[];
  /** Instead of what the repositories hold: only what these reach stays. For what would be, not for what is. */
  readonly roots?: readonly string[];
  /** Names what would go and deletes nothing. */
  readonly isDryRun?: boolean;
}

export interface Swept {
  readonly blobs: readonly Garbage[];
  /** Bytes of `blobs`, and of uploads that a killed process left half-written. */
  readonly freedBytes: number;
}

export async function collectGarbage(layout: ImageLayout, options: SweepOptions): Promise<Swept> {
  const isOld = (mtimeMs: number): boolean => mtimeMs + options.graceMs <= options.now;
  const remove = async (path: string): Promise<void> => {
    if (options.isDryRun !== true) await rm(path, { force: true });
  };
  const reachable = await layout.reachable(options.keep, options.roots);
  const blobs: Garbage[] = [];
  let freedBytes = 0;
  for (const algorithm of ["sha256", "sha512"]) {
    const folder = join(layout.directory, "blobs", algorithm);
    for (const hex of await readdir(folder).catch(() => [])) {
      const digest = `${algorithm}:${hex}`;
      if (reachable.has(digest)) continue;
      // Looked at right before it goes: a push that relies on a blob has just touched it.
      const facts = await stat(join(folder, hex)).catch(() => undefined);
      if (facts === undefined || !isOld(facts.mtimeMs)) continue;
      await remove(join(folder, hex));
      blobs.push({ digest, size: facts.size });
      freedBytes += facts.size;
    }
  }
  const incoming = layout.cachePath("incoming");
  for (const name of await readdir(incoming).catch(() => [])) {
    const facts = await stat(join(incoming, name)).catch(() => undefined);
    if (facts === undefined || !isOld(facts.mtimeMs)) continue;
    await remove(join(incoming, name));
    freedBytes += facts.size;
  }
  return { blobs, freedBytes };
}
