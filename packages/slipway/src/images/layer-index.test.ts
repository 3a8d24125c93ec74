/** Files of a folder that stay runs of the index until somebody looks are the same files as those that became nodes. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { bytesEntry, type LayerEntry } from "./layer-entry.ts";
import { isRun, keptIndex } from "./layer-index.ts";
import { writeLayer } from "./layer-writer.ts";
import { ImageFiles } from "./layers.ts";
import { ImageLayout } from "./layout.ts";

const WANTED = "c";
/** Few names, so that layers meet: files over files, over folders, below what was a file. */
const segment = fc.constantFrom("a", "b", WANTED, ".wh.a", ".wh.b");
const files = fc
  .uniqueArray(fc.array(segment, { minLength: 1, maxLength: 3 }), { selector: (parts) => parts.join("/") })
  .map((paths) => paths.map((parts) => parts.join("/")))
  .map((paths) => paths.filter((path) => !paths.some((other) => other.startsWith(`${path}/`))));
const layer = fc.tuple(files, fc.constantFrom(0o644, 0o755));

test("what is looked for by its name, in folders that nobody has looked into, is what a walk finds", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-index-"));
  t.after(() => rm(folder, { recursive: true }));
  const layout = await ImageLayout.open(folder);
  const write = async ([paths, mode]: readonly [readonly string[], number]) => {
    const entries: LayerEntry[] = paths.map((path) => bytesEntry(path, path, { mode }));
    return (await writeLayer(layout, entries, { mtime: 1, compression: "gzip" })).descriptor;
  };
  await fc.assert(
    fc.asyncProperty(fc.array(layer, { minLength: 1, maxLength: 3 }), async (made) => {
      const layers = [];
      for (const one of made) layers.push(await write(one));
      const named: string[] = [];
      const fresh = await ImageFiles.open(layout, { layers });
      fresh.visitNamed([WANTED], (path, { mode }) => named.push(`${path} ${mode}`));
      const all = [...(await ImageFiles.open(layout, { layers })).entries()];
      const expected = all.filter(
        ({ path, node }) => path.endsWith(`/${WANTED}`) && node.kind !== "directory",
      );
      assert.deepEqual(named.sort(), expected.map(({ path, node }) => `${path} ${node.mode}`).sort());
    }),
    { numRuns: 60 },
  );
});

test("files that follow one another are one run, until owner, mode or folder changes", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-index-"));
  t.after(() => rm(folder, { recursive: true }));
  const layout = await ImageLayout.open(folder);
  const entries = [
    bytesEntry("app/a", "1"),
    bytesEntry("app/b", "22"),
    bytesEntry("app/c", "3", { mode: 0o755 }),
    bytesEntry("app/d/e", "4"),
  ];
  const { descriptor } = await writeLayer(layout, entries, { mtime: 1, compression: "gzip" });
  const index = keptIndex(layout, descriptor.digest) ?? [];
  assert.deepEqual(
    index.filter(isRun).map(({ folder, names, sizes }) => [folder, names, sizes]),
    [
      ["app", "a/b", [1, 2]],
      ["app", "c", [1]],
      ["app/d", "e", [1]],
    ],
  );
});
