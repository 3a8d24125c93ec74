/** When a layer is taken as it was, and when its files are read again. */
import assert from "node:assert/strict";
import { lstatSync } from "node:fs";
import { mkdtemp, rename, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { contextTree } from "./dockerfile/tree.ts";
import { bytesEntry, type LayerEntry } from "./layer-entry.ts";
import { type WrittenLayer, writeLayer } from "./layer-writer.ts";
import { ImageLayout } from "./layout.ts";
import { stampOf } from "./unchanged.ts";

let folder = "";
let layout: ImageLayout;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-unchanged-"));
  layout = await ImageLayout.open(join(folder, "layout"));
});
after(() => rm(folder, { recursive: true, force: true }));

const write = (entries: readonly LayerEntry[], mtime = 7): Promise<WrittenLayer> =>
  writeLayer(layout, entries, { mtime, compression: "gzip", hasContentId: true });

const file = (path: string, stamp: string | undefined): LayerEntry => ({
  ...bytesEntry("app/a.js", ""),
  size: 5,
  content: { kind: "path", path, stamp },
});

test("a file with the same stamp is not read again: here it is not even there any more", async () => {
  const path = join(folder, "kept.js");
  await writeFile(path, "hello");
  const entries = [file(path, "1"), bytesEntry("app/b.js", "b")];
  const first = await write(entries);
  await rm(path);
  assert.deepEqual(await write(entries), first);
});

for (const [name, changed] of [
  ["another stamp", (path: string) => write([file(path, "2")])],
  ["no stamp", (path: string) => write([file(path, undefined)])],
  ["another mode", (path: string) => write([{ ...file(path, "1"), mode: 0o755 }])],
  ["another owner", (path: string) => write([{ ...file(path, "1"), uid: 1000 }])],
  ["other attributes", (path: string) => write([{ ...file(path, "1"), xattrs: { "user.a": "b" } }])],
  ["another name", (path: string) => write([{ ...file(path, "1"), path: "app/c.js" }])],
  ["another time of the layer", (path: string) => write([file(path, "1")], 8)],
  ["another file beside it", (path: string) => write([file(path, "1"), bytesEntry("app/b.js", "c")])],
] as const) {
  test(`read again: ${name}`, async () => {
    const path = join(folder, `${name.replaceAll(" ", "-")}.js`);
    await writeFile(path, "hello");
    await write([file(path, "1")]);
    await rm(path);
    await assert.rejects(changed(path), { code: "IMAGE_INPUT_CHANGED" });
  });
}

test("a layer that is gone from the layout is made again", async () => {
  const path = join(folder, "again.js");
  await writeFile(path, "again");
  const { descriptor } = await write([file(path, "again")]);
  await layout.removeBlob(descriptor.digest);
  assert.deepEqual((await write([file(path, "again")])).descriptor, descriptor);
  assert.equal(await layout.size(descriptor.digest), descriptor.size);
});

test("a stamp changes with the content, even where size and mtime are put back", async () => {
  const path = join(folder, "same-size.js");
  const later = (): number => Date.parse("2100-01-01");
  const stamp = (): string | undefined => stampOf(lstatSync(path), later());
  await writeFile(path, "one");
  await utimes(path, 1000, 1000);
  const first = stamp();
  assert.notEqual(first, undefined);
  await writeFile(`${path}.new`, "two");
  await utimes(`${path}.new`, 1000, 1000);
  await rename(`${path}.new`, path);
  assert.notEqual(stamp(), first);
});

test("a file that changed just now has none, whatever its mtime says", async () => {
  const path = join(folder, "fresh.js");
  await writeFile(path, "fresh");
  await utimes(path, 1000, 1000);
  const { ctimeMs } = lstatSync(path);
  const stampAt = async (now: number | undefined): Promise<string | undefined> => {
    const node = await contextTree(
      folder,
      "the context",
      { isIgnored: () => false, hasExceptions: false },
      now,
    ).get("fresh.js", true);
    return node?.content?.kind === "path" ? node.content.stamp : undefined;
  };
  assert.equal(await stampAt(ctimeMs + 1999), undefined);
  assert.notEqual(await stampAt(ctimeMs + 2001), undefined);
  assert.equal(await stampAt(undefined), undefined);
});
