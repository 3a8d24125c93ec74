import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm, stat, utimes } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, test } from "node:test";
import { type Clock, systemClock, until } from "@slipway/base";
import { ImageLayout } from "../layout.ts";
import { type Descriptor, digestOf, type ImageManifest } from "../oci.ts";
import { createRegistryClient, type RegistryClient } from "./client.ts";
import { type Registry, type RegistryOptions, startRegistry } from "./registry.ts";
import { putImage } from "./testing/images.ts";

let folder: string;
let layout: ImageLayout;
let image: Descriptor;
let other: Descriptor;
let client: RegistryClient;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-policies-"));
  layout = await ImageLayout.open(join(folder, "layout"));
  image = await putImage(layout, { seed: 1, layers: [1000] });
  other = await putImage(layout, { seed: 2, layers: [1000] });
  client = createRegistryClient();
});
after(async () => {
  await client.close();
  await rm(folder, { recursive: true, force: true });
});

async function withRegistry(
  options: Partial<RegistryOptions>,
  body: (registry: Registry) => Promise<void>,
): Promise<void> {
  const directory = options.directory ?? (await mkdtemp(join(folder, "registry-")));
  const registry = await startRegistry({ port: 0, ...options, directory });
  try {
    await body(registry);
  } finally {
    await registry.close();
  }
}

async function refused(response: Response, status: number, code: string): Promise<void> {
  const { errors } = (await response.json()) as { errors: { code: string }[] };
  assert.deepEqual([response.status, errors[0]?.code], [status, code]);
}

test("an immutable tag does not move, by tag or by digest, and the push of the same again is well", () =>
  withRegistry({ hasImmutableTags: true }, async ({ host, layout: stored, url }) => {
    await client.push(layout, image, `${host}/shop/web:v1`);
    await client.push(layout, image, `${host}/shop/web:v1`);
    await assert.rejects(client.push(layout, other, `${host}/shop/web:v1`), {
      code: "REGISTRY_DENIED",
      message: /tags do not move here/,
    });
    const byDigest = await fetch(`${url}/v2/shop/web/manifests/${other.digest}?tag=v2&tag=v1`, {
      method: "PUT",
      headers: { "content-type": other.mediaType },
      body: new Uint8Array(await layout.read(other.digest)),
    });
    await refused(byDigest, 403, "DENIED");
    assert.equal((await stored.resolve("shop/web", "v1"))?.digest, image.digest);
    assert.equal(await stored.resolve("shop/web", "v2"), undefined, "of several tags all move or none");
    await client.push(layout, other, `${host}/shop/web:v2`);
  }));

test("a read-only registry gives what it has and takes nothing", async () => {
  const directory = await mkdtemp(join(folder, "registry-"));
  await withRegistry({ directory }, async ({ host }) => {
    await client.push(layout, image, `${host}/shop/web:v1`);
  });
  await withRegistry({ directory, isReadOnly: true }, async ({ host, url }) => {
    assert.equal((await client.head(`${host}/shop/web:v1`))?.digest, image.digest);
    for (const [method, path] of [
      ["POST", "blobs/uploads/"],
      ["PUT", "manifests/v2"],
      ["DELETE", "manifests/v1"],
      ["DELETE", `blobs/${image.digest}`],
    ] as const) {
      await refused(await fetch(`${url}/v2/shop/web/${path}`, { method }), 405, "UNSUPPORTED");
    }
    assert.equal((await client.head(`${host}/shop/web:v1`))?.digest, image.digest);
  });
});

test("a blob that a manifest of any repository needs is not deleted", () =>
  withRegistry({}, async ({ host, url, layout: stored }) => {
    await client.push(layout, image, `${host}/shop/web:v1`);
    const { layers } = await layout.readJson<ImageManifest>(image.digest);
    const path = `${url}/v2/shop/other/blobs/${layers[0]?.digest}`;
    await refused(await fetch(path, { method: "DELETE" }), 405, "UNSUPPORTED");
    await stored.release("shop/web", image.digest);
    assert.equal((await fetch(path, { method: "DELETE" })).status, 202);
  }));

test("an upload that nobody continues is dropped with its bytes; one that goes on lives", async () => {
  let now = 0;
  const clock: Clock = { ...systemClock, monotonic: () => now };
  await withRegistry({ clock, uploads: { expiryMs: 60_000 } }, async ({ url, layout: stored }) => {
    const start = async (): Promise<string> => {
      const response = await fetch(`${url}/v2/shop/web/blobs/uploads/`, { method: "POST" });
      return `${url}${response.headers.get("location")}`;
    };
    const patch = (location: string): Promise<Response> => fetch(location, { method: "PATCH", body: "x" });
    const [left, used] = [await start(), await start()];
    assert.equal((await patch(left)).status, 202);
    for (const moment of [40_000, 80_000]) {
      now = moment;
      assert.equal((await patch(used)).status, 202);
    }
    await refused(await fetch(left), 404, "BLOB_UPLOAD_UNKNOWN");
    assert.equal((await readdir(stored.cachePath("incoming"))).length, 1);
  });
});

test("an upload whose client went silent in the middle goes on over another connection", () =>
  withRegistry({ uploads: { idleMs: 200 } }, async ({ url, port }) => {
    const begun = await fetch(`${url}/v2/shop/web/blobs/uploads/`, { method: "POST" });
    const path = begun.headers.get("location") as string;
    const silent = connect(port, "127.0.0.1");
    silent.on("error", () => {});
    silent.write(`PATCH ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n${"a".repeat(400)}`);
    // Answered once the silent request is over, and not before: it counts every byte that came.
    let status = await fetch(`${url}${path}`);
    while (status.headers.get("range") !== "0-399") status = await fetch(`${url}${path}`);
    const digest = digestOf(Buffer.from("a".repeat(1000)));
    // A busy machine may take a request for silent that only has no time to speak: then it goes on from there, too.
    await until("the upload to end", async () => {
      const { headers } = await fetch(`${url}${path}`);
      const rest = 999 - Number(headers.get("range")?.split("-")[1]);
      const put = { method: "PUT", body: "a".repeat(rest) };
      const ended = await fetch(`${url}${path}?digest=${digest}`, put).catch(() => undefined);
      if (ended !== undefined) assert.equal(ended.status, 201);
      return ended !== undefined;
    });
    silent.destroy();
  }));

test("a disk that takes longer than a client may be silent is no silence of the client", () =>
  withRegistry({ uploads: { idleMs: 50 } }, async ({ url, port, layout: stored }) => {
    const startBlob = stored.startBlob.bind(stored);
    stored.startBlob = async () => {
      const writer = await startBlob();
      const write = writer.write.bind(writer);
      writer.write = async (chunk) => {
        await systemClock.sleep(200);
        await write(chunk);
      };
      return writer;
    };
    const begun = await fetch(`${url}/v2/shop/web/blobs/uploads/`, { method: "POST" });
    const put = `${begun.headers.get("location")}?digest=${digestOf(Buffer.from("whole"))}`;
    const socket = connect(port, "127.0.0.1");
    // In one piece: all of it has come when the registry begins to read.
    socket.write(`PUT ${put} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nwhole`);
    assert.match(await text(socket), /^HTTP\/1\.1 201 /);
  }));

test("a big blob by sha512, in chunks, is hashed from the disk", () =>
  withRegistry({}, async ({ url }) => {
    const data = randomBytes(3_000_000);
    const begun = await fetch(`${url}/v2/shop/web/blobs/uploads/`, { method: "POST" });
    const location = `${url}${begun.headers.get("location")}`;
    for (const [start, end] of [
      [0, 1_000_000],
      [1_000_000, 3_000_000],
    ] as const) {
      await fetch(location, { method: "PATCH", body: data.subarray(start, end) });
    }
    const wrong = digestOf(Buffer.from("other"), "sha512");
    const digest = digestOf(data, "sha512");
    const ended = await fetch(`${location}?digest=${digest}`, { method: "PUT" });
    assert.equal(ended.headers.get("docker-content-digest"), digest);
    const got = await fetch(`${url}/v2/shop/web/blobs/${digest}`);
    assert.ok(data.equals(Buffer.from(await got.arrayBuffer())));
    assert.equal((await fetch(`${url}/v2/shop/web/blobs/${wrong}`)).status, 404);
  }));

test("a blob that is asked about or mounted is young again for garbage collection", () =>
  withRegistry({}, async ({ url, host, layout: stored }) => {
    await client.push(layout, image, `${host}/shop/web:v1`);
    await stored.release("shop/web", image.digest);
    const path = stored.blobPath(image.digest);
    const isYoung = async (): Promise<boolean> => (await stat(path)).mtimeMs > 1_000_000;
    for (const ask of [
      () => fetch(`${url}/v2/shop/web/blobs/${image.digest}`, { method: "HEAD" }),
      () => fetch(`${url}/v2/shop/b/blobs/uploads/?mount=${image.digest}&from=shop/web`, { method: "POST" }),
    ]) {
      await utimes(path, 1, 1);
      assert.equal(await isYoung(), false);
      assert.ok((await ask()).ok);
      assert.equal(await isYoung(), true);
    }
  }));
