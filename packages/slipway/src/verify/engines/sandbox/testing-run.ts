/** A run for tests to kill: starts one service in the sandbox, with a helper inside, prints the agent's pid, and waits. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "@slipway/base";
import type { BuiltImage } from "../../../images/image.ts";
import { aService } from "../testing.ts";
import { createSandboxEngine } from "./engine.ts";

const [folder = "", imageFile = ""] = process.argv.slice(2);
const image = JSON.parse(readFileSync(imageFile, "utf8")) as BuiltImage;
const engine = createSandboxEngine({
  stateDirectory: join(folder, "runs"),
  layersDirectory: join(folder, "layers"),
  clock: systemClock,
});
const project = await engine.createProject({
  name: "killed",
  services: [
    aService("one", {
      image,
      published: [{ port: 8080, protocol: "tcp", hostPort: 0, hostIp: "127.0.0.1" }],
    }),
  ],
});
const container = project.container("one");
await container.start();
await container.resolve("one", 5000);
process.stdout.write(`${project.agentPid}\n`);
