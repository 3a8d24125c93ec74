import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { publishFolder } from "./publish.ts";

const folder = await mkdtemp(join(tmpdir(), "slipway-publish-"));
after(() => rm(folder, { recursive: true, force: true }));
const source = join(folder, "public");
const bucket = join(folder, "buckets/assets");
await mkdir(join(source, "deep/er"), { recursive: true });
await writeFile(join(source, "index.html"), "one");
await writeFile(join(source, "deep/er/app.js"), "js");

test("a reader of a file that is being published never meets none and never half of one", async () => {
  await publishFolder(source, bucket);
  const file = join(bucket, "index.html");
  const versions = ["a".repeat(1_000_000), "b".repeat(2_000_000)];
  let isDone = false;
  const writes = (async () => {
    for (let round = 0; round < 20; round++) {
      await writeFile(join(source, "index.html"), versions[round % 2] as string);
      await publishFolder(source, bucket);
    }
  })().finally(() => {
    isDone = true;
  });
  const seen = new Set<string>();
  while (!isDone) {
    const text = await readFile(file, "utf8"); // throws if there is none
    seen.add(text === "one" ? "first" : (text === versions[0] || text === versions[1]).toString());
  }
  await writes;
  assert.ok(!seen.has("false"), "half a file was read");
  assert.equal(await readFile(file, "utf8"), versions[1]);
});

test("files of earlier releases stay, times are kept, and nothing else is left", async () => {
  const old = new Date("2026-01-02T03:04:05Z");
  await utimes(join(source, "deep/er/app.js"), old, old);
  await writeFile(join(bucket, "earlier.css"), "css");
  await publishFolder(source, bucket);
  assert.equal(await readFile(join(bucket, "earlier.css"), "utf8"), "css");
  assert.equal((await stat(join(bucket, "deep/er/app.js"))).mtimeMs, old.getTime());
  assert.deepEqual(await readdir(join(folder, "buckets")), ["assets"]);
});

test("a link is published as the file that it names", async () => {
  await symlink(join(source, "deep/er/app.js"), join(source, "link.js"));
  await publishFolder(source, bucket);
  assert.equal(await readFile(join(bucket, "link.js"), "utf8"), "js");
});

test("a source that is not there is told", async () => {
  await assert.rejects(publishFolder(join(folder, "nothing"), bucket), /ENOENT/);
});
