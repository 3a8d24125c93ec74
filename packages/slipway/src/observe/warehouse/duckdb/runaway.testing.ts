/** The process of a query that heeds no interrupt: stores 2000 rows, asks, and ends itself when the warehouse says so. */
import { sampleLabels, sampleLines } from "../sample.ts";
import { openDuckWarehouse } from "./open.ts";

const [folder = ""] = process.argv.slice(2);
const warehouse = await openDuckWarehouse({
  folder,
  onRunaway(why) {
    console.log(why);
    process.kill(process.pid, "SIGKILL");
  },
});
const source = warehouse.sourceOf(sampleLabels());
const lines = sampleLines(warehouse, { count: 2000, source, fromMs: 1e12 });
await warehouse.commit({ lines, offsets: [{ stream: "s", position: 7 }] });
// Each part is planned as often as it is named: 2^24 times in all.
const parts = Array.from(
  { length: 24 },
  (_, at) => `a${at + 1} AS (SELECT a.s FROM a${at} a, a${at} b LIMIT 2000)`,
);
await warehouse.query(
  `WITH a0 AS (SELECT path AS s FROM access), ${parts.join(", ")} SELECT max(s) FROM a24`,
  {},
  {
    timeoutMs: 1000,
  },
);
