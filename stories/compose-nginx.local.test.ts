/** The example of nginx in front of two backends, brought up from its Compose files without Docker. */
import assert from "node:assert/strict";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { systemClock } from "@slipway/base";
import { findTool } from "@slipway/cluster/sandbox";
import { ImageLayout } from "../packages/slipway/src/images/layout.ts";
import { createRegistryClient } from "../packages/slipway/src/images/registry/client.ts";
import { buildProject } from "../packages/slipway/src/verify/compose/images.ts";
import { loadProject } from "../packages/slipway/src/verify/compose/load.ts";
import { bringUp } from "../packages/slipway/src/verify/compose/run.ts";
import { isUnseen } from "../packages/slipway/src/verify/engines/engine.ts";
import {
  createSandboxEngine,
  type SandboxEngine,
} from "../packages/slipway/src/verify/engines/sandbox/engine.ts";
import type { SandboxProject } from "../packages/slipway/src/verify/engines/sandbox/project.ts";

const missing = ["nginx", "curl"].filter((program) => findTool(program) === undefined);

describe("nginx in front of two backends", {
  skip:
    missing.length === 0 ? false : `not installed: ${missing.join(", ")} (apt-get install nginx-light curl)`,
}, () => {
  let folder: string;
  let engine: SandboxEngine;
  let project: SandboxProject;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "slipway-compose-"));
    await cp(join(import.meta.dirname, "..", "examples", "compose-nginx"), folder, { recursive: true });
    const loaded = await loadProject({
      cwd: folder,
      files: ["compose.yaml", "compose.curl.yaml"],
      env: { PORT: "0" },
    });
    const registry = createRegistryClient({});
    const spec = await buildProject(loaded.project, {
      layout: await ImageLayout.open(join(folder, "layout")),
      registry,
      root: folder,
      commitTimeMs: 0,
      isLocal: true,
      allowHostBases: [],
    });
    await registry.close();
    engine = createSandboxEngine({
      stateDirectory: join(folder, "runs"),
      layersDirectory: join(folder, "layers"),
      clock: systemClock,
    });
    project = await engine.createProject(spec);
    const result = await bringUp(project, { clock: systemClock, deadlineMs: 60_000 });
    assert.equal(result.kind, "ready", JSON.stringify(result));
  });
  after(async () => {
    await engine?.close();
    await rm(folder, { recursive: true, force: true });
  });

  for (const [path, backend] of [
    ["/be1/", "backend1"],
    ["/be2/", "backend2"],
  ] as const) {
    test(`curl http://127.0.0.1${path} -v in the front says HTTP/1.1 200 OK`, async () => {
      const command = ["/bin/sh", "-c", `curl http://127.0.0.1${path} -v`];
      const result = await project.container("frontend").exec(command);
      assert.equal(result.exitCode, 0, result.stderr);
      assert.match(result.stderr, /HTTP\/1\.1 200 OK/);
      assert.equal(result.stdout, `${backend} got /\n`);
    });

    test(`${path} answers 200 from inside the front, with nothing needed in the image`, async () => {
      const response = await project.container("frontend").http({
        url: `http://127.0.0.1${path}`,
        method: "GET",
        headers: {},
        body: undefined,
        timeoutMs: 30_000,
        isInsecure: false,
      });
      assert.ok(!isUnseen(response) && "status" in response, JSON.stringify(response));
      assert.deepEqual([response.status, response.body], [200, `${backend} got /\n`]);
      const { execs } = project.container("backend1");
      assert.equal(execs, 0);
    });
  }

  test("the backends listen, and nginx has written no emergency", async () => {
    for (const name of ["backend1", "backend2"]) {
      const sockets = await project.container(name).sockets();
      assert.ok(!isUnseen(sockets));
      assert.deepEqual(
        sockets.map(({ port }) => port),
        [8080],
      );
    }
    assert.doesNotMatch((await project.container("frontend").logs()).stderr, /\[emerg\]/);
  });
});
