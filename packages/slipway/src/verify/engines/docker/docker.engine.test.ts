/** What only an engine with an API has; what every engine must do is in `../cases.ts`. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { systemClock, systemProcesses } from "@slipway/base";
import type { BuiltImage } from "../../../images/image.ts";
import { buildCasesImage } from "../cases-image.ts";
import { aService } from "../testing.ts";
import { type Connection, connect } from "./connect.ts";
import { dockerEngine } from "./docker.ts";
import { hostLook } from "./host-look.ts";
import { createDockerProject } from "./project.ts";

let folder: string;
let image: BuiltImage;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "slipway-engine-"));
  image = await buildCasesImage(folder);
});
after(() => rm(folder, { recursive: true, force: true }));

for (const kind of ["docker", "podman"] as const) {
  describe(kind, () => {
    let connection: Connection;
    before(async () => {
      connection = (await connect(kind, process.env)) ?? assert.fail(`no ${kind} engine answers`);
    });

    test("is what it says, wherever it is found", () => {
      assert.equal(connection.kind, kind);
      assert.ok(connection.isLocal);
    });

    test("what a run left whose process is gone is swept; what has an owner stays", async () => {
      const engine = dockerEngine({ connection, clock: systemClock, look: hostLook });
      const volume = { kind: "volume", volume: "data", path: "/data", isReadOnly: false } as const;
      const services = [aService("one", { image, mounts: [volume] })];
      const { self } = systemProcesses();
      const left = await createDockerProject(
        { name: "left", services },
        {
          docker: connection.docker,
          clock: systemClock,
          owner: JSON.stringify({ ...self, startTicks: "1" }),
          ulimits: [],
          look: hostLook,
        },
      );
      const own = await engine.createProject({ name: "own", services });
      try {
        assert.deepEqual(await engine.sweep(), { containers: 1, networks: 1, folders: 1 });
        assert.deepEqual(await engine.sweep(), { containers: 0, networks: 0, folders: 0 });
        assert.equal((await own.container("one").state()).status, "created");
        const names = (await connection.docker.listContainers({ all: true })).flatMap(({ Names }) => Names);
        assert.deepEqual(names, ["/own-one"]);
      } finally {
        await own.remove();
        await left.remove();
        await engine.close();
      }
    });
  });
}
