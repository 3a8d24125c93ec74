import { join } from "node:path";
import { systemClock } from "@slipway/base";
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
    init: "the sandbox has no PID 1 to put in front",
  },
});
