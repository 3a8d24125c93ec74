import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type Clock, systemClock } from "@slipway/base";
import { ImageLayout } from "./layout.ts";
import type { Descriptor } from "./oci.ts";
import { CHECKED, removeFiles, removeOldBuilds } from "./old-builds.ts";
import { putImage } from "./registry/testing/images.ts";

const DAY = 86_400_000;

/** A layout on whose days builds are made: on `day` the image of that seed gets the name. */
async function layoutWith(
  work: (at: {
    readonly layout: ImageLayout;
    readonly build: (day: number, name: string) => Promise<Descriptor>;
    readonly tidy: (day: number, needed?: readonly Descriptor[]) => ReturnType<typeof removeOldBuilds>;
  }) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "slipway-old-builds-"));
  let now = 0;
  const clock: Clock = { ...systemClock, now: () => now };
  try {
    const layout = await ImageLayout.open(folder, { clock });
    const build = async (day: number, name: string): Promise<Descriptor> => {
      now = day * DAY;
      const before = await layout.reachable();
      const image = await putImage(layout, { seed: day, layers: [100] });
      await layout.hold(name, image, ["latest"]);
      for (const digest of await layout.reachable())
        if (!before.has(digest)) await utimes(layout.blobPath(digest), now / 1000, now / 1000);
      return image;
    };
    const tidy = (day: number, needed: readonly Descriptor[] = []) => {
      now = day * DAY;
      return removeOldBuilds(layout, { images: ["web"], needed: needed.map(({ digest }) => digest) });
    };
    await work({ layout, build, tidy });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const layerOf = async (layout: ImageLayout, image: Descriptor): Promise<string> =>
  (await layout.readJson<{ layers: Descriptor[] }>(image.digest)).layers[0]?.digest ?? assert.fail();

test("builds of more than a week ago go with what was kept of them; the newest stays at any age", () =>
  layoutWith(async ({ layout, build, tidy }) => {
    const old = await build(1, "web");
    const base = await build(2, "docker.io/library/node");
    await build(3, "docker.io/library/node");
    const checked = await build(4, `${CHECKED}library/nginx`);
    await layout.release(`${CHECKED}library/nginx`, "latest"); // as it is held: without a tag
    const young = await build(12, "web");
    const newest = await build(13, "web");
    const layer = await layerOf(layout, old);
    const index = layout.cachePath("indexes", `${layer.replace(":", "-")}.json`);
    await mkdir(layout.cachePath("indexes"), { recursive: true });
    await writeFile(index, "{}");
    const unpacked = layout.cachePath("unpacked", layer.slice("sha256:".length, "sha256:".length + 24));
    await mkdir(unpacked, { recursive: true });
    await writeFile(`${unpacked}.whiteouts.json`, "{}");
    const swept = await tidy(14);
    assert.equal(swept?.blobs.length, 6);
    for (const { digest } of [old, checked]) assert.equal(await layout.size(digest), undefined);
    for (const path of [index, unpacked, `${unpacked}.whiteouts.json`]) assert.ok(!existsSync(path), path);
    for (const image of [base, young, newest]) await layout.read(await layerOf(layout, image));
    assert.equal((await tidy(40))?.blobs.length, 3);
    await layout.read(await layerOf(layout, newest));
    assert.equal(await layout.size(young.digest), undefined);
  }));

test("what the next steps need stays, and a layer that a build has used within a week", () =>
  layoutWith(async ({ layout, build, tidy }) => {
    const needed = await build(1, "web");
    const used = await build(2, "web");
    await build(30, "web");
    const layer = await layerOf(layout, used);
    await layout.touch(layer); // on day 30
    await tidy(31, [needed]);
    await layout.read(await layerOf(layout, needed));
    await layout.read(layer);
    assert.equal(await layout.size(used.digest), undefined);
  }));

test("of what is unpacked goes what no other layout has", () =>
  layoutWith(async ({ layout, build }) => {
    const both = await layerOf(layout, await build(1, "web"));
    const gone = `sha256:${"1".repeat(64)}`;
    const directory = layout.cachePath("files");
    const placeOf = (digest: string): string => join(directory, digest.slice(7, 31));
    for (const digest of [both, gone]) await mkdir(placeOf(digest), { recursive: true });
    const blobs = [both, gone].map((digest) => ({ digest, size: 1 }));
    await removeFiles({ blobs }, { directory, others: [layout.directory] });
    assert.deepEqual([both, gone].map(placeOf).map(existsSync), [true, false]);
  }));

test("it looks once a day, and after a clock that went back at once", () =>
  layoutWith(async ({ build, tidy }) => {
    await build(1, "web");
    assert.notEqual(await tidy(20), undefined);
    assert.equal(await tidy(20.9), undefined);
    assert.notEqual(await tidy(21), undefined);
    assert.notEqual(await tidy(15), undefined);
  }));

test("what was remembered of files and blocks for more than a week goes", () =>
  layoutWith(async ({ layout, build, tidy }) => {
    await build(20, "web");
    const records: string[] = [];
    for (const name of ["unchanged", "members", "attached", "layers"]) {
      await mkdir(layout.cachePath(name), { recursive: true });
      for (const day of [12, 14]) {
        const record = layout.cachePath(name, `${day}.json`);
        await writeFile(record, "{}");
        await utimes(record, day * 86_400, day * 86_400);
        records.push(record);
      }
    }
    await tidy(20);
    assert.deepEqual(
      records.filter((record) => existsSync(record)),
      records.filter((record) => record.endsWith("14.json")),
    );
  }));
