/** The headers of a layer, kept beside the layout by the layer's digest: read once, or known since it was written. */
import type { ImageLayout } from "./layout.ts";
import { readRecord, writeRecord } from "./record.ts";
import type { PlacedEntry } from "./tar.ts";

/** Change when the index's form does: old ones are then made anew. */
const INDEX_VERSION = 3;

/** An image is opened once for each instruction that looks into it: its layers are not parsed anew for that. */
const inMemory = new WeakMap<ImageLayout, Map<string, readonly PlacedEntry[]>>();

export function keptIndex(layout: ImageLayout, digest: string): readonly PlacedEntry[] | undefined {
  const known = memoryOf(layout).get(digest);
  if (known !== undefined) return known;
  const kept = readRecord<{ version: number; entries: PlacedEntry[] }>(recordOf(layout, digest));
  if (kept?.version !== INDEX_VERSION) return undefined;
  memoryOf(layout).set(digest, kept.entries);
  return kept.entries;
}

export async function keepIndex(
  layout: ImageLayout,
  digest: string,
  entries: readonly PlacedEntry[],
): Promise<void> {
  memoryOf(layout).set(digest, entries);
  await writeRecord(recordOf(layout, digest), { version: INDEX_VERSION, entries });
}

function memoryOf(layout: ImageLayout): Map<string, readonly PlacedEntry[]> {
  const memory = inMemory.get(layout) ?? new Map<string, readonly PlacedEntry[]>();
  inMemory.set(layout, memory);
  return memory;
}

const recordOf = (layout: ImageLayout, digest: string): string =>
  layout.cachePath("indexes", `${digest.replace(":", "-")}.json`);
