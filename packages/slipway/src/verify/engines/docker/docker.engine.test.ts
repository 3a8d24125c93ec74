/** What only an engine with an API has; what every engine must do is in `../cases.ts`. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { systemClock } from "@slipway/base";
import { buildHostBase } from "../../../images/host/base.ts";
import type { BuiltImage } from "../../../images/image.ts";
import { ImageLayout } from "../../../images/layout.ts";
import type { Engine, Project, ServiceSpec } from "../engine.ts";
import { connect } from "./connect.ts";
import { dockerEngine } from "./docker.ts";
import { remoteLook } from "./look.ts";

let folder: string;
let image: BuiltImage;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-engine-"));
  const layout = await ImageLayout.open(folder);
  const { digest } = await buildHostBase(
    "slipway/node",
    layout,
    { isLocal: true, allowHostBases: [] },
    "test",
  );
  image = { name: "node", digest, reference: undefined, layout: folder };
});
after(() => rm(folder, { recursive: true, force: true }));

const service = (name: string, script: string, more: Partial<ServiceSpec> = {}): ServiceSpec => ({
  name,
  image,
  entrypoint: undefined,
  command: ["node", "-e", script],
  environment: {},
  user: undefined,
  workingDir: undefined,
  hostname: undefined,
  networks: [{ name: "default", aliases: [] }],
  extraHosts: [],
  mounts: [],
  exposed: [],
  published: [],
  healthcheck: undefined,
  dependsOn: [],
  stopSignal: undefined,
  stopGraceMs: 10_000,
  isReadOnly: false,
  restart: "no",
  hasInit: false,
  ...more,
});

for (const kind of ["docker", "podman"] as const) {
  describe(kind, () => {
    let engine: Engine;
    let project: Project;
    before(async () => {
      const connection = await connect(kind, process.env);
      assert.ok(connection, `no ${kind} engine answers`);
      assert.equal(connection.kind, kind);
      engine = dockerEngine({ connection, clock: systemClock, look: () => remoteLook("nowhere") });
      project = await engine.createProject({
        name: "smoke",
        services: [
          service("server", "require('node:http').createServer((q,s)=>s.end('hello')).listen(8080)", {
            networks: [{ name: "default", aliases: ["also"] }],
          }),
          service("talker", "console.log('out'); console.error('err'); setInterval(()=>{}, 1000)"),
          service("deaf", "process.on('SIGTERM', ()=>{}); console.log('up'); setInterval(()=>{}, 1000)"),
          service("ends", "process.exit(3)"),
        ],
      });
      for (const { name } of project.spec.services) await project.container(name).start();
    });
    after(async () => {
      await project?.remove();
      await engine?.close();
    });

    test("names and aliases of one network", async () => {
      const script =
        "Promise.all(['server','also'].map(n=>fetch('http://'+n+':8080').then(r=>r.text()))).then(t=>console.log(t.join()))";
      const { stdout, stderr, exitCode } = await project.container("talker").exec(["node", "-e", script]);
      assert.equal(stdout, "hello,hello\n", stderr);
      assert.equal(exitCode, 0);
    });

    test("streams are kept apart", async () => {
      assert.deepEqual(await project.container("talker").logs(), { stdout: "out\n", stderr: "err\n" });
    });

    test("a command has its environment, its input and its time", async () => {
      const talker = project.container("talker");
      const echo = ["node", "-e", "process.stdin.on('data', d=>process.stdout.write(process.env.WHO+d))"];
      const said = await talker.exec(echo, { environment: { WHO: "me " }, stdin: "says\n" });
      assert.equal(said.stdout, "me says\n", said.stderr);
      const late = await talker.exec(["node", "-e", "setInterval(()=>{}, 1000)"], { timeoutMs: 300 });
      assert.equal(late.hasTimedOut, true);
    });

    test("an exit code, and no exit code", async () => {
      const ended = await project.container("ends").exited(new AbortController().signal);
      assert.deepEqual([ended.status, ended.exitCode, ended.signal], ["exited", 3, undefined]);
      const running = await project.container("talker").state();
      assert.deepEqual([running.status, running.exitCode, running.health], ["running", undefined, undefined]);
    });

    test("who does not listen to its stop signal is killed", async () => {
      const { wasKilled, tookMs } = await project.container("deaf").stop(300);
      assert.equal(wasKilled, true);
      assert.ok(tookMs >= 300);
      const { exitCode, signal } = await project.container("deaf").state();
      assert.deepEqual([exitCode, signal], [137, 9]);
    });

    test("nothing is left, and nothing is swept that has an owner", async () => {
      assert.deepEqual(await engine.sweep(), { containers: 0, networks: 0, folders: 0 });
      await project.remove();
      await project.remove();
      const { docker } = (await connect(kind, process.env)) ?? assert.fail();
      assert.deepEqual(await docker.listContainers({ all: true }), []);
    });
  });
}
