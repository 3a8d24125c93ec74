import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { expectedView, LAYER_CASES, layerTar, showView, type ViewedFile } from "./layer-cases.ts";
import { bytesEntry, type LayerEntry, symlinkEntry } from "./layer-entry.ts";
import { writeLayer } from "./layer-writer.ts";
import { ImageFiles } from "./layers.ts";
import { ImageLayout } from "./layout.ts";
import { digestOf, MEDIA } from "./oci.ts";

let folder: string;
let layout: ImageLayout;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-layers-"));
  layout = await ImageLayout.open(folder);
});
after(() => rm(folder, { recursive: true, force: true }));

const file = (path: string, text = path): LayerEntry => bytesEntry(path, text);
const link = symlinkEntry;
const hard = (path: string, target: string): LayerEntry => ({
  ...file(path, ""),
  kind: "link",
  link: target,
  content: undefined,
});
async function merged(layers: readonly (readonly LayerEntry[])[]): Promise<ImageFiles> {
  const written = [];
  for (const [position, entries] of layers.entries()) {
    const compression = position % 2 === 0 ? ("none" as const) : ("gzip" as const);
    written.push((await writeLayer(layout, entries, { mtime: 1, compression })).descriptor);
  }
  return ImageFiles.open(layout, { layers: written });
}

for (const one of LAYER_CASES) {
  test(`layers: ${one.name}`, async () => {
    const layers = [];
    for (const [position, lines] of one.layers.entries()) {
      const tar = layerTar(lines);
      const packed = position % 2 === 1;
      layers.push({
        ...(await layout.put(packed ? gzipSync(tar) : tar)),
        mediaType: packed ? MEDIA.layerGzip : MEDIA.layer,
      });
    }
    const files = await ImageFiles.open(layout, { layers });
    const seen: ViewedFile[] = [];
    for (const { path, node } of files.entries()) {
      const content = node.kind === "file" ? await files.read(node) : Buffer.alloc(0);
      seen.push({ ...node, path: path.slice(1), content, identity: node });
    }
    assert.deepEqual(showView(seen), expectedView(one));
  });
}

test("a covered file has the content of the upper layer, a hard link that of its target", async () => {
  const files = await merged([[file("a", "old"), file("t", "target"), hard("h", "t")], [file("a", "new")]]);
  for (const [path, content] of [
    ["/a", "new"],
    ["/h", "target"],
  ] as const) {
    const found = files.lookup(path);
    assert.equal(found.kind === "found" ? await files.readText(found.node) : found.why, content);
  }
});

test("links are followed inside the root, component by component", async () => {
  const files = await merged([
    [
      file("usr/lib/x", "lib"),
      link("lib", "usr/lib"),
      link("abs", "/lib/x"),
      link("up", "../../../usr/lib/x"),
      link("loop", "loop"),
    ],
  ]);
  for (const path of ["/lib/x", "/abs", "/up", "/lib/../lib/x"]) {
    const found = files.lookup(path);
    assert.deepEqual([path, found.kind === "found" ? found.path : found.why], [path, "/usr/lib/x"]);
  }
  assert.equal(files.lookup("/loop").kind, "unknown");
  assert.equal(files.lookup("/none/x").kind, "absent");
  assert.equal(files.lookup("/usr/lib/x/y").kind, "absent");
  const kept = files.lookup("/abs", { isLinkKept: true });
  assert.equal(kept.kind === "found" && kept.node.kind, "symlink");
});

test("a blob that was damaged on disk is not read as if it were whole", async () => {
  const layer = await writeLayer(layout, [file("damaged", "content to damage")], {
    mtime: 5,
    compression: "gzip",
  });
  await writeFile(layout.blobPath(layer.descriptor.digest), "other bytes");
  // What was written here is known without being read; its content is not.
  const files = await ImageFiles.open(layout, { layers: [layer.descriptor] });
  const found = files.lookup("/damaged");
  assert.ok(found.kind === "found");
  await assert.rejects(files.read(found.node));
  await rm(layout.cachePath("indexes"), { recursive: true });
  const again = await ImageLayout.open(layout.directory);
  await assert.rejects(ImageFiles.open(again, { layers: [layer.descriptor] }));
  await assert.rejects(layout.read(layer.descriptor.digest), { code: "IMAGE_DIGEST_MISMATCH" });
});

test("the index of a layer that was written is the one that reading it gives, small or big, packed or not", async () => {
  const big = randomBytes(17 * 1024 * 1024); // too big to be kept in memory while it is packed
  const entries = [
    file("a/small", "text"),
    symlinkEntry("a/link", "small"),
    file(`long/${"x".repeat(200)}`, "long"),
  ];
  for (const compression of ["gzip", "none"] as const) {
    for (const content of [entries, [...entries, bytesEntry("big", big)]]) {
      const { descriptor, diffId } = await writeLayer(layout, content, { mtime: 5, compression });
      const known = [...(await ImageFiles.open(layout, { layers: [descriptor] })).entries()];
      await rm(layout.cachePath("indexes"), { recursive: true, force: true });
      const again = await ImageLayout.open(layout.directory);
      assert.deepEqual(known, [...(await ImageFiles.open(again, { layers: [descriptor] })).entries()]);
      const blob = await layout.read(descriptor.digest);
      const tar = compression === "gzip" ? gunzipSync(blob) : blob;
      assert.equal(digestOf(tar), diffId);
    }
  }
});

test("a big file is packed as it is read: the bytes do not depend on how it comes in", async () => {
  const lines = Array.from({ length: 900_000 }, (_, line) => `${line} ${(line * 7919) % 10_007}\n`).join("");
  const bytes = Buffer.from(lines);
  assert.ok(bytes.length > 8 * 1024 * 1024);
  const written = new Set<string>();
  for (const chunk of [5_001, 1_000_000]) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / chunk) }, (_, at) =>
      bytes.subarray(at * chunk, (at + 1) * chunk),
    );
    const open = async () => Readable.from(chunks);
    const entry: LayerEntry = { ...file("a"), size: bytes.length, content: { kind: "open", open } };
    const other = await ImageLayout.open(join(folder, `chunks-${chunk}`));
    const { descriptor } = await writeLayer(other, [entry, file("b")], { mtime: 5, compression: "gzip" });
    written.add(descriptor.digest);
    const unpacked = gunzipSync(await other.read(descriptor.digest));
    assert.ok(unpacked.subarray(512, 512 + bytes.length).equals(bytes));
  }
  assert.equal(written.size, 1);
});
