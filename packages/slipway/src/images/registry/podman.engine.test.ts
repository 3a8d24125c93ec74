import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { ImageLayout } from "../layout.ts";
import { type Descriptor, type ImageManifest, MEDIA } from "../oci.ts";
import { createRegistryClient, type RegistryClient } from "./client.ts";
import { type Registry, startRegistry } from "./registry.ts";
import { type OwnPodman, podmanIn } from "./testing/podman.ts";
import { makeTar, putRealImage, unpacked } from "./testing/real-image.ts";

let folder: string;
let registry: Registry;
let client: RegistryClient;
let tar: Buffer;
let podman: OwnPodman;

const access = {
  scheme: "bearer",
  users: [{ name: "ann", password: "pw", right: "write" }],
} as const;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-podman-"));
  podman = await podmanIn(folder);
  registry = await startRegistry({ directory: join(folder, "registry"), port: 0, access });
  client = createRegistryClient({
    credentials: () => Promise.resolve({ kind: "basic", username: "ann", password: "pw" }),
  });
  tar = await makeTar();
});
after(async () => {
  await client?.close();
  await registry?.close();
  if (folder === undefined) return;
  await podman?.run("image", "rm", "--all", "--force").catch(() => {});
  await rm(folder, { recursive: true, force: true });
});

async function back(name: string): Promise<{ manifest: ImageManifest; layer: Buffer }> {
  const copy = await ImageLayout.open(await mkdtemp(join(folder, "copy-")));
  const platform = { os: "linux", architecture: "amd64" };
  const descriptor = await client.pull(`${registry.host}/${name}`, copy, { platform });
  const manifest = await copy.readJson<ImageManifest>(descriptor.digest);
  return { manifest, layer: await copy.read((manifest.layers[0] as Descriptor).digest) };
}

test("podman logs in, and pulls what we pushed, with layers in gzip, zstd and plain", async () => {
  await podman.run("login", "--tls-verify=false", "--username", "ann", "--password", "pw", registry.host);
  const layout = await ImageLayout.open(join(folder, "layout"));
  const layers: readonly [tag: string, mediaType: string, layer: Buffer][] = [
    ["gzip", MEDIA.layerGzip, gzipSync(tar)],
    ["zstd", MEDIA.layerZstd, zstdCompressSync(tar)],
    ["plain", MEDIA.layer, tar],
  ];
  for (const [tag, mediaType, layer] of layers) {
    const image = await putRealImage(layout, tar, mediaType, layer);
    const name = `${registry.host}/shop/web:${tag}`;
    await client.push(layout, image, name);
    await podman.run("pull", "--quiet", ...podman.trusting, name);
    assert.match(
      await podman.run("image", "inspect", "--format", "{{.RepoDigests}}", name),
      new RegExp(image.digest),
    );
  }
});

for (const [format, manifestType, layerType] of [
  ["oci", MEDIA.manifest, MEDIA.layer],
  ["v2s2", MEDIA.dockerManifest, MEDIA.dockerLayer],
] as const) {
  test(`podman pushes in the format ${format}, and we read it`, async () => {
    const name = `shop/${format}:v1`;
    await podman.run(
      "push",
      "--quiet",
      ...podman.trusting,
      "--format",
      format,
      `${registry.host}/shop/web:gzip`,
      `docker://${registry.host}/${name}`,
    );
    const { manifest, layer } = await back(name);
    assert.equal(manifest.mediaType, manifestType);
    // Plain here, because the registry has the layer in that form already, and podman takes it over.
    assert.equal(manifest.layers[0]?.mediaType, layerType);
    assert.deepEqual(unpacked(layer), tar);
  });
}
