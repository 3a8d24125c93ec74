import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readCache, readTextIfExists, writeAtomic, writeCache } from "./files.ts";

test("an atomic write makes its folders, replaces the file, and leaves nothing else behind", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-files-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "a/b.json");
  assert.equal(await readTextIfExists(path), undefined);
  await writeAtomic(path, "one", 0o600);
  await writeAtomic(path, "two", 0o600);
  assert.equal(await readFile(path, "utf8"), "two");
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(join(folder, "a")), ["b.json"]);
  await assert.rejects(writeAtomic(join(folder, "a"), "a folder cannot be replaced by a file"));
  assert.deepEqual(await readdir(folder), ["a"]);
});

test("a cache is read as it was written, and is as good as absent when it is not whole", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-files-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "a/cache.json");
  assert.equal(await readCache(path), undefined);
  await writeCache(path, { a: [1] });
  assert.deepEqual(await readCache(path), { a: [1] });
  for (const torn of ["", '{"a":[']) {
    await writeFile(path, torn);
    assert.equal(await readCache(path), undefined);
  }
});

test("what cannot be written is told by its own name, not by that of the file it would have been renamed from", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "files-"));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "a"), "");
  const path = join(folder, "a/b");
  await assert.rejects(writeAtomic(path, "x"), { code: "ENOTDIR", path });
});
