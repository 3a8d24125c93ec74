/** A stranger's small Node service: `slipway init && slipway ship` takes it to the local clusters as it is. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { emptyProject, jsonLines, type Project } from "./testing.ts";

let project: Project;

before(async () => {
  project = await emptyProject();
  await project.write("package.json", '{ "name": "@team/hello", "type": "module", "dependencies": {} }\n');
  await project.write(
    "server.js",
    'import { createServer } from "node:http";\n' +
      'createServer((request, response) => response.end("hello " + request.url)).listen(3000, () => console.log("up"));\n' +
      'process.on("SIGTERM", () => process.exit(0));\n',
  );
  await project.write(
    "Dockerfile",
    'FROM node:22-slim\nWORKDIR /srv\nCOPY package.json ./\nCOPY . .\nUSER node\nEXPOSE 3000\nCMD ["node", "server.js"]\n',
  );
  await project.write(
    "k8s/deployment.yaml",
    `apiVersion: apps/v1
kind: Deployment
metadata:
  name: hello
spec:
  selector:
    matchLabels: { app: hello }
  template:
    metadata:
      labels: { app: hello }
    spec:
      containers:
        - name: hello
          image: registry.example.com/team/hello:1.0
          ports: [{ containerPort: 3000 }]
---
apiVersion: v1
kind: Service
metadata:
  name: hello
spec:
  selector: { app: hello }
  ports: [{ port: 80, targetPort: 3000 }]
`,
  );
});
after(() => project.remove());

test("init says what it would write and what it guessed, and writes nothing with --dry-run", async () => {
  const { stdout } = await project.ok("init", "--dry-run");
  assert.match(stdout, /"registry\.example\.com\/team\/hello": \{ context: "\." \}/);
  assert.match(stdout, /service\("hello", 80\)/);
  await assert.rejects(project.read("slipway.config.ts"));
  const [answer] = jsonLines(await project.ok("init", "--dry-run", "--json"));
  assert.equal(answer?.["written"], false);
});

test("a command without a configuration says to run init", async () => {
  const { stderr } = await project.fails(2, "ship");
  assert.match(stderr, /slipway\.config\.ts.*not found/);
  assert.match(stderr, /slipway init/);
});

test("init, then ship, outside a git repository", async () => {
  const written = await project.ok("init");
  assert.match(written.stdout, /FROM node:22-slim is replaced by slipway\/node/);
  assert.match(written.stdout, /next: slipway ship/);
  // The one change: the default port of the edge may be taken on a machine that runs tests.
  await project.edit("slipway.config.ts", "edge: {", "edge: {\n    port: 0,");
  await project.edit("slipway.config.ts", 'bake: "2s"', 'bake: "0s"');

  const shipped = await project.ok("ship");
  assert.match(shipped.stdout, /hello uncommitted → local/);
  assert.match(shipped.stdout, /release 1 is healthy everywhere/);
  assert.deepEqual(await project.get("/world"), { status: 200, body: "hello /world" });
});

test("init again refuses to replace the configuration", async () => {
  const { stderr } = await project.fails(2, "init");
  assert.match(stderr, /slipway\.config\.ts: exists already/);
  assert.match(stderr, /--force/);
});

test("every command's --json can be parsed line by line", async () => {
  const shipped = jsonLines(await project.ok("ship", "--json"));
  // The work tree is the same as before, and .slipway/, which is full by now, is no part of it.
  assert.equal(shipped.find((line) => line["step"] === "push")?.["uploadedBytes"], 0);
  const types = shipped.map((line) => `${line["step"]}/${line["type"] ?? line["kind"] ?? ""}`);
  for (const expected of ["build/built", "push/", "release/started", "release/finished"])
    assert.ok(types.includes(expected), `${expected} is among ${types.join(" ")}`);
  for (const command of [
    "status",
    "history",
    "logs",
    "build",
    "push",
    "local status",
    "local kubeconfig",
    "config show",
  ])
    jsonLines(await project.ok(...command.split(" "), "--json"));
  const [refused] = jsonLines(await project.fails(2, "init", "--json"));
  assert.partialDeepStrictEqual(refused, { error: { code: "INIT_EXISTS" } });
});

test("history that got into the image stops the release before anything is pushed", async () => {
  const ignore = await project.read(".dockerignore");
  await project.git("init", "-q", "-b", "main");
  await project.write(".dockerignore", "\n");
  const { stdout } = await project.fails(1, "ship");
  assert.match(stdout, /✗ files .*\n +expected +none\n +found +\/srv\/\.git/);
  assert.match(stdout, /Keep such files out of the image with \.dockerignore/);
  assert.doesNotMatch(stdout, /^push/m);
  await project.write(".dockerignore", ignore);
});

test("in a git repository the commit names the version", async () => {
  await project.commit("first");
  const commit = (await project.git("rev-parse", "HEAD")).slice(0, 12);
  const { stdout } = await project.ok("ship");
  assert.ok(stdout.startsWith(`hello ${commit} → local`), stdout);
  assert.equal(await project.git("status", "--porcelain"), "");
});
