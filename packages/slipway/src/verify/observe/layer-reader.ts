/**
 * Contents of files in compressed layers without unpacking a layer for each of them: what is wanted of a layer is taken in
 * one pass, and small contents are kept beside the layout, by layer digest and place, for the next run.
 */
import { readFile } from "node:fs/promises";
import type { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { systemCode, writeAtomic } from "@slipway/base";
import type { FileNode } from "../../images/file-node.ts";
import type { ImageFiles } from "../../images/layers.ts";
import type { ImageLayout } from "../../images/layout.ts";
import type { Descriptor } from "../../images/oci.ts";

/** Smaller ones are unpacked in memory in no time. */
const BIG_LAYER = 256 * 1024;
/** Bigger contents are not kept. */
const KEEP_BYTES = 4 * 1024 * 1024;

export interface Range {
  readonly offset: number;
  readonly length: number;
}

export class LayerReader {
  readonly #layout: ImageLayout;
  readonly #layers: readonly Descriptor[];
  readonly #files: ImageFiles;

  constructor(layout: ImageLayout, layers: readonly Descriptor[], files: ImageFiles) {
    this.#layout = layout;
    this.#layers = layers;
    this.#files = files;
  }

  async read(node: FileNode, limit = Number.POSITIVE_INFINITY): Promise<Uint8Array> {
    const length = Math.min(node.size, limit);
    const layer = this.#layers[node.layer];
    if (layer === undefined || !isBig(layer) || length > KEEP_BYTES || length === 0) {
      return this.#files.read(node, limit);
    }
    const kept = await this.#kept(layer, { offset: node.offset, length });
    if (kept !== undefined) return kept;
    await this.fetch([{ node, length }]);
    return (await this.#kept(layer, { offset: node.offset, length })) ?? this.#files.read(node, limit);
  }

  /** Takes contents that will be read, one pass for each layer, and keeps them. */
  async fetch(wanted: readonly { readonly node: FileNode; readonly length: number }[]): Promise<void> {
    for (const [position, own] of Map.groupBy(wanted, ({ node }) => node.layer)) {
      const layer = this.#layers[position];
      if (layer === undefined || !isBig(layer)) continue;
      const missing: Range[] = [];
      for (const { node, length } of own) {
        const range = { offset: node.offset, length };
        if (length > 0 && length <= KEEP_BYTES && (await this.#kept(layer, range)) === undefined)
          missing.push(range);
      }
      if (missing.length === 0) continue;
      for await (const { range, bytes } of takeRanges(await openUnpacked(this.#layout, layer), missing)) {
        await writeAtomic(this.#path(layer, range), Buffer.from(bytes).toString("base64"));
      }
    }
  }

  /** Contents of one layer in the order in which they lie there; nothing is kept. */
  async *through(
    position: number,
    nodes: readonly FileNode[],
  ): AsyncGenerator<{ offset: number; bytes: Uint8Array }> {
    const layer = this.#layers[position] as Descriptor;
    const ranges = nodes.map(({ offset, size }) => ({ offset, length: size }));
    if (isBig(layer)) {
      for await (const { range, bytes } of takeRanges(await openUnpacked(this.#layout, layer), ranges)) {
        yield { offset: range.offset, bytes };
      }
      return;
    }
    for (const node of nodes) yield { offset: node.offset, bytes: await this.#files.read(node) };
  }

  async #kept(layer: Descriptor, range: Range): Promise<Uint8Array | undefined> {
    try {
      return Buffer.from(await readFile(this.#path(layer, range), "utf8"), "base64");
    } catch (error) {
      if (systemCode(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  #path(layer: Descriptor, { offset, length }: Range): string {
    return this.#layout.cachePath("contents", layer.digest.replace(":", "-"), `${offset}-${length}`);
  }
}

const compressionOf = ({ mediaType }: Descriptor): "gzip" | "zstd" | undefined =>
  /[.+]gzip$/.test(mediaType) ? "gzip" : /[.+]zstd$/.test(mediaType) ? "zstd" : undefined;

const isBig = (layer: Descriptor): boolean => compressionOf(layer) !== undefined && layer.size > BIG_LAYER;

async function openUnpacked(layout: ImageLayout, layer: Descriptor): Promise<Readable> {
  const source = await layout.openBlob(layer.digest);
  const unpack = compressionOf(layer) === "gzip" ? createGunzip() : createZstdDecompress();
  source.on("error", (error) => unpack.destroy(error));
  unpack.on("close", () => source.destroy());
  return source.pipe(unpack);
}

/** Parts of a stream, in their order; two that are the same are given once. The stream ends after the last. */
export async function* takeRanges(
  stream: Readable,
  ranges: readonly Range[],
): AsyncGenerator<{ readonly range: Range; readonly bytes: Uint8Array }> {
  const pending = [
    ...new Map(ranges.map((range) => [`${range.offset}-${range.length}`, range])).values(),
  ].sort((a, b) => a.offset - b.offset || a.length - b.length);
  let position = 0;
  let held: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      for (let next = pending[0]; next !== undefined; next = pending[0]) {
        const end = next.offset + next.length;
        if (position + held.length < end) break;
        yield { range: next, bytes: Buffer.from(held.subarray(next.offset - position, end - position)) };
        pending.shift();
      }
      const [first] = pending;
      if (first === undefined) return;
      const drop = Math.min(held.length, Math.max(0, first.offset - position));
      held = held.subarray(drop);
      position += drop;
    }
  } finally {
    stream.destroy();
  }
}
