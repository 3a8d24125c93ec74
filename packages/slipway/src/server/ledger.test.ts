import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openLedger } from "./ledger.ts";
import type { Press } from "./press.ts";

test("of many deliveries of one press at once exactly one takes it, and none fails", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "slipway-ledger-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const ledger = openLedger(folder);
  for (let round = 0; round < 10; round += 1) {
    const press = { key: String(round).padStart(64, "0") } as Press;
    const taken = await Promise.all(Array.from({ length: 8 }, () => ledger.take(press)));
    assert.equal(taken.filter(Boolean).length, 1);
  }
  const left = (await readdir(folder)).filter((name) => !name.endsWith(".json"));
  assert.deepEqual(left, [], "nothing temporary stays");
});
