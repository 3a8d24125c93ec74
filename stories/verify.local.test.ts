/** `slipway verify` with containers: the shop's own image, and the Compose example, in the sandbox. */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { findTool } from "@slipway/cluster/sandbox";
import { makeVerifyProject, RUNNING_SPEC, STACK_SPEC, type VerifyProject } from "./verify-project.ts";

const hasNginx = findTool("nginx") !== undefined && findTool("curl") !== undefined;

let folder: string;
let project: VerifyProject;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-verify-story-"));
  project = await makeVerifyProject(folder, { "running.ts": RUNNING_SPEC });
});
after(() => rm(folder, { recursive: true, force: true }));

const slipway = (...words: readonly string[]) => project.slipway(...words);

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
    'import { describeImage } from "slipway/verify";\ndescribeImage("web", (t) => { t.within("60s").port(8080).listening(); t.within("1s").port(9090).listening(); });\n',
  );
  const result = await slipway("verify", "--image", "web", "--engine", "sandbox", "--github");
  assert.equal(result.exitCode, 1, result.stdout + result.stderr);
  assert.match(
    result.stdout,
    /✗ port 9090 › listening\n\s+expected {2}listening\n\s+found {5}listening: .*:8080/,
  );
  assert.match(
    result.stdout,
    /spec\/wrong\.ts:2:\d+ {2}rerun: slipway verify --engine sandbox --image web -t "port 9090 › listening"/,
  );
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
  await writeFile(
    join(folder, "structure.yaml"),
    "schemaVersion: 2.0.0\nfileExistenceTests:\n  - { name: other, path: /nope, shouldExist: true }\n",
  );
  const failed = await slipway("verify", "--structure-test", "structure.yaml", "--image", "web");
  const rerun = /rerun: slipway (.*) -t "(.*)"$/m.exec(failed.stdout) ?? assert.fail(failed.stdout);
  const again = await slipway(...(rerun[1] as string).split(" "), "-t", rerun[2] as string);
  assert.equal(again.exitCode, 1, again.stdout + again.stderr);
  assert.match(again.stdout, /0 passed, 1 failed/);
});

test("without arguments an image has the checks that ship gives it", async () => {
  await writeFile(
    join(folder, "spec/wrong.ts"),
    'import { describeImage } from "slipway/verify";\ndescribeImage("web", (t) => t.image.exposes(8080));\n',
  );
  const result = await slipway("verify", "--image", "web", "--engine", "none", "-v");
  assert.match(result.stdout, /✓ image › its command is a program in the image/);
  assert.match(result.stdout, /✓ files \*\*\/\{\.git,.* › none/);
  await rm(join(folder, "spec/wrong.ts"));
});

test("without arguments nothing is asked that is not deployed or pushed yet, and that is said", async () => {
  await writeFile(
    join(folder, "spec/wrong.ts"),
    `import { describeCluster, describeImage, describeService } from "slipway/verify";
describeImage("web", (t) => t.image.exposes(8080));
describeService("web", (t) => t.http("/").status(200));
describeCluster({ context: "nowhere" }, (t) => t.workload("deployment/web").available());
`,
  );
  const words = ["verify", "--skip-cluster", "--engine", "none", "--allow-unknown"];
  const all = await slipway(...words);
  assert.equal(all.exitCode, 0, all.stdout + all.stderr);
  assert.match(all.stdout, /left out: 1 check of deployed services: nothing is deployed/);
  assert.match(all.stdout, /left out: 1 check in contexts: the images are not pushed yet/);
  const asked = await slipway("verify", "--only", "service", "--engine", "none");
  assert.equal(asked.exitCode, 4, asked.stdout + asked.stderr);
  assert.doesNotMatch(asked.stdout, /left out/);
  await rm(join(folder, "spec/wrong.ts"));
});

test("the services of a Compose file are checked together", {
  skip: hasNginx ? false : "nginx or curl is not installed",
}, async () => {
  await writeFile(join(folder, "spec/stack.ts"), STACK_SPEC);
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
    'import { describeCompose } from "slipway/verify";\ndescribeCompose("../compose", (t) => t.in("frontend").within("5s").http("http://127.0.0.1/be1/").status(200));\n',
  );
  const result = await slipway("verify", "--only", "compose", "--engine", "sandbox", "--allow-dirty");
  await writeFile(conf, text);
  assert.equal(result.exitCode, 1, result.stdout + result.stderr);
  assert.match(result.stdout, /found {5}status 502/);
  assert.match(result.stdout, /why {7}frontend's log: .*connect\(\) failed \(111/);
  assert.match(result.stdout, /why {7}backend1 listens on 8080 only/);
});
