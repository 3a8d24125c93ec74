import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";

test("Ctrl-C while the demo ships ends it with 130, without a verdict, and nothing is left", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-interrupted-"));
  t.after(() => rm(folder, { recursive: true, force: true, maxRetries: 10 })); // Node's compile cache is written late
  const demo = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", join(import.meta.dirname, "demo.ts")],
    { env: { ...process.env, TMPDIR: folder }, stdio: ["ignore", "pipe", "inherit"], detached: true },
  );
  t.after(() => demo.kill("SIGKILL"));
  const lines: string[] = [];
  createInterface({ input: demo.stdout }).on("line", (line) => {
    lines.push(line);
    // A terminal tells the whole group.
    if (/^ +wave 1 of/.test(line)) process.kill(-(demo.pid as number), "SIGINT");
  });
  const [code] = await once(demo, "close");
  assert.equal(code, 130, lines.join("\n"));
  assert.ok(!lines.some((line) => /^STEP +TIME/.test(line)), lines.join("\n"));
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.startsWith("slipway-")),
    [],
  );
});
