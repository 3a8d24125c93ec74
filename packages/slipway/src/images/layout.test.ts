/** The index of a layout, which other processes change, too. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Clock, systemClock, thisProcess } from "@slipway/base";
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

test("a lock is waited for as long as its owner lives, however old it is; of one that is gone it is at once nobody's", async () => {
  const directory = join(folder, "locked");
  const lock = join(directory, "index.lock");
  let waits = 0;
  const clock: Clock = {
    ...systemClock,
    sleep: async () => {
      waits += 1;
      if (waits === 3) await rm(lock); // given back
    },
  };
  const layout = await ImageLayout.open(directory, { clock });
  const a = await manifest(layout, "a");
  await writeFile(lock, JSON.stringify(thisProcess()));
  await utimes(lock, 1000, 1000);
  await layout.hold("web", a, ["v1"]);
  assert.equal(waits, 3);
  await writeFile(lock, JSON.stringify({ ...thisProcess(), startTicks: "1" }));
  await layout.hold("web", a, ["v2"]);
  // One that names nobody is left behind when it is old.
  await writeFile(lock, "");
  await utimes(lock, 1000, 1000);
  await layout.hold("web", a, ["v3"]);
  assert.equal(waits, 3);
  assert.deepEqual((await layout.manifests("web"))?.[0]?.tags, ["v1", "v2", "v3"]);
});
