/** `npm ci` for real, from a registry on this machine; afterwards without it. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { buildImages } from "../build.ts";
import { layerTar } from "../layer-cases.ts";
import { ImageFiles } from "../layers.ts";
import { ImageLayout } from "../layout.ts";
import type { RegistryClient } from "../registry/client.ts";
import { readImage } from "../source.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-npm-"));
});
after(() => rm(folder, { recursive: true, force: true }));

test("npm ci makes the layer once; then it is known by the lockfile", async () => {
  const tarball = gzipSync(
    layerTar([
      "package/",
      'package/package.json: {"name":"left","version":"1.0.0"}',
      "package/index.js: exports.one=1",
    ]),
  );
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.end(tarball);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const resolved = (name: string): string => `http://127.0.0.1:${port}/${name}/-/${name}-1.0.0.tgz`;
  const integrity = `sha512-${createHash("sha512").update(tarball).digest("base64")}`;
  const dependencies = { left: "1.0.0" };
  const devDependencies = { tool: "1.0.0" };
  const lock = {
    name: "web",
    version: "1.0.0",
    lockfileVersion: 3,
    packages: {
      "": { name: "web", version: "1.0.0", dependencies, devDependencies },
      "node_modules/left": { version: "1.0.0", resolved: resolved("left"), integrity },
      "node_modules/tool": { version: "1.0.0", dev: true, resolved: resolved("tool"), integrity },
    },
  };
  const web = join(folder, "web");
  await mkdir(web);
  await writeFile(join(web, "package-lock.json"), JSON.stringify(lock));
  await writeFile(
    join(web, "package.json"),
    JSON.stringify({ name: "web", version: "1.0.0", main: "a.js", dependencies, devDependencies }),
  );
  await writeFile(join(web, "a.js"), "");
  const layout = await ImageLayout.open(join(folder, ".slipway", "layout"));
  const warnings: string[] = [];
  const build = async (): Promise<string | undefined> => {
    await buildImages({
      images: [
        { name: "web", from: { kind: "node", folder: web, base: undefined, command: undefined, env: {} } },
      ],
      layout,
      registry: {} as RegistryClient,
      root: folder,
      commitTimeMs: 0,
      isLocal: true,
      allowHostBases: [],
      env: {
        ...process.env,
        npm_config_registry: `http://127.0.0.1:${port}/`,
        npm_config_cache: join(folder, ".npm"),
        // As on most machines: outside of CI npm asks for its own newest version.
        npm_config_update_notifier: "true",
        CI: "false",
      },
      onProgress: (event) => event.kind === "warning" && warnings.push(event.message),
    });
    const image = await readImage(layout, "web", "latest");
    const files = await ImageFiles.open(layout, image?.manifest ?? { layers: [] });
    assert.equal(files.lookup("/app/node_modules/left/index.js").kind, "found");
    assert.equal(files.lookup("/app/node_modules/tool").kind, "absent");
    return image?.descriptor.digest;
  };
  let first: string | undefined;
  try {
    first = await build();
  } finally {
    server.close();
    server.closeAllConnections();
  }
  assert.deepEqual(asked, ["/left/-/left-1.0.0.tgz"]);
  await rm(join(folder, ".npm"), { recursive: true });
  assert.equal(await build(), first);
  assert.deepEqual(warnings, []);
});
