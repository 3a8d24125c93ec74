/**
 * What a layer was made of, without reading it again: as git's index does, a file whose inode, size and times are what
 * they were has the content that it had. Thousands of files of node_modules then cost a look at each, not a hash.
 *
 * Only files at rest count: one that changed shortly before it was looked at could change again within the same tick of
 * the file system's clock, and look the same. The time that decides is the inode's own (ctime), which no program can set.
 */
import { hash } from "node:crypto";
import type { Stats } from "node:fs";
import type { LayerContent, LayerEntry } from "./layer-entry.ts";
import type { ImageLayout } from "./layout.ts";
import { readRecord, writeRecord } from "./record.ts";

/** Coarser than the times of any file system in use (FAT has 2 s). */
const REST_MS = 2_000;
/** Change when layers of the same entries are made in another way. */
const VERSION = 3;

export interface LayerIds {
  readonly diffId: string;
  readonly contentId: string | undefined;
}

/**
 * What stays the same as long as the file's content does; undefined for a file that is not at rest. Times in ms are exact to
 * 0.3 µs, which is enough: what changes a file at rest makes its ctime seconds newer.
 */
export function stampOf({ dev, ino, size, mtimeMs, ctimeMs }: Stats, nowMs: number): string | undefined {
  return ctimeMs > nowMs - REST_MS ? undefined : `${dev} ${ino} ${size} ${mtimeMs} ${ctimeMs}`;
}

/** Names a layer by all that goes into it; undefined when something in it must be read. `mtime`: seconds, of all. */
export function entriesKey(entries: readonly LayerEntry[], mtime: number): string | undefined {
  const seen: string[] = [`${VERSION} ${mtime}`];
  for (const { path, kind, mode, uid, gid, size, link, xattrs, device, content } of entries) {
    const what = content === undefined ? "" : identityOf(content);
    if (what === undefined) return undefined;
    const rare = xattrs === undefined && device === undefined ? "" : JSON.stringify([xattrs, device]);
    seen.push(`${path}\0${link}\0${kind} ${mode} ${uid} ${gid} ${size} ${what} ${rare}`);
  }
  return hash("sha256", seen.join("\0"));
}

function identityOf(content: LayerContent): string | undefined {
  switch (content.kind) {
    case "bytes":
      return hash("sha256", content.bytes);
    case "path":
      return content.stamp;
    case "open":
      return undefined;
  }
}

const recordOf = (layout: ImageLayout, key: string): string => layout.cachePath("unchanged", `${key}.json`);

export function knownIds(layout: ImageLayout, key: string): LayerIds | undefined {
  return readRecord(recordOf(layout, key));
}

export function rememberIds(layout: ImageLayout, key: string, ids: LayerIds): Promise<void> {
  return writeRecord(recordOf(layout, key), ids);
}
