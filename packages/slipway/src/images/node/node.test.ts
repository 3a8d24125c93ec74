import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { SlipwayError } from "@slipway/base";
import { type BuildEvent, type BuildOptions, buildImages } from "../build.ts";
import { ImageFiles } from "../layers.ts";
import { ImageLayout } from "../layout.ts";
import type { RegistryClient } from "../registry/client.ts";
import { readImage } from "../source.ts";
import { productionPackages } from "./lockfile.ts";
import { type PackageFile, PID1_FILE, startCommand } from "./start.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-node-image-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const NODE = ["node", "--require", PID1_FILE];

const STARTS: readonly (readonly [PackageFile, boolean, readonly string[] | RegExp])[] = [
  [{ scripts: { start: "node server.js" } }, false, [...NODE, "server.js"]],
  [
    { scripts: { start: "node  --enable-source-maps dist/main.js --port 80" }, main: "x" },
    false,
    [...NODE, "--enable-source-maps", "dist/main.js", "--port", "80"],
  ],
  [{ main: "lib/index.js" }, true, [...NODE, "lib/index.js"]],
  [{}, true, [...NODE, "server.js"]],
  [{}, false, /no scripts.start, no main and no server.js/],
  [{ scripts: { start: "NODE_ENV=x node a.js" } }, true, /no plain call of node/],
  [{ scripts: { start: "node a.js && node b.js" } }, true, /no plain call/],
  [{ scripts: { start: "node $MAIN" } }, true, /no plain call/],
  [{ scripts: { start: "next start" } }, true, /no plain call/],
];

for (const [file, hasServerFile, expected] of STARTS) {
  test(`start: ${JSON.stringify(file)} ${hasServerFile}`, () => {
    const start = (): readonly string[] => startCommand(file, hasServerFile, "web/package.json");
    if (expected instanceof RegExp) assert.throws(start, expected);
    else assert.deepEqual(start(), expected);
  });
}

test("a lockfile: what is for production, and what cannot be made", () => {
  const packages = {
    "": { name: "web" },
    "node_modules/a": { version: "1.0.0" },
    "node_modules/a/node_modules/b": { version: "2.0.0", optional: true },
    "node_modules/tool": { version: "3.0.0", dev: true },
    "node_modules/maybe": { version: "3.0.0", devOptional: true },
  };
  assert.deepEqual(productionPackages(JSON.stringify({ packages }), "x"), [
    { path: "node_modules/a", version: "1.0.0", isOptional: false },
    { path: "node_modules/a/node_modules/b", version: "2.0.0", isOptional: true },
  ]);
  assert.throws(() => productionPackages("{", "x"), /not JSON/);
  assert.throws(() => productionPackages('{"lockfileVersion":1}', "x"), /old version/);
  const linked = JSON.stringify({ packages: { "node_modules/l": { link: true } } });
  assert.throws(() => productionPackages(linked, "x"), /node_modules\/l is a link/);
});

const PACKAGE = {
  name: "web",
  version: "1.2.3",
  scripts: { start: "node server.js" },
  dependencies: { left: "1.0.0" },
  devDependencies: { tool: "1.0.0" },
};
const pkg = (name: string, version = "1.0.0"): string => JSON.stringify({ name, version });
/** Installed packages and no registry that could be reached: what a machine without a network has. */
const SERVICE = {
  "package.json": JSON.stringify(PACKAGE),
  "package-lock.json": JSON.stringify({
    name: "web",
    version: "1.2.3",
    lockfileVersion: 3,
    packages: {
      "": {
        name: "web",
        version: "1.2.3",
        dependencies: { left: "1.0.0" },
        devDependencies: { tool: "1.0.0" },
      },
      "node_modules/left": {
        version: "1.0.0",
        resolved: "http://127.0.0.1:9/left.tgz",
        integrity: "sha512-AAAA",
        dependencies: { deep: "1.0.0" },
      },
      "node_modules/left/node_modules/deep": {
        version: "1.0.0",
        resolved: "http://127.0.0.1:9/deep.tgz",
        integrity: "sha512-AAAA",
      },
      "node_modules/tool": {
        version: "1.0.0",
        dev: true,
        resolved: "http://127.0.0.1:9/tool.tgz",
        integrity: "sha512-AAAA",
      },
    },
  }),
  "server.js": "require('left')",
  "node_modules/left/package.json": pkg("left"),
  "node_modules/left/index.js": "",
  "node_modules/left/node_modules/deep/package.json": pkg("deep"),
  "node_modules/left/node_modules/stray/package.json": pkg("stray"),
  "node_modules/tool/package.json": pkg("tool"),
  ".env": "SECRET=1",
  ".npmrc": "fetch-retries=0\n",
  ".git/HEAD": "x",
  "test/a.test.js": "",
  ".dockerignore": "test\n!.env\n",
};

async function project(files: Readonly<Record<string, string>>): Promise<string> {
  const root = await mkdtemp(join(folder, "service-"));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
  return root;
}

async function build(
  root: string,
  over: Partial<BuildOptions> = {},
): Promise<{ digest: string; events: readonly BuildEvent[]; layout: ImageLayout }> {
  const layout = over.layout ?? (await ImageLayout.open(join(folder, "layout")));
  const events: BuildEvent[] = [];
  const [image] = await buildImages({
    images: [
      {
        name: "web",
        from: { kind: "node", folder: root, base: "slipway/node", command: undefined, env: { PORT: "80" } },
      },
    ],
    layout,
    registry: {} as RegistryClient,
    root,
    commitTimeMs: 1_700_000_000_000,
    isLocal: true,
    allowHostBases: [],
    env: {
      ...process.env,
      npm_config_registry: "http://127.0.0.1:9/",
      npm_config_cache: join(folder, "npm-cache"),
    },
    onProgress: (event) => events.push(event),
    ...over,
  });
  return { digest: image?.digest ?? "", events, layout };
}

test("without a network: installed production packages in one layer, code in another, nothing else", async () => {
  const root = await project(SERVICE);
  const { events, layout } = await build(root);
  const image = await readImage(layout, "web", "latest");
  assert.ok(image !== undefined);
  assert.equal(image.manifest.layers.length, 4, "base, signals, node_modules, code");
  assert.deepEqual(
    events.flatMap((event) => (event.kind === "warning" ? [event.message.replace(/\(.*\)/s, "(why)")] : [])),
    ["npm ci is not possible (why); taking what is installed in ./node_modules"],
  );
  const files = await ImageFiles.open(layout, image.manifest);
  const app = [...files.entries()].flatMap(({ path, node }) =>
    path.startsWith("/app/") && node.kind === "file" ? [path] : [],
  );
  assert.deepEqual(app, [
    "/app/node_modules/left/index.js",
    "/app/node_modules/left/node_modules/deep/package.json",
    "/app/node_modules/left/package.json",
    "/app/package-lock.json",
    "/app/package.json",
    "/app/server.js",
  ]);
  const { config } = image.config;
  assert.deepEqual(config.Cmd, [...NODE, "server.js"]);
  assert.equal(config.User, "1000:1000");
  assert.equal(config.WorkingDir, "/app");
  assert.ok(config.Env?.includes("NODE_ENV=production") && config.Env.includes("PORT=80"));
  assert.equal(image.config.history?.filter(({ empty_layer }) => empty_layer !== true).length, 4);

  // A change of code moves the last layer only.
  await writeFile(join(root, "server.js"), "require('left'); // changed");
  await build(root);
  const next = await readImage(layout, "web", "latest");
  assert.deepEqual(next?.manifest.layers.slice(0, 3), image.manifest.layers.slice(0, 3));
  assert.notEqual(next?.manifest.layers[3]?.digest, image.manifest.layers[3]?.digest);
});

test("the same service in another folder and layout is the same image", async () => {
  const root = await project(SERVICE);
  const copy = join(folder, "copy");
  await cp(root, copy, { recursive: true });
  const other = await ImageLayout.open(join(folder, "layout-2"));
  assert.equal((await build(root)).digest, (await build(copy, { layout: other })).digest);
});

test("what cannot be made is one error, with what to do", async () => {
  const code = (expected: string) => (error: unknown) => {
    assert.ok(error instanceof SlipwayError);
    assert.equal(error.code, expected);
    return true;
  };
  const { "package-lock.json": _, ...unlocked } = SERVICE;
  await assert.rejects(build(await project(unlocked)), code("IMAGES_NODE_LOCKFILE"));
  const older = { ...SERVICE, "node_modules/left/package.json": pkg("left", "0.9.0") };
  await assert.rejects(build(await project(older)), (error: unknown) => {
    assert.match(String(error), /node_modules\/left@1.0.0 \(installed: 0.9.0\)/);
    return code("IMAGES_NODE_INSTALL")(error);
  });
  await assert.rejects(build(await project({ "a.js": "" })), code("IMAGES_NODE_INVALID"));
});
