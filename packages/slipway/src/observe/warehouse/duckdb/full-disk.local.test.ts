/**
 * A disk that fills: a small file system in memory, mounted in a mount namespace that only this test's child sees.
 * The child writes until it is refused, looks at what is there, makes room, and goes on.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { exec } from "@slipway/base";

const folder = mkdtempSync(join(tmpdir(), "slipway-full-"));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
  readonly refusedWith: string;
  readonly problem: string | undefined;
  readonly stored: number;
  readonly rows: number;
  readonly rollup: number;
  readonly offset: number;
  readonly readableWhileFull: boolean;
  readonly rowsAfterRoom: number;
  readonly rowsAfterRestart: number;
  readonly offsetAfterRestart: number;
  readonly problemAfterRoom: string | undefined;
}

async function fill(name: string, reserveBytes: number): Promise<Outcome> {
  const script = join(import.meta.dirname, "full-disk.testing.ts");
  const mounted = join(folder, name);
  const inside = `mkdir -p ${mounted} && mount -t tmpfs -o size=40m tmpfs ${mounted} && exec ${process.execPath} --disable-warning=ExperimentalWarning ${script} ${mounted} ${reserveBytes}`;
  const { stdout } = await exec(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", inside]);
  return JSON.parse(stdout) as Outcome;
}

for (const [name, reserveBytes] of [
  ["with a reserve", 10_000_000],
  // DuckDB itself meets the end of the disk, within a commit or a checkpoint.
  ["to the last byte", 0],
] as const) {
  test(`filled ${name}: a commit is refused whole, and goes on when there is room`, {
    timeout: 180_000,
  }, async () => {
    const outcome = await fill(name.replaceAll(" ", "-"), reserveBytes);
    assert.equal(outcome.refusedWith, "WAREHOUSE_FULL");
    assert.match(outcome.problem ?? "", /the disk is full/);
    assert.ok(outcome.stored > 10);
    assert.ok(outcome.readableWhileFull);
    assert.equal(outcome.rows, outcome.stored * 2000);
    assert.equal(outcome.rollup, outcome.rows);
    assert.equal(outcome.offset, outcome.stored);
    assert.equal(outcome.rowsAfterRoom, outcome.rows + 2000);
    assert.equal(outcome.problemAfterRoom, undefined);
    assert.equal(outcome.rowsAfterRestart, outcome.rowsAfterRoom);
    assert.equal(outcome.offsetAfterRestart, outcome.stored + 1);
  });
}
