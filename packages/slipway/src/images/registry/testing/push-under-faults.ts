/** One push and one pull through the fault proxy, and what is promised of them whatever it breaks. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, seededRandom, systemClock } from "@slipway/base";
import { ImageLayout } from "../../layout.ts";
import type { ImageManifest } from "../../oci.ts";
import { createRegistryClient } from "../client.ts";
import { startRegistry } from "../registry.ts";
import { type Book, startFaultProxy } from "./fault-proxy.ts";
import { putImage } from "./images.ts";

export const CHUNK_BYTES = 16 * 1024;
/** Two layers in chunks, one of a single PUT. */
const LAYERS = [100_000, 70_001, 9_000];

export interface FaultRun {
  readonly seed: number;
  readonly book: Book;
  readonly blobBytes: number;
  /** What was promised and did not hold; empty when all is well. */
  readonly broken: readonly string[];
}

/** Waits of the client are skipped: what is measured is what it sends, not how long it sleeps. */
const impatient: Clock = { ...systemClock, sleep: () => Promise.resolve() };

export interface FaultOptions {
  /** How many of a hundred requests are struck. Default 30. */
  readonly percent?: number;
  /** Port of a registry on this machine; without it the embedded one is started. */
  readonly registryPort?: number;
}

export async function pushUnderFaults(seed: number, options: FaultOptions = {}): Promise<FaultRun> {
  const { percent = 30 } = options;
  const folder = await mkdtemp(join(tmpdir(), "slipway-faults-"));
  const registry =
    options.registryPort === undefined
      ? await startRegistry({ directory: join(folder, "registry"), port: 0 })
      : undefined;
  const random = seededRandom(seed);
  const proxy = await startFaultProxy({
    registryPort: registry?.port ?? (options.registryPort as number),
    random,
    percent,
    largest: CHUNK_BYTES,
  });
  const client = createRegistryClient({ clock: impatient, random, chunkBytes: CHUNK_BYTES });
  const broken: string[] = [];
  try {
    const layout = await ImageLayout.open(join(folder, "layout"));
    const image = await putImage(layout, { seed, layers: LAYERS });
    const manifest = await layout.readJson<ImageManifest>(image.digest);
    const blobs = [manifest.config, ...manifest.layers];
    const blobBytes = blobs.reduce((sum, { size }) => sum + size, 0);
    const reference = `${proxy.host}/shop/web:v${seed}`;
    try {
      await client.push(layout, image, reference);
      const stored = await registry?.layout.resolve("shop/web", `v${seed}`);
      if (registry !== undefined && stored?.digest !== image.digest)
        broken.push(`the tag names ${stored?.digest}`);
      for (const { digest } of blobs) await registry?.layout.read(digest);
    } catch (error) {
      broken.push(`the push failed: ${error instanceof Error ? error.message : error}`);
    }
    const book = structuredClone(proxy.book());
    // Distribution 2.8 forgets an upload whose request was cut, so with it a blob may have to begin again.
    if (registry !== undefined && book.longestRepeat > CHUNK_BYTES)
      broken.push(`${book.longestRepeat} bytes were sent twice at once`);
    if (registry !== undefined && book.repeatsOfAcknowledged > 0)
      broken.push(`${book.repeatsOfAcknowledged} × what was acknowledged`);
    if (registry !== undefined && book.sessions > blobs.length)
      broken.push(`${book.sessions} uploads for ${blobs.length} blobs`);
    if (registry !== undefined && book.uploadedBytes > 3 * blobBytes)
      broken.push(`${book.uploadedBytes} bytes for ${blobBytes}`);
    try {
      const copy = await ImageLayout.open(join(folder, "copy"));
      const pulled = await client.pull(reference, copy);
      if (pulled.digest !== image.digest) broken.push(`the pull brought ${pulled.digest}`);
      for (const { digest } of [image, ...blobs]) await copy.read(digest);
    } catch (error) {
      broken.push(`the pull failed: ${error instanceof Error ? error.message : error}`);
    }
    return { seed, book, blobBytes, broken };
  } finally {
    await client.close();
    await proxy.close();
    await registry?.close();
    await rm(folder, { recursive: true, force: true });
  }
}
