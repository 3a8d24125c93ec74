/** What only an engine with an API has; what every engine must do is in `../cases.ts`. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { systemClock, systemProcesses, until } from "@slipway/base";
import type { BuiltImage } from "../../../images/image.ts";
import { buildCasesImage } from "../cases-image.ts";
import { isUnseen } from "../engine.ts";
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

    test("one that is alone calls itself by its name, and leaves nothing to anybody", async () => {
      const engine = dockerEngine({ connection, clock: systemClock, look: hostLook });
      const command = ["httpd", "-f", "-p", "8080", "-h", "/www"];
      const project = await engine.createProject({
        name: "alone",
        services: [aService("one", { image, command })],
        isAlone: true,
      });
      try {
        const one = project.container("one");
        await one.start();
        const addresses = await one.resolve("one", 30_000);
        assert.ok(!isUnseen(addresses) && addresses.length > 0, JSON.stringify(addresses));
        await until("its port to be open by its name", async () => {
          const reached = await one.reach("one", 8080, 30_000);
          return !isUnseen(reached) && reached.isOpen;
        });
        const own = (await connection.docker.listNetworks()).map(({ Name }) => Name);
        assert.equal(own.includes("alone-default"), kind === "podman");
      } finally {
        await project.remove();
      }
      const networks = (await connection.docker.listNetworks()).map(({ Name }) => Name);
      assert.ok(!networks.includes("alone-default"), networks.join());
      await engine.close();
    });

    test("who starts next finds the one before by its name in its first moment", async () => {
      const engine = dockerEngine({ connection, clock: systemClock, look: hostLook });
      const ask = aService("two", { image, command: ["nslookup", "one"] });
      const project = await engine.createProject({
        name: "named",
        services: [aService("one", { image }), ask],
      });
      try {
        await project.container("one").start();
        const two = project.container("two");
        await two.start();
        const { exitCode } = await two.exited(new AbortController().signal);
        assert.equal(exitCode, 0, JSON.stringify(await two.logs()));
      } finally {
        await project.remove();
        await engine.close();
      }
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
          kind,
          clock: systemClock,
          remote: undefined,
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
