import assert from "node:assert/strict";
import { systemClock } from "@slipway/base";
import { engineCases } from "../cases.ts";
import { connect } from "./connect.ts";
import { dockerEngine } from "./docker.ts";
import { hostLook } from "./host-look.ts";

for (const kind of ["docker", "podman"] as const) {
  engineCases(kind, {
    open: async () => {
      const connection = await connect(kind, process.env);
      assert.ok(connection, `no ${kind} engine answers`);
      return dockerEngine({ connection, clock: systemClock, look: hostLook });
    },
  });
}
