/**
 * The bundle does what the sources do, in a folder as `npm install slipway` would make it: no sources beside it, what it
 * leaves outside in node_modules. And a checkout runs it only as long as it is of the sources as they are.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { globSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { type ExecResult, exec } from "../packages/base/src/index.ts";
import { findBundle, stampOf } from "../packages/slipway/bin/bundle.mjs";
import { commands } from "../packages/slipway/src/cli/commands.ts";
import { startRegistry } from "../packages/slipway/src/images/registry/registry.ts";
import { bundle, EXTERNAL } from "../scripts/bundle.ts";
import { writeTypes } from "../scripts/types.ts";

const root = join(import.meta.dirname, "..");
const sources = join(root, "packages/slipway/bin/slipway");
let folder = "";
let installed = "";

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-bundle-"));
  const modules = join(folder, "node_modules");
  const home = join(modules, "slipway");
  await mkdir(home, { recursive: true });
  for (const name of await readdir(join(root, "node_modules")))
    if (name !== "slipway" && name !== "@slipway")
      await symlink(join(root, "node_modules", name), join(modules, name));
  for (const name of ["bin", "imports", "queries", "package.json"])
    await cp(join(root, "packages/slipway", name), join(home, name), { recursive: true });
  // Two at once: as when somebody installs in two terminals.
  await Promise.all([1, 2].map(() => bundle({ root, dist: join(home, "dist") })));
  installed = join(home, "bin/slipway");
});
after(() => rm(folder, { recursive: true, force: true }));

const both = (args: readonly string[], cwds: readonly [string, string] = [folder, folder]) =>
  Promise.all(
    [sources, installed].map((program, index) =>
      exec([program, ...args], {
        cwd: cwds[index] as string,
        env: { ...process.env, SLIPWAY_SOURCES: "1", SLIPWAY_BUILDER: "slipway" },
      }),
    ),
  ) as Promise<[ExecResult, ExecResult]>;

/** Both push into one registry at the same time: which of them sends is not said. */
const comparable = (text: string): string =>
  text.replace(/\d+(?:\.\d+)? m?s\b/g, "TIME").replace(/0\.0 MB|nothing new/g, "SIZE");

test("two bundles made at once are both whole, and one of them is current", async () => {
  const dist = join(folder, "node_modules/slipway/dist");
  const found = findBundle(dist, root);
  assert.ok(found);
  const names = (await readdir(dist)).filter((name) => name !== "current.json" && name !== "ready");
  assert.equal(names.length, 2);
  const [one, other] = await Promise.all(names.map((name) => readdir(join(dist, name), { recursive: true })));
  assert.deepEqual(one?.sort(), other?.sort());
});

test("what is imported late is beside the bundle, or ours: a package inside of it would have no names", async () => {
  const late: string[] = [];
  for (const file of globSync("packages/*/src/**/*.ts", { cwd: root })) {
    if (/\.test\.ts$|testing/.test(file)) continue;
    const text = await readFile(join(root, file), "utf8");
    for (const [, name = ""] of text.matchAll(/\bimport\("([^."\n][^"\n]*)"\)/g))
      if (!name.startsWith("node:") && !name.startsWith("@slipway/")) late.push(name);
  }
  assert.ok(late.includes("@google-cloud/bigquery"));
  const beside = (name: string): boolean =>
    [...EXTERNAL, "esbuild"].some((one) =>
      one.endsWith("*") ? name.startsWith(one.slice(0, -1)) : name === one,
    );
  assert.deepEqual(
    late.filter((name) => !beside(name)),
    [],
  );
});

test("the version and every help text are the same", async () => {
  for (const args of [
    ["--version"],
    ["--help"],
    ["locl"],
    ...Object.keys(commands).map((path) => [...path.split(" "), "--help"]),
  ]) {
    const [own, bundled] = await both(args);
    assert.deepEqual({ ...bundled }, { ...own }, args.join(" "));
  }
});

test("a build, its push and its checks come to the same digest, words and places", async () => {
  const registry = await startRegistry({ directory: join(folder, "registry"), port: 0 });
  try {
    const projects: string[] = [];
    for (const name of ["own", "bundled"]) projects.push(await project(name, registry.host));
    const places = projects as [string, string];
    const [own, bundled] = await both(["build", "--push", "--allow-dirty"], places);
    assert.equal(own.exitCode, 0, own.stdout + own.stderr);
    assert.match(own.stdout, /pushed app {2}\S+@sha256:\w{64}/);
    assert.equal(comparable(bundled.stdout + bundled.stderr), comparable(own.stdout + own.stderr));

    const [ownChecks, bundledChecks] = await both(["verify", "--allow-dirty"], places);
    assert.equal(ownChecks.exitCode, 1, ownChecks.stdout + ownChecks.stderr);
    assert.match(ownChecks.stdout, /spec\/app\.ts:2/);
    assert.equal(comparable(bundledChecks.stdout), comparable(ownChecks.stdout));
    assert.equal(bundledChecks.exitCode, 1);
  } finally {
    await registry.close();
  }
});

test("a query gets as far as to BigQuery, with Google's library from beside the bundle", async () => {
  const home = await project("asks", "127.0.0.1:1");
  const config = join(home, "slipway.config.ts");
  await writeFile(
    config,
    (await readFile(config, "utf8")).replace(
      "name: ",
      'observe: { bigquery: { project: "shop", dataset: "logs" } },\n  name: ',
    ),
  );
  const google = createServer((_request, response) => {
    const message = "Not found: Dataset shop:logs";
    const error = { code: 404, message, errors: [{ reason: "notFound", message }] };
    response.writeHead(404, { "content-type": "application/json" }).end(JSON.stringify({ error }));
  }).listen(0, "127.0.0.1");
  await once(google, "listening");
  const { port } = google.address() as AddressInfo;
  try {
    const { stderr } = await exec([installed, "queries", "run", "traffic", "--dry-run"], {
      cwd: home,
      env: {
        ...process.env,
        BIGQUERY_EMULATOR_HOST: `http://127.0.0.1:${port}`,
        METADATA_SERVER_DETECTION: "none",
      },
    });
    assert.match(stderr, /^slipway: observe\/bigquery: [\s\S]*Not found: Dataset shop:logs/m);
  } finally {
    google.close();
  }
});

test("what runs in a cluster starts with nothing beside it but what its image has", async () => {
  const dist = findBundle(join(folder, "node_modules/slipway/dist"), root) as string;
  const image = await mkdtemp(join(tmpdir(), "slipway-image-"));
  try {
    await mkdir(join(image, "node_modules"));
    await writeFile(join(image, "package.json"), '{ "type": "module" }');
    for (const name of ["@duckdb", "@resvg", "dejavu-fonts-ttf"])
      await symlink(join(root, "node_modules", name), join(image, "node_modules", name));
    for (const [program, says] of [
      ["agent", /runs in no cluster/],
      ["collector", /ENOENT.*\/etc\/slipway\/collector\.json/],
    ] as const) {
      const file = join(image, `${program}.js`);
      await cp(join(dist, `observer/${program}/main.js`), file);
      const { stderr } = await exec([process.execPath, file], { cwd: image });
      assert.match(stderr, says);
      assert.doesNotMatch(await readFile(file, "utf8"), /(?:import\(|from )"@(?!duckdb|resvg)/, program);
    }
  } finally {
    await rm(image, { recursive: true, force: true });
  }
});

async function project(name: string, host: string): Promise<string> {
  const home = join(folder, name, "project");
  await mkdir(join(home, "app"), { recursive: true });
  await mkdir(join(home, "spec"));
  await writeFile(join(home, "app/Dockerfile"), "FROM scratch\nCOPY a.txt /\n");
  await writeFile(join(home, "app/a.txt"), "a");
  await writeFile(join(home, "k8s.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: none }\n");
  await writeFile(
    join(home, "spec/app.ts"),
    'import { describeImage } from "slipway/verify";\ndescribeImage("app", (t) => t.file("/b.txt").exists());\n',
  );
  await writeFile(
    join(home, "slipway.config.ts"),
    `import { context, defineConfig } from "slipway";
export default defineConfig({
  name: "web",
  verify: ["spec/"],
  images: { app: { context: "app" } },
  manifests: ["k8s.yaml"],
  environments: { prod: { clusters: { a: context("nowhere") }, registry: "${host}/web" } },
});
`,
  );
  return home;
}

const DOORS: Readonly<Record<string, string>> = {
  slipway: "index",
  "slipway/verify": "verify/verify",
  "slipway/verify/node-test": "verify/node-test/node-test",
  "slipway/lifecycle": "lifecycle/lifecycle",
};

test("what a project imports is what the sources export, in a checkout and installed, from modules and from CommonJS", async () => {
  for (const [door, source] of Object.entries(DOORS)) {
    const own = Object.keys(await import(join(root, `packages/slipway/src/${source}.ts`))).sort();
    assert.deepEqual(Object.keys(await import(door)).sort(), own, door);
    const names = `Object.keys(all).filter((name) => name !== "module.exports").sort().join()`;
    const module = `import * as all from "${door}"; console.log(${names});`;
    const common = `const all = require("${door}"); console.log(${names});`;
    for (const args of [
      ["--input-type=module", "-e", module],
      ["-e", common],
    ]) {
      const { stdout, stderr } = await exec([process.execPath, ...args], { cwd: folder });
      assert.deepEqual([stdout.trim(), stderr], [own.join(), ""], door);
    }
  }
});

test("an installed package brings checks to node:test, and types to configurations and spec files", async () => {
  const home = await project("typed", "127.0.0.1:1");
  await writeFile(
    join(home, "checks.test.ts"),
    `import { describe, test } from "node:test";
import { describeImage } from "slipway/verify";
import { builtImages, checks } from "slipway/verify/node-test";
checks({ describe, test, images: await builtImages() }, () => {
  describeImage("app", (t) => t.file("/a.txt").contains("a"));
});
`,
  );
  const built = await exec([installed, "build", "--allow-dirty", "--builder", "slipway"], { cwd: home });
  assert.equal(built.exitCode, 0, built.stdout + built.stderr);
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const ran = await exec([process.execPath, "--test", "--test-reporter=tap", "checks.test.ts"], {
    cwd: home,
    env,
  });
  assert.equal(ran.exitCode, 0, ran.stdout + ran.stderr);
  assert.match(ran.stdout, /ok 1 - file \/a\.txt › contains "a"/);

  await writeTypes(root, join(folder, "node_modules/slipway/dist/types"));
  const compilerOptions = { module: "nodenext", strict: true, noEmit: true, types: ["node"] };
  const files = ["slipway.config.ts", "spec/app.ts", "checks.test.ts"];
  await writeFile(join(home, "package.json"), '{ "type": "module" }');
  await writeFile(join(home, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
  const tsc = [join(root, "node_modules/.bin/tsc"), "-p", "."];
  assert.deepEqual((await exec(tsc, { cwd: home })).stdout, "");
  const spec = join(home, "spec/app.ts");
  await writeFile(spec, (await readFile(spec, "utf8")).replace("exists()", "exits()"));
  assert.match((await exec(tsc, { cwd: home })).stdout, /spec\/app\.ts.*'exits' does not exist/);
});

test("a build starts from the heap of the bundle that is current, and like every command where it cannot", async () => {
  const start = join(folder, "node_modules/slipway/bin/start.mjs");
  const program = await readFile(start, "utf8");
  const broken = 'console.error("an ordinary start"); process.exit(9);';
  const cwd = join(folder, "bundled/project");
  const config = join(cwd, "slipway.config.ts");
  const configuration = await readFile(config, "utf8");
  const build = async (env: NodeJS.ProcessEnv = {}, command = "build"): Promise<string> => {
    const args = [command, "--dry-run", "--allow-dirty"];
    const result = await exec([installed, ...args], {
      cwd,
      env: { ...process.env, NODE_OPTIONS: undefined, ...env },
    });
    return `${result.exitCode} ${result.stdout}${result.stderr}`;
  };
  try {
    await writeFile(start, broken);
    assert.match(await build(), /^0 would build app:/);
    const ordinary = /^9 an ordinary start/;
    assert.match(await build({}, "push"), ordinary);
    assert.match(await build({ NODE_OPTIONS: "--no-warnings" }), ordinary);
    await writeFile(config, `await null;\n${configuration}`);
    assert.match(await build(), ordinary);
    await writeFile(start, program);
    assert.match(await build(), /^0 would build app:/);
    await writeFile(config, configuration);

    // Another bundle is current by now.
    await writeFile(start, broken);
    const current = join(folder, "node_modules/slipway/dist/current.json");
    const said = await readFile(current, "utf8");
    const { folder: name } = JSON.parse(said) as { folder: string };
    const other = (await readdir(dirname(current))).find(
      (one) => one.includes("-") && one !== name,
    ) as string;
    await writeFile(current, said.replace(name, other));
    assert.match(await build(), ordinary);
    await writeFile(current, said);
    assert.match(await build(), /^0 would build app:/);
  } finally {
    await writeFile(start, program);
    await writeFile(config, configuration);
  }
});

test("what goes wrong inside names the sources", async () => {
  const config = join(folder, "own/project/slipway.config.ts");
  const breaks = 'Date.prototype.toISOString = () => { throw new Error("broken"); };';
  await writeFile(
    config,
    (await readFile(config, "utf8")).replace("export default", `${breaks}\nexport default`),
  );
  const { stderr } = await exec([installed, "build", "--allow-dirty", "--builder", "slipway"], {
    cwd: join(folder, "own/project"),
  });
  assert.match(stderr, /broken/);
  assert.match(stderr, /packages\/slipway\/src\/images\/\S+\.ts:\d+:\d+/);
  assert.doesNotMatch(stderr, /dist\//);
});

test("a checkout runs its bundle until a source changes, goes, or its list is damaged", async () => {
  const checkout = join(folder, "checkout");
  const dist = join(checkout, "dist");
  const source = join(checkout, "a.ts");
  await mkdir(join(dist, "one"), { recursive: true });
  const made = async (): Promise<void> => {
    await writeFile(source, "one");
    await utimes(source, 1, 1);
    const sources = [["a.ts", ...(stampOf(checkout, "a.ts") ?? [])]];
    await writeFile(join(dist, "current.json"), JSON.stringify({ folder: "one", sources }));
    assert.equal(findBundle(dist, checkout), join(dist, "one"));
  };
  const changes: Readonly<Record<string, () => Promise<void>>> = {
    "other content": () => writeFile(source, "two!"),
    // As a tool does that restores times: the inode's own tells.
    "other content of the same length and time": async () => {
      const before = stampOf(checkout, "a.ts");
      do {
        await writeFile(source, "two");
        await utimes(source, 1, 1);
      } while (stampOf(checkout, "a.ts")?.[2] === before?.[2]); // until the file system's clock has moved
    },
    "the file is gone": () => rm(source),
    "the list is cut off": () => writeFile(join(dist, "current.json"), '{"folder":"one","sour'),
    "the bundle is gone": () => rm(join(dist, "one"), { recursive: true }),
  };
  for (const [name, change] of Object.entries(changes)) {
    await made();
    await change();
    assert.equal(findBundle(dist, checkout), undefined, name);
  }
});
