import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "@slipway/base";
import { testingEngine } from "../observe/testing-engine.ts";
import { ready } from "../spec/ready.ts";
import { composeRunner } from "./runner.ts";

test("a readiness of a service that the file does not have is refused before anything is built or started", async () => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-runner-"));
  try {
    const path = join(folder, "compose.yaml");
    await writeFile(
      path,
      "services:\n  web: { image: web:1 }\n  tools: { image: web:1, profiles: [debug] }\n",
    );
    const runner = composeRunner({
      env: {},
      clock: systemClock,
      signal: new AbortController().signal,
      buildOf: () => assert.fail("nothing is built"),
    });
    const engine = testingEngine(systemClock);
    const up = (service: string) =>
      runner.up(
        { paths: [path], profiles: [], readyMs: 1000, readyWhen: { [service]: ready.health() } },
        engine,
        () => {},
      );
    const refused = { code: "VERIFY_SPEC_INVALID", where: /runner\.test\.ts:\d+/, exitCode: 2 };
    await assert.rejects(up("wep"), { ...refused, message: /no service "wep"/, hint: 'Did you mean "web"?' });
    await assert.rejects(up("tools"), { ...refused, message: /a profile that is not chosen/ });
    assert.equal(engine.made, 0);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
