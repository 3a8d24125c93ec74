/** The command line as a process: what becomes of its work when whoever reads its output leaves. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { exec, until } from "@slipway/base";
import { type Cluster, startCluster } from "@slipway/cluster";

const bin = join(import.meta.dirname, "../../bin/slipway");
let folder = "";
let cluster: Cluster;
let env: NodeJS.ProcessEnv;

const MANIFEST = `apiVersion: v1
kind: ConfigMap
metadata: { name: settings, annotations: { slipway.dev/hash-suffix: "false" } }
data: { color: blue }
`;
/** Each hook waits until nobody listens any more, and has something to say then. */
const CONFIG = `import { context, defineConfig } from "slipway";
const speak = (end) => ["sh", "-c", "until [ -e left ] || [ ! -e k8s ]; do sleep 0.05; done; for i in 1 2 3; do echo line $i; done; " + end];
export default defineConfig({
  name: "hello",
  images: {},
  manifests: ["k8s/"],
  environments: { prod: { namespace: "hello", clusters: { tokyo: context("tokyo") } } },
  release: {
    bake: "0s",
    hooks: { before: [{ command: speak("true") }], after: [{ command: speak("touch done; test ! -e broken") }] },
  },
});
`;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-main-"));
  cluster = await startCluster({ name: "tokyo", runtime: "simulated" });
  env = { ...process.env, CI: undefined, NODE_OPTIONS: undefined, KUBECONFIG: cluster.kubeconfigPath };
  await mkdir(join(folder, "k8s"));
  await writeFile(join(folder, "k8s/settings.yaml"), MANIFEST);
  await writeFile(join(folder, "slipway.config.ts"), CONFIG);
  await writeFile(join(folder, ".gitignore"), ".slipway\nbroken\ndone\nleft\n");
  await exec(["sh", "-c", "git init -q && git add -A"], { cwd: folder });
  await commit();
});
after(async () => {
  await cluster?.stop();
  await rm(folder, { recursive: true, force: true });
});

function start(...args: readonly string[]): ChildProcess {
  return spawn(bin, [...args, "--env", "prod"], { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
}

/** As `| head -1` does. */
async function leave({ stdout }: ChildProcess): Promise<void> {
  await once(stdout as NonNullable<typeof stdout>, "data");
  stdout?.destroy();
}

/** A release without a reader, all of it since its first line. Resolves to its exit code and signal, and what it said of errors. */
async function unheard(isDeaf: boolean): Promise<readonly [outcome: unknown, errors: string]> {
  await rm(join(folder, "left"), { force: true });
  const deploy = start("deploy");
  const ended = once(deploy, "close");
  let errors = "";
  deploy.stderr?.on("data", (piece: Buffer) => {
    errors += piece.toString();
  });
  await leave(deploy);
  if (isDeaf) deploy.stderr?.destroy();
  await writeFile(join(folder, "left"), "");
  return [await ended, errors];
}

async function outcomes(): Promise<readonly string[]> {
  const { exitCode, stdout } = await exec([bin, "history", "--json", "--env", "prod"], { cwd: folder, env });
  assert.equal(exitCode, 0);
  return (JSON.parse(stdout) as readonly { outcome: string }[]).map(({ outcome }) => outcome);
}

async function commit(): Promise<void> {
  const git = "git -c user.name=a -c user.email=a@b commit -qam next";
  const done = await exec(["sh", "-c", `${git} && '${bin}' build --env prod`], { cwd: folder, env });
  assert.equal(done.exitCode, 0, done.stderr);
}

for (const [outcome, code] of [
  ["healthy", 0],
  ["rolled-back", 1],
] as const) {
  test(`a release whose reader leaves goes on to its end, and its exit code is its own: ${outcome}`, async () => {
    await rm(join(folder, "done"), { force: true });
    if (code !== 0) {
      await writeFile(join(folder, "broken"), "");
      await writeFile(join(folder, "k8s/settings.yaml"), MANIFEST.replace("blue", "red"));
      await commit();
    }
    const [ended, errors] = await unheard(false);
    assert.deepEqual(ended, [code, null], errors);
    assert.equal(errors, "slipway: the output cannot be written any more (EPIPE); going on without it\n");
    assert.ok(existsSync(join(folder, "done")), "the hook of after has run");
    assert.equal((await outcomes())[0], outcome);
    // Refused: the release is on hold. That is told by the exit code alone, to nobody.
    if (code !== 0) {
      const again = start("deploy");
      again.stderr?.destroy();
      again.stdout?.destroy();
      assert.deepEqual(await once(again, "exit"), [1, null]);
    }
  });
}

test("a release goes on, too, when neither its output nor its errors are read any more", async () => {
  await rm(join(folder, "broken"), { force: true });
  await writeFile(join(folder, "k8s/settings.yaml"), MANIFEST.replace("blue", "green"));
  await commit();
  assert.deepEqual(await unheard(true), [[0, null], ""]);
  assert.equal((await outcomes())[0], "healthy");
});

test("a command that only prints ends well when its reader leaves", async () => {
  const watch = start("status", "--watch");
  await leave(watch);
  // It would watch until Ctrl-C: the next thing to say ends it.
  const ended = once(watch, "exit");
  const note = { apiVersion: "v1", kind: "ConfigMap", namespace: "hello", name: "settings" };
  await cluster.client.delete(note);
  assert.deepEqual(await ended, [0, null]);
});

test("a build of a configuration without images says that there is none", async () => {
  const { exitCode, stdout } = await exec([bin, "build", "--env", "prod"], { cwd: folder, env });
  assert.deepEqual([exitCode, stdout], [0, "  nothing to build: the configuration names no images\n"]);
});

test("a ship without images that is only tried would push nothing", async () => {
  const project = join(folder, "local");
  await mkdir(project);
  await writeFile(join(project, "k8s.yaml"), MANIFEST);
  await writeFile(
    join(project, "slipway.config.ts"),
    `import { defineConfig, local } from "slipway";
export default defineConfig({ name: "hello", images: {}, manifests: ["k8s.yaml"], environments: { local: { clusters: { desk: local() } } } });
`,
  );
  const { stdout, stderr } = await exec([bin, "ship", "--dry-run", "--skip-verify"], { cwd: project, env });
  assert.match(stdout, /^ {2}would start the local world \(desk\) and deploy$/m, stderr);
});

test("Ctrl-C breaks a build off that waits for a registry, and no step is said to be finished first", async () => {
  let asked = 0;
  const silent = createServer(() => {
    asked += 1;
  }).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const project = join(folder, "built");
  await mkdir(join(project, "web"), { recursive: true });
  const { port } = silent.address() as AddressInfo;
  await writeFile(join(project, "web/Dockerfile"), `FROM 127.0.0.1:${port}/base:1\n`);
  await writeFile(join(project, "k8s.yaml"), MANIFEST);
  await writeFile(
    join(project, "slipway.config.ts"),
    CONFIG.replace("images: {}", 'images: { web: { context: "web" } }')
      .replace('"k8s/"', '"k8s.yaml"')
      .replace("clusters: {", 'registry: "registry.invalid", clusters: {'),
  );
  const child = spawn(bin, ["build", "--builder", "slipway", "--allow-dirty"], {
    cwd: project,
    env,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  try {
    await until("it asks the registry", () => asked > 0, { timeoutMs: 60_000, describe: () => said });
    const ended = once(child, "close");
    child.kill("SIGINT");
    assert.deepEqual(await ended, [130, null]);
    assert.match(said, /^\nstopping \(press Ctrl-C again to stop at once\)\n/);
    assert.doesNotMatch(said, /finishing/);
  } finally {
    child.kill("SIGKILL");
    silent.close();
    silent.closeAllConnections();
  }
});
