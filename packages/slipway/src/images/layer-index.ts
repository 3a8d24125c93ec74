/**
 * The headers of a layer, kept beside the layout by the layer's digest: read once, or known since it was written. Files that
 * follow one another in a folder, with the same owner and mode, are one run: a layer of thousands is a few hundred of them.
 */
import type { ImageLayout } from "./layout.ts";
import { readRecord, writeRecord } from "./record.ts";
import type { PlacedEntry } from "./tar.ts";

/** Change when the index's form does: old ones are then made anew. */
const INDEX_VERSION = 4;

/** Plain files of one folder, as they follow one another. */
export interface FileRun {
  readonly folder: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  /** With slashes between them. */
  readonly names: string;
  readonly sizes: readonly number[];
  readonly offsets: readonly number[];
}

/** In the layer's order. */
export type LayerIndex = readonly (PlacedEntry | FileRun)[];

export const isRun = (one: PlacedEntry | FileRun): one is FileRun => "names" in one;

/** What a layer says by a file's name is no plain file. */
export const WHITEOUT = ".wh.";

export function indexOf(entries: readonly PlacedEntry[]): LayerIndex {
  const index: (PlacedEntry | FileRun)[] = [];
  let run:
    | { facts: PlacedEntry; folder: string; names: string[]; sizes: number[]; offsets: number[] }
    | undefined;
  const end = (): void => {
    if (run === undefined) return;
    const { facts, folder, names, sizes, offsets } = run;
    const { mode, uid, gid, mtime } = facts;
    index.push({ folder, mode, uid, gid, mtime, names: names.join("/"), sizes, offsets });
    run = undefined;
  };
  for (const entry of entries) {
    const slash = entry.path.lastIndexOf("/");
    const [folder, name] = [entry.path.slice(0, Math.max(0, slash)), entry.path.slice(slash + 1)];
    if (entry.kind !== "file" || entry.xattrs !== undefined || name === "" || name.startsWith(WHITEOUT)) {
      end();
      index.push(entry);
      continue;
    }
    if (run?.folder !== folder || !haveSameFacts(run.facts, entry)) {
      end();
      run = { facts: entry, folder, names: [], sizes: [], offsets: [] };
    }
    run.names.push(name);
    run.sizes.push(entry.size);
    run.offsets.push(entry.offset);
  }
  end();
  return index;
}

const haveSameFacts = (a: PlacedEntry, b: PlacedEntry): boolean =>
  a.mode === b.mode && a.uid === b.uid && a.gid === b.gid && a.mtime === b.mtime;

/** An image is opened once for each instruction that looks into it: its layers are not parsed anew for that. */
const inMemory = new WeakMap<ImageLayout, Map<string, LayerIndex>>();

export function keptIndex(layout: ImageLayout, digest: string): LayerIndex | undefined {
  const known = memoryOf(layout).get(digest);
  if (known !== undefined) return known;
  const kept = readRecord<{ version: number; index: LayerIndex }>(recordOf(layout, digest));
  if (kept?.version !== INDEX_VERSION) return undefined;
  memoryOf(layout).set(digest, kept.index);
  return kept.index;
}

export async function keepIndex(
  layout: ImageLayout,
  digest: string,
  entries: readonly PlacedEntry[],
): Promise<LayerIndex> {
  const index = indexOf(entries);
  memoryOf(layout).set(digest, index);
  await writeRecord(recordOf(layout, digest), { version: INDEX_VERSION, index });
  return index;
}

function memoryOf(layout: ImageLayout): Map<string, LayerIndex> {
  const memory = inMemory.get(layout) ?? new Map<string, LayerIndex>();
  inMemory.set(layout, memory);
  return memory;
}

const recordOf = (layout: ImageLayout, digest: string): string =>
  layout.cachePath("indexes", `${digest.replace(":", "-")}.json`);
