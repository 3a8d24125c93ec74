/**
 * The layer reader's cases in a real Docker: what `docker export` shows of an image with these layers is what the
 * reader shows. The lane starts the engine and names it in DOCKER_HOST.
 */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { exec } from "@slipway/base";
import { expectedView, LAYER_CASES, layerTar, viewOfTar } from "./layer-cases.ts";
import { digestOf, encodeDocument, hostPlatform } from "./oci.ts";
import { padding, TAR_END, tarHeader } from "./tar.ts";

let folder: string;
const loaded = LAYER_CASES.filter(({ engineDiffers }) => engineDiffers === undefined);
const tagOf = (number: number): string => `slipway-layer-case:${number}`;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-layers-engine-"));
  const files = new Map<string, Buffer>();
  const manifest = loaded.map((one, number) => {
    const tars = one.layers.map(layerTar);
    const config = encodeDocument({
      ...hostPlatform(),
      created: "2020-01-01T00:00:00Z",
      config: { Cmd: ["/none"], Labels: { case: one.name } },
      rootfs: { type: "layers", diff_ids: tars.map((tar) => digestOf(tar)) },
    });
    const name = `${digestOf(config).slice(7)}.json`;
    files.set(name, config);
    const layers = tars.map((tar, layer) => {
      files.set(`${number}-${layer}.tar`, tar);
      return `${number}-${layer}.tar`;
    });
    return { Config: name, RepoTags: [tagOf(number)], Layers: layers };
  });
  files.set("manifest.json", encodeDocument(manifest));
  const archive = join(folder, "saved.tar");
  await writeFile(archive, archiveOf(files));
  await docker("load", "-i", archive);
});
after(async () => {
  await exec(["docker", "rmi", "--force", ...loaded.map((_, number) => tagOf(number))]);
  await rm(folder, { recursive: true, force: true });
});

function archiveOf(files: ReadonlyMap<string, Buffer>): Buffer {
  const parts = [...files].flatMap(([path, body]) => [
    tarHeader({ path, kind: "file", mode: 0o644, uid: 0, gid: 0, size: body.length, mtime: 0, link: "" }),
    body,
    Buffer.alloc(padding(body.length)),
  ]);
  return Buffer.concat([...parts, TAR_END]);
}

async function docker(...args: string[]): Promise<string> {
  const result = await exec(["docker", ...args]);
  assert.equal(result.exitCode, 0, `docker ${args.join(" ")}: ${result.stderr}`);
  return result.stdout.trim();
}

/** What Docker puts into every container it makes; no case uses these names. */
const isDockers = (path: string): boolean => /^(?:\.dockerenv|(?:dev|proc|sys|etc)(?:\/|$))/.test(path);

for (const [number, one] of loaded.entries()) {
  test(`layers in docker: ${one.name}`, async () => {
    const id = await docker("create", tagOf(number));
    try {
      const archive = join(folder, `${number}.tar`);
      await docker("export", "-o", archive, id);
      assert.deepEqual(await viewOfTar(await readFile(archive), isDockers), expectedView(one));
    } finally {
      await docker("rm", id);
    }
  });
}
