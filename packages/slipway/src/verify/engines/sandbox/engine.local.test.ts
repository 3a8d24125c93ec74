import { join } from "node:path";
import { systemClock } from "@slipway/base";
import { findIds } from "@slipway/cluster/sandbox";
import { engineCases } from "../cases.ts";
import { createSandboxEngine } from "./engine.ts";

engineCases("sandbox", {
  open: async (folder) =>
    createSandboxEngine({
      stateDirectory: join(folder, "runs"),
      layersDirectory: join(folder, "layers"),
      clock: systemClock,
    }),
  cannot: {
    oom: "the sandbox does not enforce memory limits",
    ...(findIds().mode === "one-uid" ? { files: "one uid for all: files do not have their owners" } : {}),
    init: "the sandbox has no PID 1 to put in front",
  },
});
