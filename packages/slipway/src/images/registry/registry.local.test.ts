import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { seededRandom, systemClock } from "@slipway/base";
import { ImageLayout } from "../layout.ts";
import { type Descriptor, digestOf, encodeDocument, MEDIA } from "../oci.ts";
import { createRegistryClient } from "./client.ts";
import { startRegistry } from "./registry.ts";

const MODULE = pathToFileURL(join(import.meta.dirname, "registry.ts")).href;

const LAYER_BYTES = 3_000_000;

/** Where a push is cut: after so many bytes, fewer than it has, or when all of it is stored and the client was not told. */
type End = { readonly bytes: number } | "before the answer to the tag";

/** A way to a registry on which nothing passes any more from its end on, when `cut` is called: no push comes through, however late anybody is. */
async function wayThatEnds(
  host: string,
  end: End,
  cut: () => void,
): Promise<{ readonly host: string; close(): void }> {
  let sent = 0;
  let isTagged = false;
  let isOver = false;
  const server = createServer((near) => {
    const far = connect(Number(host.split(":")[1]), "127.0.0.1");
    near.on("error", () => {}).on("close", () => far.destroy());
    far.on("error", () => {}).on("close", () => near.destroy());
    const over = (): void => {
      isOver = true;
      cut();
    };
    near.on("data", (piece: Buffer) => {
      if (isOver) return;
      far.write(piece);
      sent += piece.length;
      isTagged ||= piece.includes("PUT /v2/shop/web/manifests/");
      if (typeof end !== "string" && sent > end.bytes) over();
    });
    far.on("data", (piece) => {
      if (typeof end === "string" && isTagged) return over();
      if (!isOver) near.write(piece);
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => void server.close() };
}

/** A registry in a process of its own, so that it can be killed. */
async function registryProcess(directory: string): Promise<{ child: ChildProcess; host: string }> {
  const program = `import { startRegistry } from ${JSON.stringify(MODULE)};
    const registry = await startRegistry({ directory: ${JSON.stringify(directory)}, port: 0 });
    process.stdout.write(registry.host + "\\n");`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, "data")) as [Buffer];
  return { child, host: line.toString().trim() };
}

async function makeImage(layout: ImageLayout): Promise<Descriptor> {
  const layer = await layout.put(randomBytes(LAYER_BYTES));
  const config = await layout.put(encodeDocument({ os: "linux", architecture: "amd64" }));
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: { mediaType: MEDIA.config, ...config },
    layers: [{ mediaType: MEDIA.layer, ...layer }],
  };
  return { mediaType: MEDIA.manifest, ...(await layout.put(encodeDocument(manifest))) };
}

test("a registry that is killed in the middle of a push shows no half blob and no tag that leads nowhere", async () => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-kill-"));
  const random = seededRandom(11);
  const client = createRegistryClient({
    clock: { ...systemClock, sleep: () => Promise.resolve() },
    chunkBytes: 256 * 1024,
  });
  try {
    const layout = await ImageLayout.open(join(folder, "layout"));
    const directory = join(folder, "registry");
    const ends: End[] = Array.from({ length: 5 }, () => ({ bytes: random.int(LAYER_BYTES) }));
    for (const [trial, end] of [...ends, "before the answer to the tag" as const].entries()) {
      const image = await makeImage(layout);
      const { child, host } = await registryProcess(directory);
      const way = await wayThatEnds(host, end, () => child.kill("SIGKILL"));
      await assert.rejects(client.push(layout, image, `${way.host}/shop/web:v${trial}`));
      way.close();
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");

      for (const name of await readdir(join(directory, "blobs", "sha256"))) {
        if (name.endsWith(".tmp")) continue; // a name that no request can ask for
        assert.equal(digestOf(await readFile(join(directory, "blobs", "sha256", name))), `sha256:${name}`);
      }
      const registry = await startRegistry({ directory, port: 0 });
      try {
        assert.deepEqual(await readdir(join(directory, "slipway", "incoming")).catch(() => []), []);
        const reference = `${registry.host}/shop/web:v${trial}`;
        const held = await registry.layout.resolve("shop/web", `v${trial}`);
        assert.equal(held?.digest, typeof end === "string" ? image.digest : undefined);
        if (held !== undefined) await client.pull(reference, await ImageLayout.open(join(folder, "copy")));
        const again = await client.push(layout, image, reference);
        assert.equal(again.reference, `${reference}@${image.digest}`);
      } finally {
        await registry.close();
      }
    }
  } finally {
    await client.close();
    await rm(folder, { recursive: true, force: true });
  }
});
