import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { bytesEntry } from "./layer-entry.ts";
import { writeLayer } from "./layer-writer.ts";
import { ImageLayout } from "./layout.ts";
import { type Descriptor, encodeDocument, hostPlatform, MEDIA } from "./oci.ts";
import { formatReference, parseReference } from "./reference.ts";
import type { RegistryClient } from "./registry/client.ts";
import { createImageSource } from "./source.ts";

let folder: string;
let layout: ImageLayout;
let image: Descriptor;

async function makeImage(text: string): Promise<Descriptor> {
  const layer = await writeLayer(layout, [bytesEntry("x", text)], { mtime: 0, compression: "gzip" });
  const config = await layout.put(
    encodeDocument({
      ...hostPlatform(),
      config: { Cmd: [text] },
      rootfs: { type: "layers", diff_ids: [layer.diffId] },
    }),
  );
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: { mediaType: MEDIA.config, ...config },
    layers: [layer.descriptor],
  };
  return { mediaType: MEDIA.manifest, ...(await layout.put(encodeDocument(manifest))) };
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-source-"));
  layout = await ImageLayout.open(folder);
  image = await makeImage("one");
  await layout.hold("shop/web", image, ["v1"]);
});
after(() => rm(folder, { recursive: true, force: true }));

test("references are read as Docker reads them", () => {
  const table: [string, string][] = [
    ["nginx", "docker.io/library/nginx:latest"],
    ["nginx:1.27", "docker.io/library/nginx:1.27"],
    ["me/app", "docker.io/me/app:latest"],
    ["localhost/app", "localhost/app:latest"],
    ["localhost:5000/app:v1", "localhost:5000/app:v1"],
    ["registry.example/a/b/c", "registry.example/a/b/c:latest"],
    [
      `127.0.0.1:5000/shop/web:v1@sha256:${"0".repeat(64)}`,
      `127.0.0.1:5000/shop/web:v1@sha256:${"0".repeat(64)}`,
    ],
    [`a/b@sha256:${"0".repeat(64)}`, `docker.io/a/b@sha256:${"0".repeat(64)}`],
  ];
  for (const [text, expected] of table) assert.equal(formatReference(parseReference(text)), expected, text);
  for (const text of ["", "UPPER", "a:", "a:b:c", "a@sha256:12", "a//b", "-a", "a b", "a/../b", "a@b@c"]) {
    assert.throws(() => parseReference(text), { code: "IMAGE_REFERENCE_INVALID" }, text);
  }
});

test("an image is found by tag and by digest, and the digest wins over the tag", async () => {
  const source = createImageSource({ layout });
  const two = await makeImage("two");
  await layout.hold("shop/web", two, ["v1"]);
  const byTag = await source.resolve("127.0.0.1:5000/shop/web:v1");
  assert.equal(byTag.id, `127.0.0.1:5000/shop/web@${two.digest}`);
  assert.deepEqual(byTag.config.Cmd, ["two"]);
  const byDigest = await source.resolve(`127.0.0.1:5000/shop/web:v1@${image.digest}`);
  assert.equal(byDigest.id, `127.0.0.1:5000/shop/web@${image.digest}`);
  assert.deepEqual(byDigest.config.Cmd, ["one"]);
  assert.match(byDigest.layers[0]?.diffId ?? "", /^sha256:/);
});

test("what is not there fails in the kubelet's words", async () => {
  const source = createImageSource({ layout });
  await assert.rejects(source.resolve("127.0.0.1:5000/shop/web:nope"), {
    name: "ContainerStartError",
    reason: "ErrImagePull",
    message: "127.0.0.1:5000/shop/web:nope: not found", // the kubelet puts 'Failed to pull image "…": ' before it
  });
  await assert.rejects(source.resolve("Not An Image"), { reason: "InvalidImageName" });
});

test("images of other registries are pulled once, those of the embedded one never from outside", async () => {
  const asked: string[] = [];
  const remote = {
    pull: (reference: string) => {
      asked.push(reference);
      return makeImage("remote");
    },
  } as unknown as RegistryClient;
  const source = createImageSource({ layout, remote, own: ["127.0.0.1:5000"] });
  assert.deepEqual((await source.resolve("registry.example/cache:7")).config.Cmd, ["remote"]);
  await source.resolve("registry.example/cache:7");
  assert.deepEqual(asked, ["registry.example/cache:7"]);
  await assert.rejects(source.resolve("127.0.0.1:5000/none:1"), { reason: "ErrImagePull" });
  assert.equal(asked.length, 1);
});

test("a mirror's image comes from the registry that it stands for, and stays", async () => {
  const asked: string[] = [];
  const remote = {
    pull: (reference: string) => {
      asked.push(reference);
      return makeImage("mirrored");
    },
  } as unknown as RegistryClient;
  const own = ["127.0.0.1:5000"];
  const source = createImageSource({ layout, remote, own, mirrors: { hub: "docker.io" } });
  for (const times of [1, 2]) {
    const { config } = await source.resolve("127.0.0.1:5000/hub/library/nginx:1.27");
    assert.deepEqual([config.Cmd, asked.length], [["mirrored"], 1], `time ${times}`);
  }
  await source.resolve(`127.0.0.1:5000/hub/team/web@sha256:${"a".repeat(64)}`);
  assert.deepEqual(asked, ["docker.io/library/nginx:1.27", `docker.io/team/web@sha256:${"a".repeat(64)}`]);
  await assert.rejects(source.resolve("127.0.0.1:5000/other/nginx:1"), { reason: "ErrImagePull" });
});

test("a layer that was changed on disk ends in an error, not in a container", async () => {
  const source = createImageSource({ layout });
  const bad = await makeImage("to be damaged");
  await layout.hold("shop/bad", bad, ["v1"]);
  const resolved = await source.resolve("127.0.0.1:5000/shop/bad:v1");
  const digest = resolved.layers[0]?.digest as string;
  await writeFile(layout.blobPath(digest), "changed");
  const read = async (): Promise<void> => {
    for await (const chunk of await source.openLayer(resolved, digest)) assert.ok(chunk);
  };
  await assert.rejects(read(), { code: "IMAGE_DIGEST_MISMATCH" });
});
