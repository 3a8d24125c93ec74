import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { exec } from "@slipway/base";
import { ImageLayout } from "../layout.ts";
import { type Descriptor, type ImageManifest, MEDIA } from "../oci.ts";
import { createRegistryClient, type RegistryClient } from "./client.ts";
import { type Registry, startRegistry } from "./registry.ts";
import { makeTar, putRealImage, requireProgram, unpacked } from "./testing/real-image.ts";

let folder: string;
let registry: Registry;
let client: RegistryClient;
let tar: Buffer;
let gzipped: Descriptor;
let plain: Descriptor;

before(async () => {
  await requireProgram("skopeo");
  folder = await mkdtemp(join(tmpdir(), "slipway-skopeo-"));
  registry = await startRegistry({ directory: join(folder, "registry"), port: 0 });
  client = createRegistryClient();
  tar = await makeTar();
  const layout = await ImageLayout.open(join(folder, "layout"));
  gzipped = await putRealImage(layout, tar, MEDIA.layerGzip, gzipSync(tar));
  plain = await putRealImage(layout, tar, MEDIA.layer, tar);
  await client.push(layout, gzipped, `${registry.host}/shop/web:v1`);
  await client.push(layout, plain, `${registry.host}/shop/plain:v1`);
});
after(async () => {
  await client?.close();
  await registry?.close();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

async function skopeo(...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await exec(["skopeo", "--insecure-policy", ...args]);
  assert.equal(exitCode, 0, `skopeo ${args.join(" ")}: ${stderr}`);
  return stdout;
}

const at = (name: string): string => `docker://${registry.host}/${name}`;
const copy = (from: string, to: string, ...more: string[]): Promise<string> =>
  skopeo("copy", "--src-tls-verify=false", "--dest-tls-verify=false", ...more, from, to);

async function pulled(name: string): Promise<{ manifest: ImageManifest; layer: Buffer }> {
  const layout = await ImageLayout.open(await mkdtemp(join(folder, "pulled-")));
  const reference = name.startsWith("127.") ? name : `${registry.host}/${name}`;
  const descriptor = await client.pull(reference, layout, {
    platform: { os: "linux", architecture: "amd64" },
  });
  const manifest = await layout.readJson<ImageManifest>(descriptor.digest);
  return { manifest, layer: await layout.read((manifest.layers[0] as Descriptor).digest) };
}

test("skopeo sees what we pushed, under the same digest", async () => {
  const seen = JSON.parse(await skopeo("inspect", "--tls-verify=false", at("shop/web:v1"))) as {
    Digest: string;
    RepoTags: string[];
    Env: string[];
  };
  assert.deepEqual([seen.Digest, seen.RepoTags, seen.Env], [gzipped.digest, ["v1"], ["A=b"]]);
});

test("skopeo takes an image to its own layout and brings it back unchanged", async () => {
  const layout = `oci:${join(folder, "theirs")}:v1`;
  await copy(at("shop/web:v1"), layout);
  await copy(layout, at("shop/back:v1"));
  assert.equal((await registry.layout.resolve("shop/back", "v1"))?.digest, gzipped.digest);
});

test("skopeo reads the registry's own folder as an image layout", async () => {
  const seen = JSON.parse(await skopeo("inspect", "--raw", `oci:${registry.layout.directory}:shop/web:v1`));
  assert.deepEqual(seen, await registry.layout.readJson(gzipped.digest));
});

test("Docker's schema 2 goes in and comes out, with Docker's media types", async () => {
  await copy(at("shop/web:v1"), at("shop/docker:v1"), "--format", "v2s2");
  const { manifest, layer } = await pulled("shop/docker:v1");
  assert.equal(manifest.mediaType, MEDIA.dockerManifest);
  assert.equal(manifest.config.mediaType, MEDIA.dockerConfig);
  assert.equal(manifest.layers[0]?.mediaType, MEDIA.dockerLayerGzip);
  assert.deepEqual(gunzipSync(layer), tar);
  await copy(at("shop/docker:v1"), `docker-archive:${join(folder, "docker.tar")}:shop/web:v1`);
  await copy(`docker-archive:${join(folder, "docker.tar")}`, at("shop/archive:v1"));
  assert.deepEqual(unpacked((await pulled("shop/archive:v1")).layer), tar);
});

test("zstd layers go in and come out", async () => {
  // Another registry: in the one that has the layer already, skopeo would take that.
  const other = await startRegistry({ directory: join(folder, "zstd"), port: 0 });
  try {
    const name = `${other.host}/shop/zstd:v1`;
    await copy(at("shop/plain:v1"), `docker://${name}`, "--dest-compress-format", "zstd");
    const { manifest, layer } = await pulled(name);
    assert.equal(manifest.layers[0]?.mediaType, MEDIA.layerZstd);
    assert.deepEqual(unpacked(layer), tar);
    await copy(`docker://${name}`, `oci:${join(folder, "zstd-back")}:v1`);
  } finally {
    await other.close();
  }
});

test("skopeo lists tags and deletes an image", async () => {
  await copy(at("shop/web:v1"), at("shop/gone:v1"));
  await copy(at("shop/web:v1"), at("shop/gone:v2"));
  const { Tags } = JSON.parse(await skopeo("list-tags", "--tls-verify=false", at("shop/gone"))) as {
    Tags: string[];
  };
  assert.deepEqual(Tags, ["v1", "v2"]);
  await skopeo("delete", "--tls-verify=false", at("shop/gone:v1"));
  assert.equal(await registry.layout.resolve("shop/gone", "v2"), undefined); // skopeo deletes by digest
});

for (const scheme of ["basic", "bearer"] as const) {
  test(`skopeo logs in with ${scheme}, and is refused without`, async () => {
    const guarded = await startRegistry({
      directory: join(folder, `guarded-${scheme}`),
      port: 0,
      access: {
        scheme,
        users: [
          { name: "ann", password: "a:b", right: "write" },
          { name: "bob", password: "pw", right: "read" },
        ],
      },
    });
    const to = `docker://${guarded.host}/shop/web:v1`;
    try {
      await assert.rejects(
        copy(at("shop/web:v1"), to),
        /unauthorized|authentication required|a login is needed/i,
      );
      await assert.rejects(copy(at("shop/web:v1"), to, "--dest-creds", "bob:pw"));
      await copy(at("shop/web:v1"), to, "--dest-creds", "ann:a:b");
      await copy(to, `dir:${join(folder, `bob-${scheme}`)}`, "--src-creds", "bob:pw");
    } finally {
      await guarded.close();
    }
  });
}
