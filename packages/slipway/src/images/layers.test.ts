import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { bytesEntry, directoryEntry, type LayerEntry, symlinkEntry, writeLayer } from "./layer-writer.ts";
import { ImageFiles } from "./layers.ts";
import { ImageLayout } from "./layout.ts";

let folder: string;
let layout: ImageLayout;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-layers-"));
  layout = await ImageLayout.open(folder);
});
after(() => rm(folder, { recursive: true, force: true }));

const dir = directoryEntry;
const file = (path: string, text = path): LayerEntry => bytesEntry(path, text);
const link = symlinkEntry;
const hard = (path: string, target: string): LayerEntry => ({
  ...file(path, ""),
  kind: "link",
  link: target,
  content: undefined,
});
const wh = (path: string): LayerEntry => file(path, "");

async function merged(layers: readonly (readonly LayerEntry[])[]): Promise<ImageFiles> {
  const written = [];
  for (const [position, entries] of layers.entries()) {
    const compression = position % 2 === 0 ? ("none" as const) : ("gzip" as const);
    written.push((await writeLayer(layout, entries, { mtime: 1, compression })).descriptor);
  }
  return ImageFiles.open(layout, { layers: written });
}

const show = (files: ImageFiles): string[] =>
  [...files.entries()].map(({ path, node }) =>
    node.kind === "directory" ? `${path}/` : node.kind === "symlink" ? `${path} -> ${node.link}` : path,
  );

const CASES: readonly [string, readonly (readonly LayerEntry[])[], readonly string[]][] = [
  ["a later file covers an earlier one", [[file("a", "1")], [file("a", "2")]], ["/a"]],
  ["a whiteout removes a file", [[file("d/a"), file("d/b")], [wh("d/.wh.a")]], ["/d/", "/d/b"]],
  [
    "a whiteout removes a folder with its content",
    [[file("d/e/f"), file("d/g")], [wh("d/.wh.e")]],
    ["/d/", "/d/g"],
  ],
  ["a whiteout at the root works", [[file("a"), file("b")], [wh(".wh.a")]], ["/b"]],
  [
    "an opaque folder hides what was below",
    [
      [file("d/a"), file("d/e/f")],
      [wh("d/.wh..wh..opq"), file("d/new")],
    ],
    ["/d/", "/d/new"],
  ],
  [
    "an opaque folder keeps its own layer's content, whatever the order",
    [[file("d/a")], [file("d/.a-first"), wh("d/.wh..wh..opq")]],
    ["/d/", "/d/.a-first"],
  ],
  [
    "a whiteout and a new file of one name in a layer: the new file stays",
    [[file("d/a", "old")], [wh("d/.wh.a"), file("d/a", "new")]],
    ["/d/", "/d/a"],
  ],
  ["a folder replaced by a file loses its content", [[file("x/a")], [file("x")]], ["/x"]],
  ["a file replaced by a folder", [[file("x")], [dir("x"), file("x/a")]], ["/x/", "/x/a"]],
  [
    "a folder over a folder keeps the children",
    [[file("x/a")], [dir("x", { mode: 0o700 })]],
    ["/x/", "/x/a"],
  ],
  [
    "a whiteout does not reach through a link of a lower layer",
    [[dir("real"), file("real/a"), link("via", "real")], [wh("via/.wh.a")]],
    ["/real/", "/real/a", "/via/"],
  ],
  [
    "an opaque mark does not reach through a link of a lower layer",
    [[file("real/a"), link("via", "real")], [wh("via/.wh..wh..opq")]],
    ["/real/", "/real/a", "/via/"],
  ],
  [
    "a folder of a layer covers a link of a lower one, as an overlay does",
    [[file("real/a"), link("via", "real")], [file("via/b")]],
    ["/real/", "/real/a", "/via/", "/via/b"],
  ],
  ["a link replaces a folder", [[file("d/a")], [wh(".wh.d"), link("d", "e")]], ["/d -> e"]],
  [
    "a whiteout of what is not there changes nothing",
    [[file("a")], [wh(".wh.zzz"), wh("no/.wh.b")]],
    ["/a", "/no/"],
  ],
  ["three layers: removed, then back", [[file("a", "1")], [wh(".wh.a")], [file("a", "3")]], ["/a"]],
  [
    "a hard link stays when its target is removed above",
    [[file("a", "x"), hard("b", "a")], [wh(".wh.a")]],
    ["/b"],
  ],
  ["removing a link leaves its target", [[file("a"), link("l", "a")], [wh(".wh.l")]], ["/a"]],
];

for (const [name, layers, expected] of CASES) {
  test(name, async () => {
    const files = await merged(layers);
    // Parents that only a whiteout named exist as folders of that layer, as tar writers emit them.
    assert.deepEqual(show(files), expected);
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
  await assert.rejects(ImageFiles.open(layout, { layers: [layer.descriptor] }));
  await assert.rejects(layout.read(layer.descriptor.digest), { code: "IMAGE_DIGEST_MISMATCH" });
});
