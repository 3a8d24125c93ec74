import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "@slipway/base";
import { runtimeCases } from "../cases.ts";
import { behaviourOf, namedBehaviours } from "./behaviour.ts";
import { createSimulatedRuntime } from "./runtime.ts";

runtimeCases(
  "simulated",
  async () => {
    const runtime = createSimulatedRuntime({
      clock: systemClock,
      behaviours: [
        { image: "server", behaviour: { log: ["listening"] } },
        { image: "crash", behaviour: { exitAfterMs: 1, exitCode: 3 } },
      ],
    });
    const images = {
      server: "server",
      port: 80,
      logLine: "listening",
      crash: "crash",
      stubborn: "simulated/stubborn",
      missing: "simulated/missing",
    };
    return { runtime, images, close: () => runtime.close() };
  },
  { command: ["true"] },
);

test("the first row whose image matches decides, and an unknown image simply runs", () => {
  const rows = [{ image: "registry/*:v2", behaviour: { exitCode: 7 } }, ...namedBehaviours];
  assert.deepEqual(behaviourOf("registry/web:v2", rows), { exitCode: 7 });
  assert.deepEqual(behaviourOf("registry/web:v1", rows), {});
  assert.equal(behaviourOf("simulated/crash:9", rows).exitCode, 1);
});
