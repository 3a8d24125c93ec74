/**
 * Reads the files of an image without unpacking it: each layer's headers are indexed once (and kept as JSON beside
 * the layout, by layer digest), the layers are laid over one another as an overlay mount would, and a file's bytes
 * are read from where they lie in the layer.
 *
 * How layers combine (and what an overlay mount shows): an entry takes the place of what was at its path, except
 * that a directory over a directory keeps the children. `.wh.NAME` removes NAME of the layers below; `.wh..wh..opq`
 * removes everything of the layers below from its directory. Both act on the real path: a whiteout never reaches
 * through a symbolic link of a lower layer, and what a layer says itself stays, whatever the order of its entries.
 *
 * Source: OCI image specification, layer.md ("Applying Changesets", "Whiteouts").
 */
import { open } from "node:fs/promises";
import type { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { SlipwayError } from "@slipway/base";
import { emptyDirectory, type FileNode, nodeOf } from "./file-node.ts";
import { isRun, keepIndex, keptIndex, type LayerIndex, WHITEOUT } from "./layer-index.ts";
import type { ImageLayout } from "./layout.ts";
import type { Descriptor, ImageManifest } from "./oci.ts";
import { HeaderWalk, normalPath, type PlacedEntry, padding, readerOf, readTar } from "./tar.ts";

const MAX_SYMLINKS = 40;
export type Lookup =
  | { readonly kind: "found"; readonly node: FileNode; readonly path: string }
  | { readonly kind: "absent"; readonly why: string }
  /** The layers cannot say: a loop of links, or a hard link to nowhere. */
  | { readonly kind: "unknown"; readonly why: string };

export class ImageFiles {
  readonly #layout: ImageLayout;
  readonly #layers: readonly Descriptor[];
  readonly #root: FileNode;
  /** Uncompressed content of compressed layers, newest last, while it is small enough to keep. */
  readonly #unpacked = new Map<string, Buffer>();

  constructor(layout: ImageLayout, layers: readonly Descriptor[], root: FileNode) {
    this.#layout = layout;
    this.#layers = layers;
    this.#root = root;
  }

  static async open(layout: ImageLayout, manifest: Pick<ImageManifest, "layers">): Promise<ImageFiles> {
    let root = emptyDirectory(0);
    for (const [position, layer] of manifest.layers.entries()) {
      root = applyLayer(root, await indexLayer(layout, layer), position);
    }
    return new ImageFiles(layout, manifest.layers, root);
  }

  /** These files with one more layer over them. What is laid over takes these over: they are not to be used any more. */
  async under(layer: Descriptor): Promise<ImageFiles> {
    const root = applyLayer(this.#root, await indexLayer(this.#layout, layer), this.#layers.length);
    return new ImageFiles(this.#layout, [...this.#layers, layer], root);
  }

  /**
   * Looks a path up as a process in the container would, following links component by component inside the root.
   * With `isLinkKept`, a link at the end is returned itself.
   */
  lookup(path: string, options: { readonly isLinkKept?: boolean } = {}): Lookup {
    return lookupIn(this.#root, path, options.isLinkKept === true);
  }

  /** Every path below the root with its node, sorted, links not followed. */
  *entries(): Generator<{ readonly path: string; readonly node: FileNode }> {
    yield* walk(this.#root, "");
  }

  /** Everything that has one of these names and is no folder, in no order, links not followed. */
  visitNamed(names: readonly string[], see: (path: string, node: FileNode) => void): void {
    visitNamed(this.#root, "", names, see);
  }

  /** The bytes of a file. `limit` cuts long ones. */
  async read(node: FileNode, limit = Number.POSITIVE_INFINITY): Promise<Buffer> {
    const length = Math.min(node.size, limit);
    if (length === 0) return Buffer.alloc(0);
    const layer = this.#layers[node.layer];
    if (layer === undefined || node.kind !== "file") throw new TypeError("only files have content");
    if (compressionOf(layer) === "none") return this.#readAt(layer, node.offset, length);
    const kept = this.#unpacked.get(layer.digest) ?? (await this.#unpack(layer));
    if (kept !== undefined) return kept.subarray(node.offset, node.offset + length);
    return readPart(await openUnpacked(this.#layout, layer), node.offset, length);
  }

  async readText(node: FileNode): Promise<string> {
    return (await this.read(node)).toString("utf8");
  }

  async #readAt(layer: Descriptor, offset: number, length: number): Promise<Buffer> {
    const file = await open(this.#layout.blobPath(layer.digest), "r");
    try {
      return await readerOf(file)(offset, length);
    } finally {
      await file.close();
    }
  }

  /** Layers up to 32 MB are unpacked in memory once; bigger ones are streamed to the wanted byte each time. */
  async #unpack(layer: Descriptor): Promise<Buffer | undefined> {
    const KEEP_BYTES = 32 * 1024 * 1024;
    if (layer.size > KEEP_BYTES / 2) return undefined;
    const chunks: Buffer[] = [];
    let size = 0;
    const stream = await openUnpacked(this.#layout, layer);
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > KEEP_BYTES) {
        stream.destroy();
        return undefined;
      }
      chunks.push(chunk);
    }
    const whole = Buffer.concat(chunks);
    if (this.#unpacked.size >= 4) this.#unpacked.delete(this.#unpacked.keys().next().value as string);
    this.#unpacked.set(layer.digest, whole);
    return whole;
  }
}

// One layer

/** The headers of a layer in their order, from the cache when it was indexed before. */
async function indexLayer(layout: ImageLayout, layer: Descriptor): Promise<LayerIndex> {
  const kept = keptIndex(layout, layer.digest);
  if (kept !== undefined) return kept;
  const entries: PlacedEntry[] = [];
  if (compressionOf(layer) === "none") {
    if ((await layout.size(layer.digest)) === undefined) await layout.read(layer.digest); // throws the clear error
    const file = await open(layout.blobPath(layer.digest), "r");
    try {
      for await (const entry of readTar(readerOf(file), layer.digest)) entries.push(entry);
    } finally {
      await file.close();
    }
  } else {
    for await (const entry of readTarStream(await openUnpacked(layout, layer), layer.digest))
      entries.push(entry);
  }
  return keepIndex(layout, layer.digest, entries);
}

function compressionOf(layer: Descriptor): "none" | "gzip" | "zstd" {
  if (/[.+]gzip$/.test(layer.mediaType)) return "gzip";
  if (/[.+]zstd$/.test(layer.mediaType)) return "zstd";
  return "none";
}

/** The layer's tar as a stream, its digest checked as it flows. */
async function openUnpacked(layout: ImageLayout, layer: Descriptor): Promise<Readable> {
  const source = await layout.openBlob(layer.digest);
  const compression = compressionOf(layer);
  if (compression === "none") return source;
  const unpack = compression === "gzip" ? createGunzip() : createZstdDecompress();
  source.on("error", (error) => unpack.destroy(error));
  unpack.on("close", () => source.destroy());
  return source.pipe(unpack);
}

/** Like `readTar`, for an archive that can only be read forwards. */
async function* readTarStream(stream: Readable, where: string): AsyncGenerator<PlacedEntry> {
  const walk = new HeaderWalk(where);
  const feed = new Feed(stream);
  for (;;) {
    const offset = feed.offset;
    const block = await feed.take(512);
    if (block.length < 512) {
      if (block.length === 0) return;
      throw truncated(where, offset);
    }
    const step = walk.header(block, offset);
    if (step.kind === "end") break;
    if (step.kind === "extension") {
      walk.extension(step.flag, await feed.take(step.size), offset);
      await feed.skip(padding(step.size), where);
    } else {
      yield step.entry;
      const size = step.entry.kind === "file" ? step.entry.size : 0;
      await feed.skip(size + padding(size), where);
    }
  }
  await feed.drain(); // to the end, so that the digest is checked
}

class Feed {
  readonly #source: AsyncIterator<Buffer>;
  #chunk: Buffer = Buffer.alloc(0);
  offset = 0;

  constructor(stream: Readable) {
    this.#source = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  async take(length: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    let missing = length;
    while (missing > 0 && (await this.#fill())) {
      const part = this.#chunk.subarray(0, missing);
      this.#chunk = this.#chunk.subarray(part.length);
      parts.push(part);
      missing -= part.length;
    }
    this.offset += length - missing;
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }

  async skip(length: number, where: string): Promise<void> {
    let missing = length;
    while (missing > 0) {
      if (!(await this.#fill())) throw truncated(where, this.offset);
      const step = Math.min(missing, this.#chunk.length);
      this.#chunk = this.#chunk.subarray(step);
      missing -= step;
      this.offset += step;
    }
  }

  async drain(): Promise<void> {
    while (await this.#fill()) this.#chunk = Buffer.alloc(0);
  }

  async #fill(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      const next = await this.#source.next();
      if (next.done === true) return false;
      this.#chunk = next.value;
    }
    return true;
  }
}

async function readPart(stream: Readable, offset: number, length: number): Promise<Buffer> {
  const feed = new Feed(stream);
  await feed.skip(offset, "layer");
  const part = await feed.take(length);
  stream.destroy();
  return part;
}

// All layers

const OPAQUE = ".wh..wh..opq";

/** Lays one layer over `root` (which it changes) and returns the new root. */
function applyLayer(root: FileNode, index: LayerIndex, layer: number): FileNode {
  // Whiteouts first: they mean the layers below, wherever they stand among this layer's entries.
  for (const entry of index) {
    if (isRun(entry)) continue;
    const name = baseName(entry.path);
    if (name === OPAQUE) realDirectory(root, parentPath(entry.path))?.children?.clear();
    else if (name.startsWith(WHITEOUT)) {
      realDirectory(root, parentPath(entry.path))?.children?.delete(name.slice(WHITEOUT.length));
    }
  }
  let top = root;
  for (const entry of index) {
    if (isRun(entry)) parentFor(top, entry.folder, layer).children?.setRun(entry, layer);
    else if (!baseName(entry.path).startsWith(WHITEOUT)) top = place(top, entry, layer);
  }
  return top;
}

function place(root: FileNode, entry: PlacedEntry, layer: number): FileNode {
  if (entry.path === "") {
    return entry.kind === "directory" ? { ...nodeOf(entry, layer), children: root.children } : root;
  }
  const parent = parentFor(root, parentPath(entry.path), layer);
  const name = baseName(entry.path);
  if (entry.kind === "link") {
    const target = lookupIn(root, `/${normalPath(entry.link)}`, true);
    if (target.kind !== "found" || target.node.kind === "directory") {
      throw new SlipwayError({
        code: "IMAGE_LAYER_INVALID",
        where: entry.path,
        message: `is a hard link to ${entry.link}, which is not in the image before it`,
        hint: "The layer was written wrongly; build the image again.",
        exitCode: 1,
      });
    }
    parent.children?.set(name, target.node);
    return root;
  }
  const node = nodeOf(entry, layer);
  const before = parent.children?.get(name);
  const isMerge = node.kind === "directory" && before?.kind === "directory";
  parent.children?.set(name, isMerge ? { ...node, children: before.children } : node);
  return root;
}

/**
 * The directory to put an entry in. A link of the same layer is followed (the extractor just made it); anything
 * else that stands in the way belongs to a lower layer and is covered by a directory, as in an overlay.
 */
function parentFor(root: FileNode, path: string, layer: number): FileNode {
  let parent = root;
  for (const name of path.split("/").filter(Boolean)) {
    const next = parent.children?.get(name);
    if (next?.kind === "directory") parent = next;
    else {
      const followed =
        next?.kind === "symlink" && next.layer === layer ? followLink(root, parent, next, path) : undefined;
      const made = followed ?? emptyDirectory(layer);
      if (followed === undefined) parent.children?.set(name, made);
      parent = made;
    }
  }
  return parent;
}

function followLink(root: FileNode, parent: FileNode, link: FileNode, path: string): FileNode | undefined {
  const base = link.link.startsWith("/") ? "" : pathOf(root, parent);
  if (base === undefined) return undefined;
  const found = lookupIn(root, `${base}/${link.link}`, false);
  return found.kind === "found" && found.node.kind === "directory" && found.path !== `/${path}`
    ? found.node
    : undefined;
}

function pathOf(root: FileNode, wanted: FileNode): string | undefined {
  if (root === wanted) return "";
  for (const { path, node } of walk(root, "")) if (node === wanted) return path;
  return undefined;
}

function lookupIn(root: FileNode, path: string, isLinkKept: boolean): Lookup {
  const stack: { name: string; node: FileNode }[] = [];
  const pending = path.split("/").filter(Boolean);
  const here = (): FileNode => stack.at(-1)?.node ?? root;
  let hops = 0;
  while (pending.length > 0) {
    const name = pending.shift() as string;
    if (name === ".") continue;
    if (name === "..") {
      stack.pop(); // ".." of the root is the root
      continue;
    }
    const at = here();
    if (at.kind !== "directory") return { kind: "absent", why: `/${names(stack)} is not a directory` };
    const next = at.children?.get(name);
    if (next === undefined) return { kind: "absent", why: `there is no /${names(stack, name)}` };
    if (next.kind === "symlink" && !(isLinkKept && pending.length === 0)) {
      hops += 1;
      if (hops > MAX_SYMLINKS)
        return { kind: "unknown", why: `more than ${MAX_SYMLINKS} symbolic links in ${path}` };
      if (next.link.startsWith("/")) stack.length = 0;
      pending.unshift(...next.link.split("/").filter(Boolean));
    } else stack.push({ name, node: next });
  }
  return { kind: "found", node: here(), path: `/${names(stack)}` };
}

const names = (stack: readonly { readonly name: string }[], ...more: string[]): string =>
  [...stack.map((step) => step.name), ...more].join("/");

/** Down real directories only. */
function realDirectory(root: FileNode, path: string): FileNode | undefined {
  let node: FileNode | undefined = root;
  for (const name of path.split("/").filter(Boolean)) node = node?.children?.get(name);
  return node?.kind === "directory" ? node : undefined;
}

function* walk(node: FileNode, path: string): Generator<{ path: string; node: FileNode }> {
  const children = [...(node.children ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, child] of children) {
    yield { path: `${path}/${name}`, node: child };
    yield* walk(child, `${path}/${name}`);
  }
}

function visitNamed(
  folder: FileNode,
  path: string,
  wanted: readonly string[],
  see: (path: string, node: FileNode) => void,
): void {
  if (folder.children?.mayHave(wanted) !== true) return;
  for (const [name, node] of folder.children) {
    if (node.kind === "directory") visitNamed(node, `${path}/${name}`, wanted, see);
    else if (wanted.includes(name)) see(`${path}/${name}`, node);
  }
}

const baseName = (path: string): string => path.slice(path.lastIndexOf("/") + 1);
const parentPath = (path: string): string => (path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "");

function truncated(where: string, offset: number): SlipwayError {
  return new SlipwayError({
    code: "IMAGE_ARCHIVE_DAMAGED",
    where,
    message: `the archive ends at byte ${offset}, in the middle of an entry`,
    hint: "Build or pull the image again.",
    exitCode: 1,
  });
}
