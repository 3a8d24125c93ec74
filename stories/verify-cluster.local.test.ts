/** `slipway verify` in a cluster: the shop's manifests in an embedded one that is made for the run and goes with it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cp, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { exec, until } from "@slipway/base";

const root = join(import.meta.dirname, "..");
const bin = join(root, "packages/slipway/bin/slipway");
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-verify-cluster-"));
  await cp(join(root, "examples/shop"), folder, {
    recursive: true,
    filter: (path) => !path.includes(".slipway"),
  });
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  await writeFile(join(folder, ".gitignore"), "node_modules\n.slipway\nspec/cluster.ts\n");
  await rm(join(folder, "spec/service.ts"));
  await writeFile(
    join(folder, "k8s/settings.yaml"),
    "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: settings }\ndata: { colour: red }\n",
  );
  for (const command of [
    ["init", "-q"],
    ["add", "-A"],
    ["commit", "-q", "-m", "first"],
  ]) {
    const result = await exec(["git", "-c", "user.name=you", "-c", "user.email=you@localhost", ...command], {
      cwd: folder,
    });
    assert.equal(result.exitCode, 0, result.stderr);
  }
  const built = await slipway("build");
  assert.equal(built.exitCode, 0, built.stdout + built.stderr);
});
after(() => rm(folder, { recursive: true, force: true }));

const slipway = (...words: readonly string[]) =>
  exec([bin, ...words], { cwd: folder, env: { ...process.env, GITHUB_ACTIONS: "" } });

async function verify(spec: string): Promise<{ exitCode: number; text: string }> {
  await writeFile(join(folder, "spec/cluster.ts"), spec);
  const { exitCode, stdout, stderr } = await slipway("verify", "--only", "cluster", "-v");
  return { exitCode, text: stdout + stderr };
}

test("the manifests as they are: workloads, objects, and the same stack as in Compose", async () => {
  const { exitCode, text } = await verify(`import { contains, describeCluster, stack } from "slipway/verify";
const shop = stack("shop", (t) => {
  for (const backend of ["backend1", "backend2"]) {
    t.in(backend).port(8080).listening();
    t.in(backend).process(1).running().user("node");
  }
  t.in("web").http("http://backend1/").status(200);
  t.in("web").dns("backend2").resolves();
  t.in("web").reach("backend2", 80).open();
  t.in("web").command(["node", "--version"]).stdout(/^v/);
  t.in("web").log.lacks(/Error/);
});
describeCluster(shop, (t) => {
  t.workload("deployment/web").available().digest("@built").noRestarts("1s");
  t.object("v1/Service", "web").matches({ spec: { ports: [{ port: 80 }] } });
  t.objects("v1/Pod", { app: "web" }).none({ status: { phase: "Failed" } });
  t.objects("v1/Pod").every({ status: { conditions: contains({ type: "Ready", status: "True" }) } });
  t.object("v1/ConfigMap", "nobody").absent();
});
`);
  assert.equal(exitCode, 0, text);
  assert.match(text, /cluster › web/);
  assert.deepEqual(await readdir(join(folder, ".slipway/verify-clusters")), [], "nothing is left");
});

test("what is not so fails with the difference, or with what its pods wait for", async () => {
  const { exitCode, text } = await verify(`import { describeCluster } from "slipway/verify";
describeCluster({ ready: "2s" }, (t) => {
  t.within("1s").object("v1/Service", "web").matches({ spec: { ports: [{ name: "http", port: 81 }], type: "NodePort" } });
  t.within("1s").objects("v1/Pod", { app: "webb" }).every({ status: { phase: "Running" } });
  t.within("1s").workload("statefulset/web").available();
});
`);
  assert.equal(exitCode, 1, text);
  assert.match(text, /spec\.type: expected "NodePort", found "ClusterIP"/);
  assert.match(text, /the selector finds no object/);
  assert.match(text, /there is no such workload/);
});

test("what is misspelt proves nothing, and ConfigMaps are found under the name that the manifests give them", async () => {
  const { exitCode, text } = await verify(`import { describeCluster } from "slipway/verify";
describeCluster({ ready: "2s" }, (t) => {
  t.object("v1/ConfigMp", "settings").absent();
  t.object("nosuch.io/v1/Foo", "x").absent();
  t.object("v1/ConfigMap", "settings").matches({ data: { colour: "red" } });
});
`);
  assert.equal(exitCode, 4, text);
  assert.match(text, /this cluster does not have the kind v1\/ConfigMp/);
  assert.match(text, /✓ v1\/ConfigMap settings/);
});

test("Ctrl-C ends it at once, and the cluster with it", async () => {
  const spec = `import { describeCluster } from "slipway/verify";
describeCluster((t) => t.within("10m").object("v1/ConfigMap", "nobody").exists());
`;
  await writeFile(join(folder, "spec/cluster.ts"), spec);
  const child = spawn(bin, ["verify", "--only", "cluster"], { cwd: folder, stdio: "ignore" });
  const ended = new Promise<number | null>((resolve) => child.once("close", (code) => resolve(code)));
  const clusters = join(folder, ".slipway/verify-clusters");
  // It may still be starting, or be looked at already: both must end.
  await until(
    "the cluster",
    async () => (await readdir(clusters, { recursive: true }).catch(() => [])).length > 2,
    { timeoutMs: 60_000 },
  );
  child.kill("SIGINT");
  assert.equal(await ended, 130);
  assert.deepEqual(await readdir(clusters), [], "nothing is left");
});

test("a mistake in a spec file is one error with its line", async () => {
  const { exitCode, text } = await verify(`import { describeCluster } from "slipway/verify";
describeCluster((t) => {
  t.object("Service", "web").exists();
});
`);
  assert.equal(exitCode, 2, text);
  assert.match(text, /spec\/cluster\.ts:3:5: "Service" is not a kind with its version/);
});
