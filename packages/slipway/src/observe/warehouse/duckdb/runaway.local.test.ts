import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { openDuckWarehouse } from "./open.ts";

test("a query that no interrupt ends costs the process, not the machine's memory and not a row", {
  timeout: 180_000,
}, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "slipway-runaway-"));
  const program = join(import.meta.dirname, "runaway.testing.ts");
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program, folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  const [said, [, signal]] = await Promise.all([text(child.stdout), once(child, "exit")]);
  assert.match(said, /does not heed that it was interrupted/);
  assert.equal(signal, "SIGKILL");

  const warehouse = await openDuckWarehouse({ folder });
  t.after(async () => {
    await warehouse.close();
    rmSync(folder, { recursive: true, force: true });
  });
  assert.deepEqual((await warehouse.query("SELECT count(*) FROM access")).rows, [[2000]]);
  assert.equal(warehouse.offsetOf("s"), 7);
});
