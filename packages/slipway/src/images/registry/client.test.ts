import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, request as httpRequest, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Clock, SlipwayError, systemClock } from "@slipway/base";
import { ImageLayout } from "../layout.ts";
import { type Descriptor, encodeDocument, type ImageManifest, MEDIA } from "../oci.ts";
import { createRegistryClient } from "./client.ts";
import { parseChallenge, parseRetryAfter } from "./http-text.ts";
import { type Registry, startRegistry } from "./registry.ts";

let folder: string;
let layout: ImageLayout;
let registry: Registry;
let image: Descriptor;
const CHUNK = 16 * 1024;
const LAYER_BYTES = 100_000;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-client-"));
  layout = await ImageLayout.open(join(folder, "layout"));
  image = await makeImage(layout, "first");
});
after(() => rm(folder, { recursive: true, force: true }));

/** Waits of the client are skipped: what is tested is what it sends, not how long it sleeps. */
const impatient: Clock = { ...systemClock, sleep: () => Promise.resolve() };

async function makeImage(target: ImageLayout, text: string): Promise<Descriptor> {
  const layer = await target.put(randomBytes(LAYER_BYTES));
  const config = await target.put(Buffer.from(JSON.stringify({ architecture: "amd64", os: "linux", text })));
  const manifest: ImageManifest = {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: { mediaType: MEDIA.config, ...config },
    layers: [{ mediaType: MEDIA.layer, ...layer }],
  };
  return { mediaType: MEDIA.manifest, ...(await target.put(encodeDocument(manifest))) };
}

async function withRegistry(body: (registry: Registry) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(folder, "registry-"));
  registry = await startRegistry({ directory, port: 0 });
  try {
    await body(registry);
  } finally {
    await registry.close();
  }
}

test("an image goes to a registry and comes back the same; a second push sends nothing", () =>
  withRegistry(async ({ host }) => {
    const client = createRegistryClient();
    const first = await client.push(layout, image, `${host}/shop/web:v1`);
    assert.equal(first.reference, `${host}/shop/web:v1@${image.digest}`);
    assert.ok(first.uploadedBytes > LAYER_BYTES);
    const second = await client.push(layout, image, `${host}/shop/other:v1`);
    assert.equal(second.uploadedBytes, 0);
    assert.equal((await client.head(`${host}/shop/web:v1`))?.digest, image.digest);
    assert.equal(await client.head(`${host}/shop/web:v2`), undefined);

    const copy = await ImageLayout.open(await mkdtemp(join(folder, "copy-")));
    assert.equal((await client.pull(`${host}/shop/web:v1`, copy)).digest, image.digest);
    const manifest = await copy.readJson<ImageManifest>(image.digest);
    for (const blob of manifest.layers) {
      assert.deepEqual(await copy.read(blob.digest), await layout.read(blob.digest));
    }
    await assert.rejects(client.pull(`${host}/shop/none:v1`, copy), {
      code: "REGISTRY_NOT_FOUND",
      exitCode: 3,
    });
    await client.close();
  }));

test("of an index, the entry of the platform is taken; an absent one is an error that lists the others", () =>
  withRegistry(async ({ host }) => {
    const client = createRegistryClient();
    const arm = await makeImage(layout, "arm");
    const index = await layout.put(
      encodeDocument({
        schemaVersion: 2,
        mediaType: MEDIA.index,
        manifests: [
          { ...image, platform: { os: "linux", architecture: "amd64" } },
          { ...arm, platform: { os: "linux", architecture: "arm64" } },
        ],
      }),
    );
    await client.push(layout, { mediaType: MEDIA.index, ...index }, `${host}/shop/multi:v1`);
    const platform = { os: "linux", architecture: "arm64" };
    assert.equal((await client.resolve(`${host}/shop/multi:v1`, platform)).digest, arm.digest);
    await assert.rejects(client.resolve(`${host}/shop/multi:v1`, { os: "linux", architecture: "s390x" }), {
      code: "IMAGE_PLATFORM_MISSING",
      message: /amd64, linux\/arm64/,
    });
    await client.close();
  }));

test("what a name stands for is asked early once, and again for the next pull", () =>
  withRegistry(async ({ host }) => {
    const name = `${host}/shop/web:v1`;
    const other = await makeImage(layout, "second");
    const client = createRegistryClient();
    const pulled = await ImageLayout.open(await mkdtemp(join(folder, "early-")));
    await client.push(layout, image, name);
    client.prepare([name]);
    assert.equal((await client.resolve(name)).digest, image.digest); // asked behind it, on the same line
    await client.push(layout, other, name);
    assert.equal((await client.pull(name, pulled)).digest, image.digest);
    assert.equal((await client.pull(name, pulled)).digest, other.digest);
    client.prepare([`${host}/shop/none:1`]);
    const { code } = (await client.pull(`${host}/shop/none:1`, pulled).catch((error) => error)) as {
      code: string;
    };
    assert.equal(code, "REGISTRY_NOT_FOUND");

    const later = `${host}/shop/later:1`;
    client.prepare([later]);
    await assert.rejects(client.resolve(later), { code: "REGISTRY_NOT_FOUND" });
    await client.push(layout, image, later);
    assert.equal(
      (await client.pull(later, pulled)).digest,
      image.digest,
      "an early failure is none of the pull",
    );
    await client.close();
  }));

test("a registry that is not there is one error that says so", async () => {
  const client = createRegistryClient({ clock: impatient });
  await assert.rejects(client.resolve("127.0.0.1:1/shop/web:v1"), {
    code: "REGISTRY_UNREACHABLE",
    message: /\(6 tries\): .*ECONNREFUSED/,
    exitCode: 3,
  });
  await client.close();
});

test("a question about an image ends with its signal, whether the registry is silent or asks to come back later", async () => {
  for (const answer of ["nothing", "503"]) {
    const server = createServer((_request, response) => {
      if (answer === "503") response.writeHead(503, { "retry-after": "60" }).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const client = createRegistryClient();
    const asked = new AbortController();
    const begun = performance.now();
    setTimeout(() => asked.abort(), 50);
    await assert.rejects(client.head(`127.0.0.1:${port}/shop/web:v1`, asked.signal));
    await client.close();
    assert.ok(performance.now() - begun < 30_000, answer); // it may come back after 60 s
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

const stops: readonly (readonly [string, (response: ServerResponse) => void, "push" | "pull"])[] = [
  ["is silent", () => {}, "push"],
  ["asks to come back later", (response) => response.writeHead(503, { "retry-after": "60" }).end(), "push"],
  ["is silent", () => {}, "pull"],
  ["stops in the middle of an answer", (response) => response.writeHead(200).write("{"), "pull"],
];
for (const [what, answer, how] of stops) {
  test(`a ${how} ends with the client's signal where the registry ${what}`, async () => {
    const asked = new AbortController();
    const reason = new SlipwayError({ code: "INTERRUPTED", message: "interrupted", exitCode: 130 });
    let requests = 0;
    const server = createServer((request, response) => {
      request.resume();
      requests += 1;
      answer(response);
      setImmediate(() => asked.abort(reason)); // what it answered is on its way by then
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const name = `127.0.0.1:${(server.address() as AddressInfo).port}/shop/web:v1`;
    const client = createRegistryClient({ signal: asked.signal });
    try {
      const work = how === "push" ? client.push(layout, image, name) : client.pull(name, layout);
      await assert.rejects(work, reason);
      assert.ok(requests <= 4, `${requests} requests: none is repeated`);
    } finally {
      await client.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
}

test("challenges and Retry-After are read as the specifications write them", () => {
  assert.deepEqual(
    parseChallenge('Bearer realm="https://auth.example/token",service="r",scope="repository:a:pull,push"'),
    {
      scheme: "bearer",
      parameters: { realm: "https://auth.example/token", service: "r", scope: "repository:a:pull,push" },
    },
  );
  assert.equal(parseChallenge("Basic realm=x").scheme, "basic");
  assert.equal(parseRetryAfter("3", 0), 3000);
  assert.equal(parseRetryAfter("Thu, 01 Jan 1970 00:00:10 GMT", 4000), 6000);
  assert.equal(parseRetryAfter(undefined, 0), undefined);
});

test("a bearer token is fetched when asked for and renewed when it ends in the middle", async () => {
  const directory = await mkdtemp(join(folder, "registry-"));
  const inner = await startRegistry({ directory, port: 0 });
  let issued = 0;
  let uses = 0;
  const server = createServer((incoming, outgoing) => {
    const { host } = incoming.headers;
    if (incoming.url?.startsWith("/token") === true) {
      assert.equal(incoming.headers.authorization, `Basic ${Buffer.from("ann:pw").toString("base64")}`);
      issued += 1;
      uses = 0;
      outgoing.end(JSON.stringify({ token: `t${issued}` }));
      return;
    }
    uses += 1;
    if (incoming.headers.authorization !== `Bearer t${issued}` || uses > 4) {
      incoming.resume();
      const challenge = `Bearer realm="http://${host}/token",service="s",scope="repository:shop/web:pull,push"`;
      outgoing.writeHead(401, { "www-authenticate": challenge }).end();
      return;
    }
    const forwarded = httpRequest(
      {
        port: inner.port,
        host: "127.0.0.1",
        method: incoming.method,
        path: incoming.url,
        headers: incoming.headers,
      },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(outgoing);
      },
    );
    incoming.pipe(forwarded);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const credentials = () => Promise.resolve({ kind: "basic" as const, username: "ann", password: "pw" });
  const client = createRegistryClient({ clock: impatient, credentials, chunkBytes: CHUNK });
  const stranger = createRegistryClient({ clock: impatient });
  try {
    await client.push(layout, image, `${host}/shop/web:v1`);
    assert.equal((await inner.layout.resolve("shop/web", "v1"))?.digest, image.digest);
    assert.ok(issued >= 2, "the token was renewed");
  } finally {
    await client.close();
    await stranger.close();
    server.closeAllConnections();
    server.close();
    await inner.close();
  }
});
