import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Clock, systemClock } from "@slipway/base";
import { ImageLayout } from "../layout.ts";
import { type Descriptor, encodeDocument, type ImageManifest, MEDIA } from "../oci.ts";
import { createRegistryClient, type RegistryClient } from "./client.ts";
import { type Registry, startRegistry } from "./registry.ts";
import { putImage } from "./testing/images.ts";
import { type Interposer, interpose } from "./testing/interposer.ts";

let folder: string;
let layout: ImageLayout;
let first: Descriptor;
let second: Descriptor;
let index: Descriptor;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-mirror-"));
  layout = await ImageLayout.open(join(folder, "layout"));
  first = await putImage(layout, { seed: 1, layers: [20_000] });
  second = await putImage(layout, { seed: 2, layers: [20_000] });
  const manifests = [
    { ...first, platform: { os: "linux", architecture: "amd64" } },
    { ...second, platform: { os: "linux", architecture: "arm64" } },
  ];
  const document = encodeDocument({ schemaVersion: 2, mediaType: MEDIA.index, manifests });
  index = { mediaType: MEDIA.index, ...(await layout.put(document)) };
});
after(() => rm(folder, { recursive: true, force: true }));

interface Scene {
  readonly client: RegistryClient;
  readonly upstream: Registry;
  /** Between the mirror and the upstream. */
  readonly between: Interposer;
  readonly mirror: Registry;
  readonly fetch: (reference: string) => Promise<ImageLayout>;
}

/** A mirror that waits for its upstream's answer for as long as that takes: how patient it is, is not what is tested. */
const patient: Clock = {
  ...systemClock,
  sleep: (ms, signal) =>
    signal === undefined
      ? systemClock.sleep(ms)
      : new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
};

async function scene(body: (scene: Scene) => Promise<void>): Promise<void> {
  const impatient: Clock = { ...systemClock, sleep: () => Promise.resolve() };
  const upstream = await startRegistry({ directory: await mkdtemp(join(folder, "upstream-")), port: 0 });
  const between = await interpose(upstream.port);
  const fetcher = createRegistryClient({ clock: impatient });
  const mirror = await startRegistry({
    directory: await mkdtemp(join(folder, "mirror-")),
    port: 0,
    clock: patient,
    upstreams: { hosts: { hub: between.host }, client: fetcher },
  });
  const client = createRegistryClient({ clock: impatient });
  try {
    await client.push(layout, first, `${upstream.host}/shop/web:v1`);
    await body({
      client,
      upstream,
      between,
      mirror,
      fetch: async (reference) => {
        const copy = await ImageLayout.open(await mkdtemp(join(folder, "copy-")));
        const platform = { os: "linux", architecture: "amd64" };
        const { digest } = await client.pull(`${mirror.host}/hub/shop/web${reference}`, copy, { platform });
        const { layers } = await copy.readJson<ImageManifest>(digest);
        for (const layer of layers) await copy.read(layer.digest);
        return copy;
      },
    });
  } finally {
    await client.close();
    await fetcher.close();
    await mirror.close();
    await between.close();
    await upstream.close();
  }
}

test("an image comes through, and is there without the upstream from then on", () =>
  scene(async ({ between, upstream, fetch }) => {
    await fetch(":v1");
    between.asked.length = 0;
    await fetch(":v1");
    assert.deepEqual(between.asked, ["HEAD /v2/shop/web/manifests/v1"]);
    between.asked.length = 0;
    await fetch(`@${first.digest}`);
    assert.deepEqual(between.asked, []);
    await between.close();
    await upstream.close();
    await fetch(":v1");
    await fetch(`@${first.digest}`);
    await assert.rejects(fetch(":v2"), { code: "REGISTRY_FAILED" });
  }));

test("a tag that moved at the upstream moves here, and the old image stays by digest", () =>
  scene(async ({ client, upstream, mirror, fetch }) => {
    await fetch(":v1");
    await client.push(layout, second, `${upstream.host}/shop/web:v1`);
    await fetch(":v1");
    assert.equal((await mirror.layout.resolve("hub/shop/web", "v1"))?.digest, second.digest);
    await upstream.layout.release("shop/web", first.digest);
    await fetch(`@${first.digest}`);
  }));

test("of an index only the platform that is asked for is fetched", () =>
  scene(async ({ client, upstream, mirror, fetch }) => {
    await client.push(layout, index, `${upstream.host}/shop/web:multi`);
    await fetch(":multi");
    assert.equal((await mirror.layout.resolve("hub/shop/web", "multi"))?.digest, index.digest);
    assert.notEqual(await mirror.layout.size(first.digest), undefined);
    assert.equal(await mirror.layout.size(second.digest), undefined);
  }));

test("several that ask for the same at once cause one fetch", () =>
  scene(async ({ between, fetch }) => {
    await Promise.all([fetch(":v1"), fetch(":v1"), fetch(":v1")]);
    const blobs = between.asked.filter((line) => line.startsWith("GET") && line.includes("/blobs/"));
    assert.equal(new Set(blobs).size, blobs.length);
  }));

test("what the upstream does not have is not found; a mirror cannot be pushed to", () =>
  scene(async ({ client, mirror, fetch }) => {
    await assert.rejects(fetch(":none"), { code: "REGISTRY_NOT_FOUND" });
    await assert.rejects(client.push(layout, second, `${mirror.host}/hub/shop/web:v9`), {
      code: "REGISTRY_REFUSED",
      message: /mirrors another registry/,
    });
    // Without the name of an upstream in front, a repository is the mirror's own.
    await client.push(layout, second, `${mirror.host}/own/web:v1`);
  }));

test("content that is not its digest is not kept", () =>
  scene(async ({ upstream, mirror, fetch }) => {
    const { layers } = await layout.readJson<ImageManifest>(first.digest);
    const layer = layers[0] as Descriptor;
    await writeFile(upstream.layout.blobPath(layer.digest), Buffer.alloc(layer.size));
    await assert.rejects(fetch(":v1"));
    assert.equal(await mirror.layout.size(layer.digest), undefined);
  }));
