/** The index of a layout, which other processes change, too. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ImageLayout } from "./layout.ts";
import { type Descriptor, encodeDocument, MEDIA } from "./oci.ts";

let folder = "";
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-layout-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const manifest = async (layout: ImageLayout, name: string): Promise<Descriptor> => ({
  mediaType: MEDIA.manifest,
  ...(await layout.put(encodeDocument({ schemaVersion: 2, name }))),
});

test("what another process changed counts at once, between two looks and before a change", async () => {
  const directory = join(folder, "two");
  const [one, other] = [await ImageLayout.open(directory), await ImageLayout.open(directory)];
  const [a, b] = [await manifest(one, "a"), await manifest(one, "b")];
  await one.hold("web", a, ["v1"]);
  await other.hold("web", b, ["v1"]);
  assert.equal((await one.resolve("web", "v1"))?.digest, b.digest);
  await one.hold("worker", a, ["v1"]);
  assert.deepEqual([...(await other.repositories())], ["web", "worker"]);
  assert.equal((await other.resolve("web", "v1"))?.digest, b.digest);
});

test("an index that somebody removed is written again by what was in it before", async () => {
  const directory = join(folder, "removed");
  const now = Date.parse("2100-01-01");
  const clock = { now: () => now, monotonic: () => now, sleep: () => Promise.resolve() };
  const layout = await ImageLayout.open(directory, { clock });
  const a = await manifest(layout, "a");
  await layout.hold("web", a, ["v1"]);
  const written = await readFile(join(directory, "index.json"), "utf8");
  await rm(join(directory, "index.json"));
  assert.equal(await layout.resolve("web", "v1"), undefined);
  await layout.hold("web", a, ["v1"]);
  assert.equal(await readFile(join(directory, "index.json"), "utf8"), written);
});

test("a release of what is not there writes nothing", async () => {
  const directory = join(folder, "empty");
  const layout = await ImageLayout.open(directory);
  assert.equal(await layout.release("web", "v1"), false);
  await assert.rejects(readFile(join(directory, "index.json")), { code: "ENOENT" });
});
