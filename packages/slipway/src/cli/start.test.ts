/**
 * What commands load before they do anything. The program's start is most of the time of a quick command, and one import
 * in a wrong place brings in a package, or a floor, that the command never uses; nobody sees it but in the time.
 */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { exec } from "@slipway/base";

const start = join(import.meta.dirname, "../../bin/start.mjs");
let folder = "";

/** Prints, when the command is done, every file that was loaded and whether Node's own fetch and type stripper were. */
const WATCH = `
import { registerHooks } from "node:module";
import { writeFileSync } from "node:fs";
const urls = [];
registerHooks({ load(url, context, next) { urls.push(url); return next(url, context); } });
process.on("exit", () => {
  const builtins = process.moduleLoadList.map((name) => name.replace(/^NativeModule /, ""));
  writeFileSync(process.env.LOADED, JSON.stringify({ urls, builtins }));
});
`;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-start-"));
  await writeFile(join(folder, "watch.mjs"), WATCH);
  await mkdir(join(folder, "app"));
  await writeFile(join(folder, "app/Dockerfile"), "FROM scratch\nCOPY a.txt /\n");
  await writeFile(join(folder, "app/a.txt"), "a");
  await writeFile(join(folder, "k8s.yaml"), "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: none }\n");
  await writeFile(join(folder, "kubeconfig"), JSON.stringify(KUBECONFIG));
  await writeFile(
    join(folder, "slipway.config.ts"),
    `import { context, defineConfig } from "slipway";
export default defineConfig({
  name: "web",
  images: { app: { context: "app" } },
  manifests: ["k8s.yaml"],
  environments: { prod: { clusters: { a: context("nowhere") }, registry: "registry.invalid" } },
});
`,
  );
});
after(() => rm(folder, { recursive: true, force: true }));

/** Answers nothing: nobody listens on port 1. */
const KUBECONFIG = {
  clusters: [{ name: "nowhere", cluster: { server: "http://127.0.0.1:1" } }],
  users: [{ name: "me", user: { token: "t" } }],
  contexts: [{ name: "nowhere", context: { cluster: "nowhere", user: "me" } }],
};

interface Loaded {
  /** `zod` for a file of a package, `cluster/server/server.ts` for one of ours. */
  readonly files: readonly string[];
  readonly builtins: readonly string[];
}

async function loaded(args: readonly string[], exitCode: number): Promise<Loaded> {
  const report = join(folder, "loaded.json");
  const options = ["--disable-warning=ExperimentalWarning", "--import", join(folder, "watch.mjs")];
  const env = {
    ...process.env,
    LOADED: report,
    KUBECONFIG: join(folder, "kubeconfig"),
    NODE_OPTIONS: undefined,
    SLIPWAY_SOURCES: "1",
  };
  const result = await exec([process.execPath, ...options, start, ...args], { cwd: folder, env });
  assert.equal(result.exitCode, exitCode, result.stdout + result.stderr);
  const { urls, builtins } = JSON.parse(await readFile(report, "utf8")) as {
    urls: readonly string[];
    builtins: readonly string[];
  };
  const files = urls
    .filter((url) => url.startsWith("file:"))
    .map(
      (url) =>
        /\/node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*\/node_modules\/)/.exec(url)?.[1] ??
        url.replace(/^.*\/packages\/([^/]+)\/(?:src\/)?/, "$1/"),
    );
  return { files, builtins };
}

const packagesOf = ({ files }: Loaded): readonly string[] =>
  [...new Set(files.filter((file) => !/\.(?:m?[jt]s|json)(?:\?|$)/.test(file)))].sort();
/** Packages and floors: `cluster/` for anything of packages/cluster. */
const heavy = (one: Loaded): readonly string[] =>
  ["cluster/", "kube/", "slipway/release/", "slipway/world/world.ts"].filter((prefix) =>
    one.files.some((file) => file.startsWith(prefix)),
  );

test("slipway --help loads its own words and the package that reads the command line", async () => {
  const one = await loaded(["--help"], 0);
  assert.deepEqual(packagesOf(one), ["commander"]);
  assert.deepEqual(heavy(one), []);
  assert.ok(one.files.length < 80, `${one.files.length} files`);
});

test("slipway build loads no cluster, no Kubernetes client, no HTTP client and, packages unchanged, no bill", async () => {
  const build = ["build", "--builder", "slipway", "--allow-dirty"];
  assert.ok(packagesOf(await loaded(build, 0)).includes("@cyclonedx/cyclonedx-library"));
  await writeFile(join(folder, "app/a.txt"), "changed");
  const one = await loaded(build, 0);
  assert.deepEqual(packagesOf(one), [
    "commander",
    "dockerfile-ast",
    "vscode-languageserver-textdocument",
    "vscode-languageserver-types",
    "zod",
  ]);
  // Types of where sandboxed containers come from; no code of the cluster with them.
  assert.deepEqual(heavy(one), ["cluster/"]);
  assert.deepEqual(
    one.files.filter((file) => file.startsWith("cluster/")),
    ["cluster/runtimes/runtime.ts"],
  );
});

test("slipway verify of what needs no container loads no release, no cluster and no HTTP client", async () => {
  const build = ["build", "--builder", "slipway", "--allow-dirty"];
  await loaded(build, 0);
  const one = await loaded(["verify", "--image", "app", "--engine", "none", "--allow-dirty"], 0);
  assert.deepEqual(packagesOf(one), ["commander", "semver", "yaml", "zod"]);
  // As for a build.
  assert.deepEqual(
    one.files.filter((file) => /^(?:cluster|kube)\/|^slipway\/(?:release|notify)\//.test(file)),
    ["cluster/runtimes/runtime.ts"],
  );
});

test("slipway status loads of the cluster only its arithmetic, and not Node's own fetch", async () => {
  const one = await loaded(["status", "--json"], 0);
  assert.deepEqual(packagesOf(one), ["commander", "yaml", "zod"]);
  const cluster = one.files.filter((file) => file.startsWith("cluster/"));
  assert.deepEqual(
    cluster.filter((file) => !/^cluster\/(?:scheduling\.ts$|controllers\/)/.test(file)),
    [],
  );
  assert.ok(!one.builtins.some((name) => name.includes("deps/undici")), "fetch");
});

test("what was run once is not stripped of its types again", async () => {
  await loaded(["--help"], 0);
  const { builtins } = await loaded(["--help"], 0);
  assert.ok(!builtins.some((name) => name.includes("deps/amaro")), "the type stripper was loaded");
});
