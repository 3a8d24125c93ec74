/**
 * Layers of several gzip members, as Slipway packs them, in the programs that others pull with: each unpacks them to what
 * was packed. The lane starts the engine and names it in DOCKER_HOST.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { exec, until } from "@slipway/base";
import { bytesEntry } from "./layer-entry.ts";
import { writeLayer } from "./layer-writer.ts";
import { ImageLayout } from "./layout.ts";
import { digestOf, encodeDocument, hostPlatform, MEDIA } from "./oci.ts";
import { createRegistryClient } from "./registry/client.ts";
import { type Registry, startRegistry } from "./registry/registry.ts";
import { podmanIn } from "./registry/testing/podman.ts";
import { requireProgram } from "./registry/testing/real-image.ts";
import { readTar } from "./tar.ts";

let folder: string;
let registry: Registry;
let image: string;
let diffId: string;
/** The packed layer. */
let blob: string;
const files = new Map(
  Array.from({ length: 100 }, (_, at) => [`app/f${at}.js`, `exports.a = ${at};\n`.repeat(500 + at)] as const),
);

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-blocks-"));
  registry = await startRegistry({ directory: join(folder, "registry"), port: 0 });
  const layout = await ImageLayout.open(join(folder, "layout"));
  const entries = [...files].map(([path, text]) => bytesEntry(path, text));
  const layer = await writeLayer(layout, entries, { mtime: 7, compression: "gzip" });
  blob = layout.blobPath(layer.descriptor.digest);
  const bytes = await readFile(blob);
  assert.ok(bytes.indexOf(bytes.subarray(0, 10), 10) > 0, "a second member");
  ({ diffId } = layer);
  const config = await layout.put(
    encodeDocument({
      ...hostPlatform(),
      config: { Cmd: ["/none"] },
      rootfs: { type: "layers", diff_ids: [diffId] },
    }),
  );
  const manifest = await layout.put(
    encodeDocument({
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      config: { mediaType: MEDIA.config, ...config },
      layers: [layer.descriptor],
    }),
  );
  image = `${registry.host}/shop/blocks:1`;
  const client = createRegistryClient();
  await client.push(layout, { mediaType: MEDIA.manifest, ...manifest }, image);
  await client.close();
});
after(async () => {
  await registry?.close();
  await rm(folder, { recursive: true, force: true });
});

async function run(...command: string[]): Promise<string> {
  const result = await exec(command);
  assert.equal(result.exitCode, 0, `${command.join(" ")}: ${result.stderr}`);
  return result.stdout.trim();
}

async function filesOf(tar: Buffer): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const readAt = async (offset: number, length: number) => tar.subarray(offset, offset + length);
  for await (const { path, kind, offset, size } of readTar(readAt, "export"))
    if (kind === "file" && path.startsWith("app/"))
      found.set(path, tar.toString("utf8", offset, offset + size));
  return found;
}

test("docker pulls and unpacks a layer of several members", async () => {
  await run("docker", "pull", "--quiet", image);
  const id = await run("docker", "create", image);
  try {
    await run("docker", "export", "-o", join(folder, "docker.tar"), id);
    assert.deepEqual(await filesOf(await readFile(join(folder, "docker.tar"))), files);
  } finally {
    await run("docker", "rm", id);
    await run("docker", "rmi", "--force", image);
  }
});

test("podman pulls and unpacks a layer of several members", async () => {
  const podman = await podmanIn(folder);
  await podman.run("pull", "--quiet", ...podman.trusting, image);
  const place = await podman.run("image", "mount", image);
  for (const [path, text] of files) assert.equal(await readFile(join(place, path), "utf8"), text);
  await podman.run("image", "unmount", image);
  await podman.run("image", "rm", "--all", "--force");
});

test("skopeo copies a layer of several members, and unpacks it", async () => {
  await requireProgram("skopeo");
  const copy = join(folder, "skopeo");
  await run(
    ...["skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", "--dest-decompress"],
    ...[`docker://${image}`, `dir:${copy}`],
  );
  const tar = await readFile(join(copy, diffId.slice(7)));
  assert.equal(digestOf(tar), diffId);
});

test("containerd pulls and unpacks a layer of several members", async (context) => {
  if (!existsSync("/usr/bin/containerd")) return context.skip("Debian: containerd");
  const address = join(folder, "containerd.sock");
  const config = join(folder, "containerd.toml");
  await mkdir(join(folder, "containerd"));
  await writeFile(
    config,
    `version = 2\nroot = "${folder}/containerd/root"\nstate = "${folder}/containerd/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "${address}"\n`,
  );
  const daemon = spawn("/usr/bin/containerd", ["--config", config], { stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(daemon, "exit");
  try {
    let log = "";
    daemon.stderr.setEncoding("utf8").on("data", (part: string) => {
      log += part;
    });
    const isUp = () => log.includes("containerd successfully booted");
    await until("containerd to be up", isUp, { timeoutMs: 60_000, describe: () => log.slice(-2000) });
    const ctr = (...args: string[]): Promise<string> => run("/usr/bin/ctr", "--address", address, ...args);
    await ctr("images", "pull", "--plain-http", "--snapshotter", "native", image);
    const place = join(folder, "mounted");
    await mkdir(place);
    await ctr("images", "mount", "--snapshotter", "native", image, place);
    try {
      for (const [path, text] of files) assert.equal(await readFile(join(place, path), "utf8"), text);
    } finally {
      await ctr("images", "unmount", place);
    }
  } finally {
    daemon.kill("SIGTERM");
    await ended;
  }
});

test("gzip unpacks it", async () => {
  const unpacked = await run("/bin/sh", "-c", `gzip -dc <${blob} | sha256sum`);
  assert.equal(`sha256:${unpacked.slice(0, 64)}`, diffId);
});
