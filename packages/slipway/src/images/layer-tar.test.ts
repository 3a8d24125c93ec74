import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { LayerEntry } from "./layer-entry.ts";
import { smallTarOf, tarOf } from "./layer-tar.ts";

const BIG = 300 * 1024;
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-layer-tar-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const entryOf = (name: string, size: number): LayerEntry => ({
  path: name,
  kind: "file",
  mode: 0o644,
  uid: 0,
  gid: 0,
  size,
  link: "",
  content: { kind: "path", path: join(folder, name), stamp: undefined },
});

async function read(entry: LayerEntry): Promise<number> {
  let bytes = 0;
  for await (const chunk of tarOf([entry], 0, { size: 0 })) bytes += chunk.byteLength;
  return bytes;
}

for (const [what, size, is, message] of [
  ["a small file that is gone", 3, undefined, /went while/],
  ["a small file that grew", 3, 4, /changed its size while/],
  ["a small file that shrank", 3, 2, /changed its size while/],
  ["a big file that is gone", BIG, undefined, /went while/],
  ["a big file that grew", BIG, BIG + 1, /changed its size while/],
] as const)
  test(`${what} ends the archive, which is damaged`, async () => {
    const entry = entryOf("a", size);
    await rm(join(folder, "a"), { force: true });
    if (is !== undefined) await writeFile(join(folder, "a"), Buffer.alloc(is));
    const error = { code: "IMAGE_INPUT_CHANGED", where: join(folder, "a"), message };
    await assert.rejects(read(entry), error);
    if (size < BIG) assert.throws(() => smallTarOf([entry], 1024, 0, { size: 0 }), error);
  });

test("a file that is as it was is in the archive, filled up to whole blocks", async () => {
  await writeFile(join(folder, "b"), "abc");
  assert.equal(await read(entryOf("b", 3)), 1024);
});
