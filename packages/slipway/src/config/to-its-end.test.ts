import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { exec } from "@slipway/base";

test("a configuration that ends the process, or never comes to its end, is no success", async () => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-config-end-"));
  try {
    const load = JSON.stringify(pathToFileURL(join(import.meta.dirname, "load.ts")).href);
    const program = `import { loadConfig } from ${load}; await loadConfig({ cwd: ${JSON.stringify(folder)}, env: {} });`;
    await writeFile(join(folder, "program.mjs"), program);
    for (const text of ["process.exit(0);", "process.exit();", "await new Promise(() => {});"]) {
      await writeFile(join(folder, "slipway.config.ts"), text);
      const command = [
        process.execPath,
        "--disable-warning=ExperimentalWarning",
        join(folder, "program.mjs"),
      ];
      const { exitCode, stderr } = await exec(command);
      assert.equal(exitCode, 2, `${text}: ${stderr}`);
      assert.match(stderr, /^slipway: slipway\.config\.ts: does not come to its end/m);
    }
    // What ends with a code of its own has said so.
    await writeFile(join(folder, "slipway.config.ts"), "process.exit(7);");
    assert.equal((await exec([process.execPath, join(folder, "program.mjs")])).exitCode, 7);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
