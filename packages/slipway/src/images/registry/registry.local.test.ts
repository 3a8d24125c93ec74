import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { seededRandom, systemClock, until } from "@slipway/base";
import { ImageLayout } from "../layout.ts";
import { type Descriptor, digestOf, encodeDocument, MEDIA } from "../oci.ts";
import { createRegistryClient } from "./client.ts";
import { startRegistry } from "./registry.ts";

const MODULE = pathToFileURL(join(import.meta.dirname, "registry.ts")).href;

const LAYER_BYTES = 3_000_000;

async function bytesIn(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => []);
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(folder, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return Math.max(0, ...sizes);
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
  let cut = 0;
  try {
    const layout = await ImageLayout.open(join(folder, "layout"));
    const directory = join(folder, "registry");
    for (let trial = 1; trial <= 5; trial += 1) {
      const image = await makeImage(layout);
      const { child, host } = await registryProcess(directory);
      const pushing = client.push(layout, image, `${host}/shop/web:v${trial}`).then(
        () => "done",
        () => "cut",
      );
      let isOver = false;
      void pushing.then(() => {
        isOver = true;
      });
      const enough = random.int(LAYER_BYTES);
      const arrived = async (): Promise<boolean> =>
        isOver || (await bytesIn(join(directory, "slipway", "incoming"))) >= enough;
      await until(`${enough} bytes have arrived`, arrived, { everyMs: 1 });
      child.kill("SIGKILL");
      if ((await pushing) === "cut") cut += 1;
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
        if (held !== undefined) {
          await client.pull(reference, await ImageLayout.open(join(folder, `copy${trial}`)));
        }
        const again = await client.push(layout, image, reference);
        assert.equal(again.reference, `${reference}@${image.digest}`);
      } finally {
        await registry.close();
      }
    }
    assert.ok(cut > 0, "no push was cut, so nothing was tested");
  } finally {
    await client.close();
    await rm(folder, { recursive: true, force: true });
  }
});
