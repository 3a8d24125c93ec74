import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createWriteStream } from "node:fs";
import { access, chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { ImageLayout } from "../layout.ts";
import type { ImageManifest } from "../oci.ts";
import { buildHostBase } from "./base.ts";

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;
const skip = isRoot ? false : "chroot needs root; the sandbox tests run these bases as an ordinary user";

let folder: string;
let layout: ImageLayout;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-base-"));
  layout = await ImageLayout.open(join(folder, "layout"));
});
after(() => rm(folder, { recursive: true, force: true }));

async function unpack(from: string): Promise<string> {
  const descriptor = await buildHostBase(from, layout, { isLocal: true, allowHostBases: [] }, "test");
  const manifest = await layout.readJson<ImageManifest>(descriptor.digest);
  const root = await mkdtemp(join(folder, "root-"));
  await chmod(folder, 0o755); // mkdtemp's 0700 would shut out the container's user
  await chmod(root, 0o755);
  const [layer] = manifest.layers;
  const tar = join(folder, "layer.tar");
  await pipeline(await layout.openBlob(layer?.digest as string), createWriteStream(tar));
  await run("tar", ["-xpf", tar, "-C", root]); // the system's tar agrees with ours about the archive
  return root;
}

test("slipway/node runs by itself: programs, TLS, names and the accounts of the official image", {
  skip,
}, async () => {
  const root = await unpack("slipway/node");
  const program = `
    const { createHash, generateKeyPairSync } = require("node:crypto");
    generateKeyPairSync("ed25519");
    const { readFileSync, writeFileSync } = require("node:fs");
    writeFileSync("/tmp/written", "x");
    require("node:dns").lookup("localhost", (error, address) => {
      console.log(JSON.stringify({
        version: process.version, error: error && error.code, address,
        hash: createHash("sha256").update("x").digest("hex").slice(0, 8),
        node: readFileSync("/etc/passwd", "utf8").includes("node:x:1000:1000"),
      }));
    });`;
  await mkdir(join(root, "etc"), { recursive: true });
  await writeFile(join(root, "etc/hosts"), "127.0.0.1 localhost\n");
  await chmod(join(root, "etc/hosts"), 0o644);
  const { stdout } = await run(
    "chroot",
    ["--userspec=1000:1000", root, "/usr/local/bin/node", "-e", program],
    { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } },
  );
  assert.deepEqual(JSON.parse(stdout), {
    version: process.version,
    error: null,
    address: "127.0.0.1",
    hash: "2d711642",
    node: true,
  });
  const shell = await run("chroot", [root, "/bin/sh", "-c", "echo $0 && node -p 1+1"], {
    env: { PATH: "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
  });
  assert.equal(shell.stdout, "/bin/sh\n2\n");
});

test("a base is made once: the second time nothing is read", async () => {
  const first = await buildHostBase("slipway/node", layout, { isLocal: true, allowHostBases: [] }, "test");
  const again = await ImageLayout.open(layout.directory);
  const second = await buildHostBase("slipway/node", again, { isLocal: true, allowHostBases: [] }, "test");
  assert.equal(second.digest, first.digest);
  const other = await ImageLayout.open(join(folder, "elsewhere"));
  const third = await buildHostBase("slipway/node", other, { isLocal: true, allowHostBases: [] }, "test");
  assert.equal(third.digest, first.digest, "the same machine gives the same base in any layout");
});

const hasNginx = await access("/usr/sbin/nginx").then(
  () => true,
  () => false,
);

test("slipway/host/nginx accepts its own configuration", {
  skip: skip || (hasNginx ? false : "nginx is not installed (apt-get install nginx-light)"),
}, async () => {
  const root = await unpack("slipway/host/nginx");
  await run("chroot", [root, "/usr/sbin/nginx", "-v"], { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } });
  await writeFile(join(root, "etc/hosts"), "127.0.0.1 localhost\n");
  await run("mknod", ["-m", "666", join(root, "dev/null"), "c", "1", "3"]);
  const { stderr } = await run("chroot", [root, "/usr/sbin/nginx", "-t"], {
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
  });
  assert.match(stderr, /test is successful/);
});
