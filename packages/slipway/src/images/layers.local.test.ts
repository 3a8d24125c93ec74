/**
 * The same cases as the layer reader's, unpacked as the sandbox does and laid over one another by the kernel: what
 * checks read without running an image is what a container sees.
 */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { findIds, findTool, findTools, LayerStore, runInside, unpackCommand } from "@slipway/cluster/sandbox";
import { expectedView, LAYER_CASES, layerTar, viewOfTar } from "./layer-cases.ts";
import { ImageLayout } from "./layout.ts";
import { digestOf, MEDIA } from "./oci.ts";
import { createImageSource } from "./source.ts";

process.umask(0o077); // what others may not see of the unpacker's files is no matter of the image

let folder: string;
let layout: ImageLayout;
let store: LayerStore;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-layers-local-"));
  layout = await ImageLayout.open(join(folder, "layout"));
  await mkdir(join(folder, "empty"));
  const directory = join(folder, "unpacked");
  store = new LayerStore(directory, createImageSource({ layout }), async (job) => {
    const result = await inside(unpackCommand({ ...job, directory, owners: findIds().mode !== "one-uid" }));
    if (result.exitCode !== 0) throw new Error(result.stderr);
  });
});
after(() =>
  inside(["rm", "-rf", join(folder, "unpacked")]).then(() => rm(folder, { recursive: true, force: true })),
);

const inside = (command: readonly string[]): ReturnType<typeof runInside> =>
  runInside(command, {
    tools: findTools(),
    ids: findIds(),
    cwd: folder,
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", MOUNT: findTools().mount, TAR: findTool("tar") ?? "tar" },
  });

for (const [number, one] of LAYER_CASES.entries()) {
  // With one uid there is nobody to give a file to.
  const isSkipped = findIds().mode === "one-uid" && /owner|device|mode/.test(one.name);
  test(`layers in the sandbox: ${one.name}`, { skip: isSkipped && "needs more than one uid" }, async () => {
    const layers = [];
    for (const lines of one.layers) {
      const tar = layerTar(lines);
      layers.push({ ...(await layout.put(tar)), mediaType: MEDIA.layer, diffId: digestOf(tar) });
    }
    const lowers = await store.ensure({ id: "case", reference: "case", layers, config: {} });
    const out = join(folder, `${number}.tar`);
    const lower = [...lowers.map((name) => `unpacked/${name}`), "empty"].join(":");
    const script = `mkdir -p root && "$MOUNT" -t overlay -o "lowerdir=$1" overlay root && "$TAR" --create --format=pax --numeric-owner -C root -f "$2" .`;
    const result = await inside(["/bin/sh", "-c", script, "-", lower, out]);
    assert.equal(result.exitCode, 0, result.stderr);
    assert.deepEqual(await viewOfTar(await readFile(out)), expectedView(one));
  });
}
