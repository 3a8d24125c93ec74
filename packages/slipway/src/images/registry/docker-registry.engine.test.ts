import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ImageLayout } from "../layout.ts";
import { type ImageIndex, type ImageManifest, MEDIA } from "../oci.ts";
import { createRegistryClient } from "./client.ts";
import { referrersTag } from "./referrers-tag.ts";
import { registryCases } from "./testing/cases.ts";
import { startDockerRegistry } from "./testing/docker-registry.ts";
import { putImage } from "./testing/images.ts";
import { pushUnderFaults } from "./testing/push-under-faults.ts";

let folder: string;
let registry: Awaited<ReturnType<typeof startDockerRegistry>>;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-distribution-"));
  registry = await startDockerRegistry(folder);
});
after(async () => {
  await registry?.close();
  await rm(folder, { recursive: true, force: true });
});

const NO_REFERRERS = "2.8 has no referrers API";
const NO_RANGES = "2.8 does not look at Content-Range";
const SHA256_ONLY = "2.8 stores by sha256 only";
const NO_ORDER = "2.8 lists tags as the folder has them, and all of them";

/** What Distribution 2.8 does not do of the specification 1.1. The client gets along without it. */
registryCases(async () => ({ url: registry.url, close: () => Promise.resolve() }), {
  "GET of a part beyond the end": "2.8 answers 416 with a length that is not the body's",
  "a blob by a single POST": "2.8 answers 202, as the specification allows",
  "a chunk out of order is refused with the position": NO_RANGES,
  "a closing PUT out of order is refused": NO_RANGES,
  "a chunk whose length is not its range's": NO_RANGES,
  "a mount that names no repository": "2.8 answers 202, as the specification allows",
  "a blob by sha512": SHA256_ONLY,
  "a manifest by sha512": SHA256_ONLY,
  "a manifest by digest with several tags": "2.8 ignores ?tag=",
  "a manifest that is too big": "2.8 answers 400",
  "DELETE of a tag leaves the manifest": "2.8 deletes by digest only",
  "tags are listed in order and in pages": NO_ORDER,
  "tags are ordered without regard to case": NO_ORDER,
  "a page of no tags": NO_ORDER,
  "a manifest with a subject is listed as its referrer": NO_REFERRERS,
  "a referrer may come before its subject": NO_REFERRERS,
  "an index may be a referrer": NO_REFERRERS,
  "referrers of what nothing refers to": NO_REFERRERS,
  "referrers of what is no digest": NO_REFERRERS,
});

test("an image goes to Distribution in chunks, is mounted, and comes back the same", async () => {
  const layout = await ImageLayout.open(join(folder, "layout"));
  const image = await putImage(layout, { seed: 41, layers: [300_000, 1000] });
  const client = createRegistryClient({ chunkBytes: 64 * 1024 });
  try {
    const first = await client.push(layout, image, `${registry.host}/shop/base:v1`);
    assert.equal(first.uploadedBlobs, 3);
    const second = await client.push(layout, image, `${registry.host}/shop/web:v1`, {
      mountFrom: ["shop/none", "shop/base"],
    });
    assert.deepEqual([second.mountedBlobs, second.uploadedBytes], [3, 0]);
    const third = await client.push(layout, image, `${registry.host}/shop/web:v1`);
    assert.deepEqual([third.mountedBlobs, third.uploadedBytes], [0, 0]);
    const copy = await ImageLayout.open(join(folder, "copy"));
    assert.equal((await client.pull(`${registry.host}/shop/web:v1`, copy)).digest, image.digest);
    const { layers } = await copy.readJson<ImageManifest>(image.digest);
    for (const { digest } of layers) await copy.read(digest);
  } finally {
    await client.close();
  }
});

test("referrers are listed under the tag that stands in for the API", async () => {
  const layout = await ImageLayout.open(join(folder, "referrers"));
  const image = await putImage(layout, { seed: 42, layers: [1000] });
  const sbom = await putImage(layout, {
    seed: 43,
    layers: [10],
    artifactType: "application/vnd.cyclonedx+json",
    subject: image,
  });
  const client = createRegistryClient();
  try {
    await client.push(layout, image, `${registry.host}/shop/sbom:v1`);
    await client.push(layout, sbom, `${registry.host}/shop/sbom@${sbom.digest}`);
    const response = await fetch(`${registry.url}/v2/shop/sbom/manifests/${referrersTag(image.digest)}`, {
      headers: { accept: MEDIA.index },
    });
    const { manifests } = (await response.json()) as ImageIndex;
    assert.deepEqual(
      manifests.map(({ digest, artifactType }) => [digest, artifactType]),
      [[sbom.digest, "application/vnd.cyclonedx+json"]],
    );
  } finally {
    await client.close();
  }
});

test("a push to Distribution comes through every fault too", async () => {
  for (let seed = 1; seed <= 15; seed += 1) {
    const { broken } = await pushUnderFaults(seed, { registryPort: registry.port });
    assert.deepEqual(broken, [], `seed ${seed}`);
  }
});
