/**
 * From what a command left in overlay's upper folder to the entries of a layer. Overlay writes a deleted file as a
 * character device 0:0 and a folder that hides what was below it with an attribute; a layer writes both as files
 * with a name (OCI image specification, layer.md, "Whiteouts").
 *
 * Owners, modes, links, capabilities and user attributes are kept; times are not, so that the same command gives the
 * same layer.
 */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { posix } from "node:path";
import { Readable } from "node:stream";
import { SlipwayError } from "@slipway/base";
import { bytesEntry, type LayerEntry } from "../layer-entry.ts";
import type { ImageFiles } from "../layers.ts";
import { normalPath, type PlacedEntry, readerOf, readTar } from "../tar.ts";

/** `archive`: a tar of the upper folder. `lower`: what the command began with. */
export async function changedEntries(archive: string, lower: ImageFiles): Promise<readonly LayerEntry[]> {
  const file = await open(archive, "r");
  const placed: PlacedEntry[] = [];
  try {
    for await (const entry of readTar(readerOf(file), archive)) placed.push(entry);
  } finally {
    await file.close();
  }
  return withoutUnchanged(
    placed.flatMap((entry) => layerEntries(entry, archive)),
    lower,
  );
}

function layerEntries(entry: PlacedEntry, archive: string): readonly LayerEntry[] {
  if (entry.path === "") return []; // the root folder is the base's
  if (entry.path.includes("\ufffd") || entry.link.includes("\ufffd")) throw notText(entry.path);
  const folder = posix.dirname(entry.path);
  const name = posix.basename(entry.path);
  const sibling = (other: string): string => (folder === "." ? other : `${folder}/${other}`);
  if (entry.kind === "character" && entry.device?.[0] === 0 && entry.device[1] === 0) {
    return [bytesEntry(sibling(`.wh.${name}`), "", { mode: 0 })];
  }
  const { offset, mtime: _, xattrs = {}, ...rest } = entry;
  const facts = entry.kind === "link" ? { ...rest, link: normalPath(entry.link) } : rest;
  const kept = Object.entries(xattrs).filter(([key]) => !/^(?:trusted|user)\.overlay\./.test(key));
  const own: LayerEntry = {
    ...facts,
    ...(kept.length === 0 ? {} : { xattrs: Object.fromEntries(kept) }),
    content:
      entry.kind === "file"
        ? { kind: "open", open: () => Promise.resolve(part(archive, offset, entry.size)) }
        : undefined,
  };
  const isOpaque = Object.entries(xattrs).some(
    ([key, value]) => key.endsWith(".overlay.opaque") && value === "y",
  );
  return isOpaque ? [own, bytesEntry(`${entry.path}/.wh..wh..opq`, "", { mode: 0 })] : [own];
}

const part = (archive: string, offset: number, size: number): Readable =>
  size === 0
    ? Readable.from([])
    : createReadStream(archive, { start: offset, end: offset + size - 1, highWaterMark: 1024 * 1024 });

/** Overlay copies every folder above a change; one that is as it was, and holds no change, says nothing. */
function withoutUnchanged(entries: readonly LayerEntry[], lower: ImageFiles): readonly LayerEntry[] {
  const needed = new Set<string>();
  const changed = entries.filter((entry) => entry.kind !== "directory" || !isSame(entry, lower));
  for (const { path } of changed) {
    for (let folder = posix.dirname(path); folder !== "."; folder = posix.dirname(folder)) needed.add(folder);
  }
  const kept = new Set(changed);
  return entries.filter((entry) => kept.has(entry) || needed.has(entry.path));
}

function isSame(entry: LayerEntry, lower: ImageFiles): boolean {
  const found = lower.lookup(`/${entry.path}`, { isLinkKept: true });
  if (found.kind !== "found" || found.path !== `/${entry.path}` || found.node.kind !== "directory")
    return false;
  const { mode, uid, gid } = found.node;
  return mode === entry.mode && uid === entry.uid && gid === entry.gid && entry.xattrs === undefined;
}

function notText(path: string): SlipwayError {
  return new SlipwayError({
    code: "IMAGE_NAME_NOT_TEXT",
    where: `/${path}`,
    message: "the command made a file whose name is not UTF-8, which this builder does not carry",
    hint: "Remove it in the same RUN, or build with an engine: --builder docker.",
    exitCode: 1,
  });
}
