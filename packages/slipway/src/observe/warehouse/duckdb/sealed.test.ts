import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { hasCode } from "../cases.ts";
import { sampleLabels, sampleLines } from "../sample.ts";
import type { Warehouse } from "../warehouse.ts";
import { openWarehouse, type WarehouseOptions } from "./open.ts";

const DAY = 86_400_000;
const MONDAY = Date.UTC(2026, 10, 23);
const root = mkdtempSync(join(tmpdir(), "slipway-sealed-"));
after(() => rmSync(root, { recursive: true, force: true }));
let number = 0;
const newFolder = (): string => {
  number += 1;
  return join(root, String(number));
};

async function filled(folder: string, options: Partial<WarehouseOptions> = {}): Promise<Warehouse> {
  const warehouse = await openWarehouse({ folder, ...options });
  const source = warehouse.sourceOf(sampleLabels());
  for (const day of [0, 1, 2]) {
    await warehouse.commit({
      lines: {
        ...sampleLines(warehouse, { count: 3000, source, fromMs: MONDAY + day * DAY, everyMs: 20_000 }),
        logs: [{ ts: MONDAY + day * DAY, source, stream: "stdout", severity: "", text: `day ${day}` }],
        quarantine: [
          { ts: MONDAY + day * DAY, source, position: day, raw: Buffer.from([0xff, day]), reason: "time" },
        ],
      },
      offsets: [{ stream: "s", position: day + 1 }],
    });
  }
  return warehouse;
}

const SUMS = `SELECT date_trunc('day', ts) AS day, count(*) AS n, sum(bytes) AS b, sum(status) AS s, sum(rt_ms) AS t,
  count(DISTINCT path) AS p, min(method) AS m, max(proto) AS o, min(route) AS r FROM access GROUP BY ALL ORDER BY ALL`;
const LINES = "SELECT ts, text FROM logs ORDER BY ts";
const RAW = "SELECT ts, hex(raw) FROM quarantine ORDER BY ts";
const read = async (warehouse: Warehouse): Promise<unknown> => [
  (await warehouse.query(SUMS)).rows,
  (await warehouse.query(LINES)).rows,
  (await warehouse.query(RAW)).rows,
];

test("days that are over become files, and everything reads as before, after a restart too", async () => {
  const folder = newFolder();
  const warehouse = await filled(folder);
  const before = await read(warehouse);
  const figures = warehouse.figures();
  await warehouse.tidy(MONDAY + 2 * DAY + 3_600_000);
  assert.deepEqual(readdirSync(join(folder, "days")).sort(), [
    "2026-11-23.access.1.parquet",
    "2026-11-23.logs.1.parquet",
    "2026-11-23.quarantine.1.parquet",
    "2026-11-24.access.1.parquet",
    "2026-11-24.logs.1.parquet",
    "2026-11-24.quarantine.1.parquet",
  ]);
  assert.deepEqual(await read(warehouse), before);
  await warehouse.tidy(MONDAY + 2 * DAY + 3_600_000);
  assert.equal(readdirSync(join(folder, "days")).length, 6);
  await warehouse.close();
  const again = await openWarehouse({ folder });
  assert.deepEqual(await read(again), before);
  const { access, logs, quarantine, oldestMs, newestMs } = again.figures();
  assert.deepEqual(
    [access, logs, quarantine, oldestMs, newestMs],
    [figures.access, figures.logs, figures.quarantine, figures.oldestMs, figures.newestMs],
  );
  await again.close();
});

test("a line that comes for a sealed day is there at once", async () => {
  const folder = newFolder();
  const warehouse = await filled(folder);
  await warehouse.tidy(MONDAY + 3 * DAY + 3_600_000);
  const source = warehouse.sourceOf(sampleLabels());
  await warehouse.commit({
    lines: sampleLines(warehouse, { count: 7, source, fromMs: MONDAY }),
    offsets: [],
  });
  const sql = "SELECT count(*) FROM access WHERE ts < TIMESTAMP '2026-11-24'";
  assert.deepEqual((await warehouse.query(sql)).rows, [[3007]]);
  await warehouse.tidy(MONDAY + 5 * DAY);
  assert.ok(readdirSync(join(folder, "days")).includes("2026-11-23.access.2.parquet"));
  assert.deepEqual((await warehouse.query(sql)).rows, [[3007]]);
  await warehouse.close();
});

test("late lines of a day whose first file is gone overwrite none of its others", async () => {
  const folder = newFolder();
  const warehouse = await filled(folder, { keepForMs: 4 * DAY });
  const source = warehouse.sourceOf(sampleLabels());
  const late = () =>
    warehouse.commit({ lines: sampleLines(warehouse, { count: 7, source, fromMs: MONDAY }), offsets: [] });
  const files = () =>
    readdirSync(join(folder, "days")).filter((name) => name.startsWith("2026-11-23.access"));
  await warehouse.tidy(MONDAY + DAY + 3_600_000);
  await late();
  await warehouse.tidy(MONDAY + 3 * DAY);
  assert.deepEqual(files(), ["2026-11-23.access.1.parquet", "2026-11-23.access.2.parquet"]);
  await warehouse.tidy(MONDAY + 5.5 * DAY);
  assert.deepEqual(files(), ["2026-11-23.access.2.parquet"]);
  await late();
  await warehouse.tidy(MONDAY + 6 * DAY);
  assert.deepEqual(files(), ["2026-11-23.access.2.parquet", "2026-11-23.access.3.parquet"]);
  const sql = "SELECT count(*) FROM access WHERE ts < TIMESTAMP '2026-11-24'";
  assert.deepEqual((await warehouse.query(sql)).rows, [[14]]);
  await warehouse.close();
});

test("lines that come while a day is sealed are neither lost nor doubled", async () => {
  const warehouse = await filled(newFolder());
  const source = warehouse.sourceOf(sampleLabels());
  const sealing = warehouse.tidy(MONDAY + 3 * DAY + 3_600_000);
  let isSealed = false;
  void sealing.then(() => {
    isSealed = true;
  });
  let added = 0;
  while (!isSealed) {
    await warehouse.commit({
      lines: sampleLines(warehouse, { count: 10, source, fromMs: MONDAY }),
      offsets: [],
    });
    added += 10;
  }
  await sealing;
  assert.ok(added > 0);
  assert.deepEqual((await warehouse.query("SELECT count(*) FROM access")).rows, [[9000 + added]]);
  await warehouse.close();
});

test("files that a killed process left are removed, and their rows are still in the table", async () => {
  const folder = newFolder();
  const warehouse = await filled(folder);
  const before = await read(warehouse);
  await warehouse.close();
  writeFileSync(join(folder, "days", "2026-11-23.access.1.parquet"), "half a fi");
  const again = await openWarehouse({ folder });
  assert.deepEqual(readdirSync(join(folder, "days")), []);
  assert.deepEqual(await read(again), before);
  await again.tidy(MONDAY + 3 * DAY + 3_600_000);
  assert.deepEqual(await read(again), before);
  await again.close();
});

test("what is too old, or too much, goes with its file and its counts", async () => {
  const folder = newFolder();
  const warehouse = await filled(folder, { keepForMs: 2 * DAY });
  await warehouse.tidy(MONDAY + 3 * DAY + 3_600_000);
  const rollup = "SELECT count(DISTINCT minute::DATE), sum(n) FROM rollup";
  assert.deepEqual((await warehouse.query(rollup)).rows, [[3, 9000]]);
  // Two days after the sealing, the first two days are older than two days.
  await warehouse.tidy(MONDAY + 4.5 * DAY + 3_600_000);
  assert.equal(warehouse.figures().access, 9000);
  await warehouse.tidy(MONDAY + 5 * DAY + 3_600_001);
  assert.deepEqual((await warehouse.query("SELECT count(*) FROM access")).rows, [[0]]);
  assert.equal(warehouse.figures().access, 0);
  assert.deepEqual(readdirSync(join(folder, "days")), []);
  await warehouse.close();

  const other = newFolder();
  const small = await filled(other, { maxBytes: 1 });
  await small.tidy(MONDAY + 2 * DAY + 3_600_000);
  assert.deepEqual((await small.query("SELECT count(*) FROM access")).rows, [[3000]]);
  assert.deepEqual((await small.query(rollup)).rows, [[1, 3000]]);
  assert.equal(small.figures().access, 3000);
  await small.close();
});

test("people's SQL reads sealed days through the views alone", async () => {
  const folder = newFolder();
  const warehouse = await filled(folder);
  await warehouse.tidy(MONDAY + 3 * DAY + 3_600_000);
  const file = join(folder, "days", "2026-11-23.access.1.parquet");
  for (const sql of [
    `SELECT * FROM '${file}'`,
    `SELECT * FROM read_parquet('${file}')`,
    `SELECT * FROM glob('${folder}/**')`,
  ]) {
    await assert.rejects(warehouse.query(sql), hasCode("QUERY_NOT_SELECT"));
  }
  await warehouse.close();
});
