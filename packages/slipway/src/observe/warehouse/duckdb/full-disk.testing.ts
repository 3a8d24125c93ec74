/** The child of full-disk.local.test.ts: `FOLDER RESERVE_BYTES`; tells what happened as JSON. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SlipwayError } from "@slipway/base";
import { sampleLabels, sampleLines } from "../sample.ts";
import { openWarehouse } from "./open.ts";

const [folder = "", reserve = "0"] = process.argv.slice(2);
const ballast = join(folder, "ballast");
writeFileSync(ballast, Buffer.alloc(12_000_000, 1));

const options = { folder: join(folder, "warehouse"), reserveBytes: Number(reserve) };
const warehouse = await openWarehouse(options);
const source = warehouse.sourceOf(sampleLabels());
let stored = 0;
const commit = (): Promise<void> =>
  warehouse.commit({
    lines: sampleLines(warehouse, { count: 2000, source, fromMs: 1e12 + stored * 60_000 }),
    offsets: [{ stream: "s", position: stored + 1 }],
  });
const count = async (of: typeof warehouse, sql = "SELECT count(*) FROM access"): Promise<number> =>
  Number((await of.query(sql)).rows[0]?.[0]);

let refusedWith = "";
while (refusedWith === "" && stored < 5000) {
  try {
    await commit();
    stored += 1;
  } catch (error) {
    refusedWith = error instanceof SlipwayError ? error.code : String(error);
  }
}
const full = {
  refusedWith,
  problem: warehouse.figures().problem,
  stored,
  rows: await count(warehouse),
  rollup: await count(warehouse, "SELECT sum(n) FROM rollup"),
  offset: warehouse.offsetOf("s"),
  readableWhileFull: (await count(warehouse, "SELECT count(DISTINCT path) FROM access")) > 0,
};
rmSync(ballast);
await commit();
const rowsAfterRoom = await count(warehouse);
const problemAfterRoom = warehouse.figures().problem;
await warehouse.close();
const again = await openWarehouse(options);
const rowsAfterRestart = await count(again);
const offsetAfterRestart = again.offsetOf("s");
await again.close();
console.log(
  JSON.stringify({ ...full, rowsAfterRoom, problemAfterRoom, rowsAfterRestart, offsetAfterRestart }),
);
