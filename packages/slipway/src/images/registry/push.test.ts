import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Clock, systemClock } from "@slipway/base";
import { ImageLayout } from "../layout.ts";
import { type Descriptor, encodeDocument, type ImageIndex, type ImageManifest, MEDIA } from "../oci.ts";
import { createRegistryClient, type RegistryClient } from "./client.ts";
import { referrersTag } from "./referrers-tag.ts";
import { type Registry, startRegistry } from "./registry.ts";
import { putImage } from "./testing/images.ts";
import { type Interposer, type Interposing, interpose } from "./testing/interposer.ts";

const CHUNK = 16 * 1024;
let folder: string;
let layout: ImageLayout;
let image: Descriptor;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-push-"));
  layout = await ImageLayout.open(join(folder, "layout"));
  image = await putImage(layout, { seed: 1, layers: [50_000, 9_000] });
});
after(() => rm(folder, { recursive: true, force: true }));

/** Waits are skipped, and written down. */
function impatient(waits: number[] = []): Clock {
  return { ...systemClock, sleep: async (ms) => void waits.push(ms) };
}

interface Scene {
  readonly client: RegistryClient;
  readonly registry: Registry;
  readonly between: Interposer;
  readonly waits: readonly number[];
}

async function scene(interposing: Interposing, body: (scene: Scene) => Promise<void>): Promise<void> {
  const registry = await startRegistry({ directory: await mkdtemp(join(folder, "registry-")), port: 0 });
  const between = await interpose(registry.port, interposing);
  const waits: number[] = [];
  const client = createRegistryClient({ clock: impatient(waits), chunkBytes: CHUNK });
  try {
    await body({ client, registry, between, waits });
  } finally {
    await client.close();
    await between.close();
    await registry.close();
  }
}

const methods = (asked: readonly string[]): readonly string[] =>
  asked.map((line) => line.replace(/^(\w+) .*\/(blobs\/uploads|blobs|manifests)\/.*$/, "$1 $2"));

const isBlobUpload = (method: string | undefined, url: string | undefined, wanted: string): boolean =>
  method === wanted && (url ?? "").includes("/blobs/uploads/");

test("a push of what is there asks one question for each blob and one for the manifest, and sends nothing", () =>
  scene({}, async ({ client, between }) => {
    await client.push(layout, image, `${between.host}/shop/web:v1`);
    between.asked.length = 0;
    const again = await client.push(layout, image, `${between.host}/shop/web:v1`);
    assert.deepEqual(methods(between.asked), ["HEAD blobs", "HEAD blobs", "HEAD blobs", "HEAD manifests"]);
    assert.deepEqual([again.uploadedBytes, again.uploadedBlobs, again.mountedBlobs], [0, 0, 0]);
    between.asked.length = 0;
    await client.push(layout, image, `${between.host}/shop/web:v2`);
    assert.deepEqual(methods(between.asked).slice(-2), ["HEAD manifests", "PUT manifests"]);
  }));

test("a layer that was sent ahead is asked for and sent once, and counts as the push's", () =>
  scene({}, async ({ client, between }) => {
    const repository = `${between.host}/shop/web`;
    const { layers } = await layout.readJson<ImageManifest>(image.digest);
    for (const layer of [...layers, ...layers]) client.sendAhead(layout, layer, repository);
    const { uploadedBlobs, uploadedBytes } = await client.push(layout, image, `${repository}:v1`);
    const asked = methods(between.asked);
    assert.equal(asked.filter((line) => line === "HEAD blobs").length, 3);
    assert.equal(asked.filter((line) => line === "POST blobs/uploads").length, 3);
    assert.equal(uploadedBlobs, 3);
    assert.ok(uploadedBytes > layers.reduce((sum, { size }) => sum + size, 0));
  }));

test("what is sent ahead to one repository is awaited by a second one, and not sent again", () =>
  scene({}, async ({ client, between }) => {
    const { layers } = await layout.readJson<ImageManifest>(image.digest);
    for (const name of ["web", "worker"])
      for (const layer of layers) client.sendAhead(layout, layer, `${between.host}/shop/${name}`);
    await client.push(layout, image, `${between.host}/shop/web:v1`);
    const { uploadedBlobs } = await client.push(layout, image, `${between.host}/shop/worker:v1`);
    assert.equal(uploadedBlobs, 0);
  }));

test("the push tells that a layer could not be sent ahead", () =>
  scene(
    {
      answer: ({ method, url }, outgoing) => {
        if (!isBlobUpload(method, url, "POST")) return false;
        outgoing.writeHead(403).end();
        return true;
      },
    },
    async ({ client, between }) => {
      const { layers } = await layout.readJson<ImageManifest>(image.digest);
      for (const layer of layers) client.sendAhead(layout, layer, `${between.host}/shop/web`);
      await assert.rejects(client.push(layout, image, `${between.host}/shop/web:v1`), {
        code: "REGISTRY_DENIED",
      });
    },
  ));

test("blobs go first, then manifests, then the index under its tag", () =>
  scene({}, async ({ client, between }) => {
    const other = await putImage(layout, { seed: 2, layers: [100] });
    const index = encodeDocument({ schemaVersion: 2, mediaType: MEDIA.index, manifests: [image, other] });
    const descriptor = { mediaType: MEDIA.index, ...(await layout.put(index)) };
    await client.push(layout, descriptor, `${between.host}/shop/web:v1`);
    const order = between.asked.filter((line) => line.startsWith("PUT")).map((line) => line.split("?")[0]);
    const manifests = order.slice(order.findIndex((line) => line?.includes("/manifests/")));
    assert.deepEqual(manifests, [
      `PUT /v2/shop/web/manifests/${image.digest}`,
      `PUT /v2/shop/web/manifests/${other.digest}`,
      "PUT /v2/shop/web/manifests/v1",
    ]);
  }));

test("each repository that may hold a blob is tried, and an upload that a mount opened is used or given up", () => {
  // The embedded registry shares blobs, so HEAD finds them anyway: hide them until they are mounted.
  const mounted = new Set<string>();
  return scene(
    {
      answer: (incoming, outgoing) => {
        const digest = /sha256:[0-9a-f]{64}/.exec(decodeURIComponent(incoming.url ?? ""))?.[0] ?? "";
        const from = new URL(incoming.url ?? "", "http://x").searchParams.get("from");
        const isHidden = incoming.method === "HEAD" && incoming.url?.includes("/blobs/") === true;
        if (isHidden && !mounted.has(digest)) {
          outgoing.writeHead(404).end();
          return true;
        }
        if (from === "shop/none") {
          outgoing.writeHead(202, { location: "/v2/shop/web/blobs/uploads/unwanted" }).end();
          return true;
        }
        if (from === "shop/secret") {
          outgoing.writeHead(403).end();
          return true;
        }
        if (from === "shop/base") mounted.add(digest);
        return false;
      },
    },
    async ({ client, between }) => {
      await client.push(layout, image, `${between.host}/shop/base:v1`);
      mounted.clear();
      between.asked.length = 0;
      const result = await client.push(layout, image, `${between.host}/shop/web:v1`, {
        mountFrom: ["shop/none", "shop/secret", "shop/base"],
      });
      assert.deepEqual([result.mountedBlobs, result.uploadedBytes], [3, 0]);
      assert.equal(between.asked.filter((line) => line.includes("uploads/unwanted")).length, 3);
      assert.equal(between.asked.filter((line) => line.startsWith("DELETE")).length, 3);
    },
  );
});

test("the registry's least chunk is kept", () => {
  const sizes: number[] = [];
  return scene(
    {
      answer: (incoming) => {
        if (isBlobUpload(incoming.method, incoming.url, "PATCH"))
          sizes.push(Number(incoming.headers["content-length"]));
        return false;
      },
      headers: (headers) =>
        headers["oci-chunk-min-length"] === undefined
          ? headers
          : { ...headers, "oci-chunk-min-length": "20000" },
    },
    async ({ client, between }) => {
      await client.push(layout, image, `${between.host}/shop/web:v1`);
      assert.deepEqual(sizes, [20_000, 20_000]);
    },
  );
});

test("an upload that the registry has forgotten is begun again", () => {
  let forgotten = 0;
  return scene(
    {
      answer: (incoming, outgoing) => {
        if (!isBlobUpload(incoming.method, incoming.url, "PATCH") || forgotten > 0) return false;
        forgotten += 1;
        incoming.on("end", () => outgoing.writeHead(404).end());
        return true;
      },
    },
    async ({ client, between, registry }) => {
      await client.push(layout, image, `${between.host}/shop/web:v1`);
      assert.equal((await registry.layout.resolve("shop/web", "v1"))?.digest, image.digest);
      assert.equal(forgotten, 1);
    },
  );
});

test("Retry-After is waited for; without it the waits grow and are uneven", () => {
  let refused = 0;
  return scene(
    {
      answer: (incoming, outgoing) => {
        if (incoming.method !== "PUT" || incoming.url?.includes("/manifests/") !== true || refused >= 4)
          return false;
        refused += 1;
        incoming.on("end", () =>
          outgoing.writeHead(refused === 1 ? 429 : 503, refused === 1 ? { "retry-after": "7" } : {}).end(),
        );
        return true;
      },
    },
    async ({ client, between, waits }) => {
      await client.push(layout, image, `${between.host}/shop/web:v1`);
      assert.equal(waits[0], 7000);
      const grown = [100, 200, 400].map((first, at) => [first, waits[at + 1] as number] as const);
      for (const [first, waited] of grown) {
        assert.ok(waited >= first && waited <= 2 * first, `${waited} ms after ${first}`);
      }
    },
  );
});

for (const where of ["a blob", "the manifest"] as const) {
  test(`a registry that stored something else for ${where} is not believed`, () =>
    scene(
      {
        headers: (headers, { method, url = "" }) =>
          method === "PUT" && url.includes("/manifests/") === (where === "the manifest")
            ? { ...headers, "docker-content-digest": `sha256:${"0".repeat(64)}` }
            : headers,
      },
      async ({ client, between }) => {
        await assert.rejects(client.push(layout, image, `${between.host}/shop/web:v1`), {
          code: "IMAGE_DIGEST_MISMATCH",
          exitCode: 3,
        });
      },
    ));
}

test("the list of referrers is kept by us where the registry does not say that it keeps it", () =>
  scene(
    {
      headers: (headers) => {
        const { "oci-subject": _subject, ...rest } = headers;
        return rest;
      },
    },
    async ({ client, between, registry }) => {
      await client.push(layout, image, `${between.host}/shop/web:v1`);
      const about = (seed: number, artifactType: string): Promise<Descriptor> =>
        putImage(layout, { seed, layers: [10], artifactType, subject: image });
      const sbom = await about(5, "application/vnd.cyclonedx+json");
      const provenance = await about(6, "application/vnd.in-toto+json");
      for (const one of [sbom, provenance, sbom]) {
        await client.push(layout, one, `${between.host}/shop/web@${one.digest}`);
      }
      const list = await registry.layout.resolve("shop/web", referrersTag(image.digest));
      assert.equal(list?.mediaType, MEDIA.index);
      const { manifests } = await registry.layout.readJson<ImageIndex>(list?.digest as string);
      assert.deepEqual(
        manifests.map(({ digest, artifactType }) => [digest, artifactType]),
        [
          [sbom.digest, "application/vnd.cyclonedx+json"],
          [provenance.digest, "application/vnd.in-toto+json"],
        ],
      );
    },
  ));

test("a registry with the referrers API gets no tag for them", () =>
  scene({}, async ({ client, between, registry }) => {
    await client.push(layout, image, `${between.host}/shop/web:v1`);
    const sbom = await putImage(layout, { seed: 7, layers: [10], subject: image });
    await client.push(layout, sbom, `${between.host}/shop/web@${sbom.digest}`);
    assert.equal(await registry.layout.resolve("shop/web", referrersTag(image.digest)), undefined);
  }));

test("layers that may not be distributed stay where they are; another missing one is an error", () =>
  scene({}, async ({ client, between }) => {
    const manifest = await layout.readJson<ImageManifest>(image.digest);
    const absent = { digest: `sha256:${"a".repeat(64)}`, size: 5 };
    const foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    const withLayer = async (mediaType: string): Promise<Descriptor> => {
      const layers = [...manifest.layers, { mediaType, ...absent }];
      return { mediaType: MEDIA.manifest, ...(await layout.put(encodeDocument({ ...manifest, layers }))) };
    };
    await client.push(layout, await withLayer(foreign), `${between.host}/shop/web:v1`);
    await assert.rejects(client.push(layout, await withLayer(MEDIA.layer), `${between.host}/shop/web:v2`), {
      code: "IMAGE_BLOB_MISSING",
    });
  }));
