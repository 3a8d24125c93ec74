import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import type { FileNode } from "../../images/file-node.ts";
import { bytesEntry } from "../../images/layer-entry.ts";
import { writeLayer } from "../../images/layer-writer.ts";
import { ImageFiles } from "../../images/layers.ts";
import { ImageLayout } from "../../images/layout.ts";
import { LayerReader, takeRanges } from "./layer-reader.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-layer-reader-"));
});
after(() => rm(folder, { recursive: true, force: true }));

test("ranges are taken in one pass, whatever the chunks are", async () => {
  const whole = Buffer.from(Array.from({ length: 1000 }, (_, at) => at % 251));
  const ranges = [
    { offset: 700, length: 300 },
    { offset: 0, length: 1 },
    { offset: 10, length: 100 },
    { offset: 110, length: 0 },
    { offset: 10, length: 100 },
    { offset: 650, length: 60 },
  ];
  for (const size of [1, 7, 100, 1000]) {
    const chunks = Array.from({ length: Math.ceil(1000 / size) }, (_, at) =>
      whole.subarray(at * size, (at + 1) * size),
    );
    const taken: string[] = [];
    for await (const { range, bytes } of takeRanges(Readable.from(chunks), ranges)) {
      assert.deepEqual(Buffer.from(bytes), whole.subarray(range.offset, range.offset + range.length));
      taken.push(`${range.offset}+${range.length}`);
    }
    assert.deepEqual(taken, ["0+1", "10+100", "110+0", "650+60", "700+300"], `chunks of ${size}`);
  }
});

test("files of a big compressed layer are read once, kept, and read again from what was kept", async () => {
  const layout = await ImageLayout.open(join(folder, "layout"));
  const entries = [
    bytesEntry("a/first", "first\n"),
    bytesEntry("b/noise", randomBytes(600_000)),
    bytesEntry("c/last", "last\n"),
    bytesEntry("d/empty", ""),
  ];
  const { descriptor } = await writeLayer(layout, entries, { mtime: 0, compression: "gzip" });
  const files = await ImageFiles.open(layout, { layers: [descriptor] });
  const nodeOf = (path: string): FileNode => {
    const found = files.lookup(path);
    assert.ok(found.kind === "found");
    return found.node;
  };
  const reader = new LayerReader(layout, [descriptor], files);
  await reader.fetch(
    ["/a/first", "/c/last"].map((path) => ({ node: nodeOf(path), length: nodeOf(path).size })),
  );
  const kept = layout.cachePath("contents", descriptor.digest.replace(":", "-"));
  assert.equal((await readdir(kept)).length, 2);
  await layout.removeBlob(descriptor.digest);
  const text = async (path: string, limit?: number) =>
    Buffer.from(await reader.read(nodeOf(path), limit)).toString();
  assert.equal(await text("/a/first"), "first\n");
  assert.equal(await text("/c/last"), "last\n");
  assert.equal(await text("/d/empty"), "");
  await assert.rejects(text("/c/last", 2), "what was not kept needs the layer");
});
