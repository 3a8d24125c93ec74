import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "@slipway/base";
import type { ComposeUse } from "../observe/compose-run.ts";
import { testingEngine } from "../observe/testing-engine.ts";
import type { ReadyWhen } from "../readiness/forms.ts";
import { ready } from "../spec/ready.ts";
import { composeRunner } from "./runner.ts";

test("a service that the file does not have is refused before anything is built or started", async () => {
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
    const up = (readyWhen: ReadyWhen, asked: ComposeUse["asked"] = []) =>
      runner.up({ paths: [path], profiles: [], readyMs: 1000, readyWhen }, engine, {
        asked,
        onVariables: () => {},
      });
    const refused = { code: "VERIFY_SPEC_INVALID", exitCode: 2 };
    const here = { ...refused, where: /runner\.test\.ts:\d+/ };
    await assert.rejects(up({ wep: ready.health() }), {
      ...here,
      message: /no service "wep"/,
      hint: 'Did you mean "web"?',
    });
    await assert.rejects(up({ tools: ready.health() }), { ...here, message: /profile that is not chosen/ });
    const asked = [
      { service: "web", place: "spec/a.ts:3:5" },
      { service: "wep", place: "spec/a.ts:4:5" },
    ];
    await assert.rejects(up({}, asked), {
      ...refused,
      where: "spec/a.ts:4:5",
      message: /no service "wep"/,
    });
    assert.equal(engine.made, 0);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
