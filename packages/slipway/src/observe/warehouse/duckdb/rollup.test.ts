import assert from "node:assert/strict";
import { after, test } from "node:test";
import { AccessBatch, NO_TIME } from "../../access/batch.ts";
import { bucketOf } from "../../counts/histogram.ts";
import { cellOf } from "./columns.ts";
import { closeDatabase, connect, openDatabase, rowsOf } from "./connection.ts";
import { bucketSql } from "./relabel.ts";
import { CLASSES, NO_BUCKET, Rollup } from "./rollup.ts";

const database = await openDatabase(":memory:", { threads: "1" });
const connection = await connect(database);
after(() => closeDatabase(database));

test("SQL puts a time into the same bucket as the code does", async () => {
  const times = [
    ...Array(20_000).keys(),
    ...Array.from({ length: 33 }, (_, n) => 2 ** n - 1),
    2 ** 20,
    2 ** 20 + 1,
  ];
  const sql = `SELECT (${bucketSql("t")})::INTEGER AS bucket FROM (SELECT unnest([${times.join(", ")}]::UINTEGER[]) AS t)`;
  const read = await rowsOf(connection, sql);
  assert.deepEqual(
    read.map(({ bucket }) => bucket),
    times.map(bucketOf),
  );
  assert.deepEqual(await rowsOf(connection, `SELECT ${bucketSql("NULL::UINTEGER")} AS bucket`), [
    { bucket: NO_BUCKET },
  ]);
});

test("requests are counted by minute, series, class, probe and bucket", () => {
  const rollup = new Rollup({ seriesOf: (source) => source * 10, isProbe: (agent) => agent === 9 });
  const add = (minute: number, source: number, status: number, ms: number, agent = 1): void => {
    const batch = new AccessBatch(1);
    batch.ts[0] = minute * 60_000 + 59_999;
    batch.source[0] = source;
    batch.status[0] = status;
    batch.time[0] = ms;
    batch.bytes[0] = 100;
    batch.userAgent[0] = agent;
    batch.length = 1;
    rollup.add(batch);
  };
  add(7, 1, 200, 8);
  add(7, 1, 204, 8);
  add(7, 1, 499, 8);
  add(7, 1, 0, 8);
  add(8, 1, 503, NO_TIME);
  add(8, 2, 200, 8, 9);
  const { columns, length } = rollup.take();
  const rows = Array.from({ length }, (_, row) => columns.map((column) => cellOf(column, row)));
  const class_ = (name: (typeof CLASSES)[number]): number => CLASSES.indexOf(name);
  assert.deepEqual(
    rows.sort((a, b) => (String(a) < String(b) ? -1 : 1)),
    [
      [420_000, 10, class_("other"), 0, 24, 1, 100],
      [420_000, 10, class_("2xx"), 0, 24, 2, 200],
      [420_000, 10, class_("499"), 0, 24, 1, 100],
      [480_000, 10, class_("5xx"), 0, NO_BUCKET, 1, 100],
      [480_000, 20, class_("2xx"), 1, 24, 1, 100],
    ],
  );
  assert.equal(rollup.take().length, 0);
});

test("a log of many minutes needs no more memory than its counts", () => {
  const rollup = new Rollup({ seriesOf: () => 1, isProbe: () => false });
  const batch = new AccessBatch(20_000);
  for (let row = 0; row < 20_000; row += 1) {
    batch.ts[row] = row * 60_000;
    batch.status[row] = 200;
  }
  batch.length = 20_000;
  const before = process.memoryUsage().arrayBuffers;
  rollup.add(batch);
  // All of their cells would be 640 MB; what is drained may still wait for the collector.
  assert.ok(process.memoryUsage().arrayBuffers - before < 320_000_000);
  assert.equal(rollup.take().length, 20_000);
});
