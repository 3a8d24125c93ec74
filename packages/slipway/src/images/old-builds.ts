/**
 * What builds leave in their layout: each commit makes new manifests and layers, and nobody asks for those of last month.
 * An image's newest manifest stays, and what was built or used within a week; so do bases, which would have to be
 * pulled again. A layer that a build takes again without making it is touched then, and counts as used.
 */
import { existsSync } from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { readCache, writeCache } from "@slipway/base";
import type { Swept } from "./garbage.ts";
import type { ImageLayout } from "./layout.ts";

/** Names of images that were only taken to be checked begin with this: after a week they are taken anew. */
export const CHECKED = "checked/";

const KEEP_FOR_MS = 7 * 86_400_000;
/** A build must not become slower by it. */
const EVERY_MS = 86_400_000;

export interface OldBuilds {
  /** The images of the configuration. */
  readonly images: readonly string[];
  /** Digests of manifests that the next steps need. */
  readonly needed: readonly string[];
}

/** Removes the files of layers that went, from where they lie unpacked; what another layout still has, stays. */
export async function removeFiles(
  { blobs }: Pick<Swept, "blobs">,
  { directory, others = [] }: { readonly directory: string; readonly others?: readonly string[] },
): Promise<void> {
  const isElsewhere = (digest: string): boolean =>
    others.some((layout) => existsSync(join(layout, "blobs", digest.replace(":", "/"))));
  const digests = blobs.map(({ digest }) => digest).filter((digest) => !isElsewhere(digest));
  if (digests.length === 0) return;
  const { removeUnpacked } = await import("@slipway/cluster/sandbox");
  await removeUnpacked(directory, digests);
}

/** Returns what went; undefined when it was looked at within a day. By the layout's own clock. */
export async function removeOldBuilds(layout: ImageLayout, builds: OldBuilds): Promise<Swept | undefined> {
  const now = layout.now();
  const record = layout.cachePath("tidied.json");
  const last = await readCache<{ readonly atMs: number }>(record);
  if (last !== undefined && last.atMs <= now && now < last.atMs + EVERY_MS) return undefined;
  await writeCache(record, { atMs: now });
  const { tidyRegistry } = await import("./registry/tidy.ts"); // most builds go without
  const { swept } = await tidyRegistry(layout, {
    ruleOf: (name) =>
      builds.images.includes(name) || name.startsWith(CHECKED)
        ? { keepLast: 1, keepForMs: KEEP_FOR_MS }
        : undefined,
    needs: { digests: new Set(builds.needed), names: new Set() },
    now,
    graceMs: KEEP_FOR_MS,
    isDryRun: false,
  });
  for (const { digest } of swept.blobs) {
    // What was read from it.
    const name = digest.replace(":", "-");
    for (const place of [layout.cachePath("indexes", `${name}.json`), layout.cachePath("contents", name)])
      await rm(place, { recursive: true, force: true });
  }
  await removeFiles(swept, { directory: layout.cachePath("unpacked") });
  await removeOldRecords(layout, now - KEEP_FOR_MS);
  return swept;
}

/** What files, blocks and documents were: each build with a change adds some, and one that is missed is made again. */
const GROWING = ["unchanged", "members", "attached", "layers"];

async function removeOldRecords(layout: ImageLayout, beforeMs: number): Promise<void> {
  for (const folder of GROWING.map((name) => layout.cachePath(name))) {
    for (const name of await readdir(folder).catch(() => [])) {
      const path = join(folder, name);
      const facts = await stat(path).catch(() => undefined);
      if (facts !== undefined && facts.mtimeMs < beforeMs) await rm(path, { force: true }).catch(() => {});
    }
  }
}
