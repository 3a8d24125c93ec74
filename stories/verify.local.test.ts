/** `slipway verify` with containers: the shop's own image, and the Compose example, in the sandbox. */
import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { exec } from "@slipway/base";
import { findTool } from "@slipway/cluster/sandbox";

const root = join(import.meta.dirname, "..");
const bin = join(root, "packages/slipway/bin/slipway");
const hasNginx = findTool("nginx") !== undefined && findTool("curl") !== undefined;

let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-verify-story-"));
  await cp(join(root, "examples/shop"), folder, {
    recursive: true,
    filter: (path) => !path.includes(".slipway"),
  });
  await cp(join(root, "examples/compose-nginx"), join(folder, "compose"), { recursive: true });
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  await writeFile(
    join(folder, ".gitignore"),
    "node_modules\n.slipway\nout.xml\nstructure.yaml\nspec/wrong.ts\nspec/stack.ts\ncompose/\n",
  );
  await rm(join(folder, "spec/service.ts"));
  await writeFile(join(folder, "spec/running.ts"), RUNNING);
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

const RUNNING = `import { describeImage } from "slipway/verify";
describeImage("backend1", (t) => {
  t.port(8080).listening();
  t.ports.onlyListening([8080]);
  t.process(1).running().user("node");
  t.http("http://127.0.0.1:8080/").status(200).json("service", "backend1");
  t.command(["node", "--version"]).stdout(/^v\\d+/);
  t.log.stderr.lacks(/Error/);
  t.container.stopsWithin("5s");
});
`;

test("image checks that need a container are decided in the sandbox, and nothing is left behind", async () => {
  const result = await slipway("verify", "--only", "image", "--engine", "sandbox", "--junit", "out.xml");
  assert.equal(result.exitCode, 0, result.stdout + result.stderr);
  assert.match(result.stdout, /image backend1 .*: (\d+) of \1 passed/);
  assert.match(
    await readFile(join(folder, "out.xml"), "utf8"),
    /<testsuites name="slipway verify" tests="\d+" failures="0" errors="0"/,
  );
});

test("with nothing running the same is unknown where it cannot be seen: exit 4, and no failure", async () => {
  const result = await slipway("verify", "--only", "image", "--engine", "none", "--json");
  assert.equal(result.exitCode, 4, result.stdout + result.stderr);
  const report = JSON.parse(result.stdout.trim().split("\n").at(-1) ?? "") as {
    failed: number;
    unknown: number;
    passed: number;
  };
  assert.equal(report.failed, 0);
  assert.ok(report.unknown >= 8 && report.passed > 10);
});

test("a check that fails is told with what was found, and its line runs it again", async () => {
  await writeFile(
    join(folder, "spec/wrong.ts"),
    'import { describeImage } from "slipway/verify";\ndescribeImage("web", (t) => t.within("1s").port(9090).listening());\n',
  );
  const result = await slipway("verify", "--image", "web", "--engine", "sandbox", "--github");
  assert.equal(result.exitCode, 1, result.stdout + result.stderr);
  assert.match(
    result.stdout,
    /✗ port 9090 › listening\n\s+expected {2}listening\n\s+found {5}listening: .*:8080/,
  );
  assert.match(result.stdout, /spec\/wrong\.ts:2:\d+ {2}rerun: slipway verify -t "port 9090 › listening"/);
  assert.match(result.stdout, /^::error file=spec\/wrong\.ts,line=2,/m);
  await rm(join(folder, "spec/wrong.ts"));
});

test("a structure test runs as it is", async () => {
  await writeFile(
    join(folder, "structure.yaml"),
    `schemaVersion: 2.0.0
commandTests:
  - { name: node, command: node, args: [--version], expectedOutput: ["^v"] }
fileExistenceTests:
  - { name: program, path: /app/server.mjs, permissions: "-rw-r--r--", uid: 0 }
metadataTest: { exposedPorts: ["8080"], workdir: /app }
`,
  );
  const result = await slipway(
    "verify",
    "--structure-test",
    "structure.yaml",
    "--image",
    "web",
    "--engine",
    "sandbox",
    "-v",
  );
  assert.equal(result.exitCode, 0, result.stdout + result.stderr);
  assert.match(result.stdout, /✓ node › stdout matches \/\^v\//);
});

test("the services of a Compose file are checked together", {
  skip: hasNginx ? false : "nginx or curl is not installed",
}, async () => {
  await writeFile(
    join(folder, "spec/stack.ts"),
    `import { describeCompose, stack } from "slipway/verify";
const shop = stack("shop", (t) => {
  for (const path of ["/be1/", "/be2/"]) t.in("frontend").http("http://127.0.0.1" + path).status(200);
  for (const backend of ["backend1", "backend2"]) t.in(backend).port(8080).listening();
  t.in("frontend").file("/etc/nginx/nginx.conf").contains(/proxy_pass http:\\/\\/backend1/);
  t.in("frontend").dns("backend1").resolves();
  t.in("frontend").reach("backend2", 8080).open();
  t.in("frontend").log.stderr.lacks(/\\[emerg\\]/);
});
describeCompose(["../compose/compose.yaml", "../compose/compose.curl.yaml"], shop, (t) => {
  t.in("frontend").command("curl http://127.0.0.1/be1/ -v").stderr(/HTTP\\/1\\.1 200 OK/);
  t.in("frontend").command("curl http://127.0.0.1/be2/ -v").stderr(/HTTP\\/1\\.1 200 OK/);
});
`,
  );
  const result = await slipway("verify", "--only", "compose", "--engine", "sandbox");
  assert.equal(result.exitCode, 0, result.stdout + result.stderr);
  assert.match(result.stdout, /compose › frontend .*: 10 of 10 passed/);
});

test("a front that asks the wrong port is told with the front's own log and what the backend listens on", {
  skip: hasNginx ? false : "nginx or curl is not installed",
}, async () => {
  const conf = join(folder, "compose/frontend/nginx.conf");
  const text = await readFile(conf, "utf8");
  assert.match(text, /backend1:8080/);
  await writeFile(conf, text.replace("backend1:8080", "backend1:8081"));
  await writeFile(
    join(folder, "spec/stack.ts"),
    'import { describeCompose } from "slipway/verify";\ndescribeCompose("../compose", (t) => t.in("frontend").within("2s").http("http://127.0.0.1/be1/").status(200));\n',
  );
  const result = await slipway("verify", "--only", "compose", "--engine", "sandbox", "--allow-dirty");
  await writeFile(conf, text);
  assert.equal(result.exitCode, 1, result.stdout + result.stderr);
  assert.match(result.stdout, /found {5}status 502/);
  assert.match(result.stdout, /attempts over .* frontend/);
  assert.match(result.stdout, /why {7}frontend's log: .*connect\(\) failed \(111/);
  assert.match(result.stdout, /why {7}backend1 listens on 8080 only/);
});
