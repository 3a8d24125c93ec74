import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "@slipway/base";
import { findIds } from "@slipway/cluster/sandbox";
import { engineCases } from "../cases.ts";
import { buildCasesImage } from "../cases-image.ts";
import { aService } from "../testing.ts";
import { createSandboxEngine } from "./engine.ts";
import { findInit } from "./init.ts";

engineCases("sandbox", {
  open: async (folder) =>
    createSandboxEngine({
      stateDirectory: join(folder, "runs"),
      layersDirectory: join(folder, "layers"),
      clock: systemClock,
    }),
  // With one uid for all, files do not have their owners.
  hasNo: [
    ...(findIds().mode === "one-uid" ? (["files"] as const) : []),
    ...((await findInit()) === undefined ? (["init"] as const) : []),
  ],
});

test("the name server is where programs know Docker's, and knows only what the asker may see", async () => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-names-"));
  const engine = createSandboxEngine({
    stateDirectory: join(folder, "runs"),
    layersDirectory: join(folder, "layers"),
    clock: systemClock,
  });
  try {
    const image = await buildCasesImage(join(folder, "image"));
    const on = (name: string, network: string) =>
      aService(name, { image, networks: [{ name: network, aliases: [] }] });
    const project = await engine.createProject({
      name: "names",
      services: [on("web", "front"), on("api", "front"), on("db", "back")],
    });
    const web = project.container("web");
    await web.start();
    const ask = async (name: string): Promise<string> =>
      (await web.exec(["nslookup", name, "127.0.0.11"])).stdout;
    assert.match(await ask("api"), /Address: 10\.244\.0\.\d+/);
    assert.match(await ask("db"), /NXDOMAIN/);
    // The rest of 127.0.0.0/8 is the container's own.
    const refused = await web.reach("127.0.0.1", 53, 2000);
    assert.equal("error" in refused ? refused.error : "open", "ECONNREFUSED");
  } finally {
    await engine.close();
    await rm(folder, { recursive: true, force: true });
  }
});
