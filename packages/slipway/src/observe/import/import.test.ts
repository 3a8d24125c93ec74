import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { hasCode } from "../warehouse/cases.ts";
import type { DuckWarehouse } from "../warehouse/duckdb/duckdb.ts";
import { openDuckWarehouse } from "../warehouse/duckdb/open.ts";
import { type ImportedFile, type ImportOptions, importFiles } from "./import.ts";

const folder = mkdtempSync(join(tmpdir(), "slipway-import-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const line = (index: number): string =>
  `203.0.113.${index % 250} - - [05/Jan/2026:12:${String(Math.floor(index / 60) % 60).padStart(2, "0")}:${String(index % 60).padStart(2, "0")} +0000] "GET /recipes/${index} HTTP/1.1" ${index % 10 === 0 ? 502 : 200} ${index} "-" "agent/${index % 7}" 0.0${10 + (index % 80)} 0.010\n`;
const lines = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, index) => line(from + index)).join("");

function write(name: string, content: string | Buffer): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

async function run(
  warehouse: DuckWarehouse,
  files: readonly string[],
  options: Partial<ImportOptions> = {},
): Promise<ImportedFile[]> {
  const imported: ImportedFile[] = [];
  const now = (): number => Date.UTC(2026, 0, 6);
  await importFiles(files, { warehouse, service: "web", now, ...options }, (one) => imported.push(one));
  return imported;
}

const sums = async (warehouse: DuckWarehouse): Promise<unknown> =>
  (
    await warehouse.query(
      "SELECT count(*), sum(bytes), count(DISTINCT path), sum(status), (SELECT sum(n) FROM rollup WHERE counts) FROM requests",
    )
  ).rows[0];
const expected = (count: number): unknown => {
  const all = Array.from({ length: count }, (_, index) => index);
  const sum = (of: (index: number) => number): number => all.reduce((total, index) => total + of(index), 0);
  return [count, sum((index) => index), count, sum((index) => (index % 10 === 0 ? 502 : 200)), count];
};

async function withWarehouse(work: (warehouse: DuckWarehouse) => Promise<void>): Promise<void> {
  const warehouse = await openDuckWarehouse({ folder: undefined });
  try {
    await work(warehouse);
  } finally {
    await warehouse.close();
  }
}

test("a file is imported once, whatever it is called and however it is compressed", () =>
  withWarehouse(async (warehouse) => {
    const text = lines(0, 5000);
    const file = write("access.log", text);
    const [first, twice] = await run(warehouse, [file, file]);
    assert.deepEqual([first?.lines, first?.requests, first?.skippedBytes], [5000, 5000, 0]);
    assert.equal(twice?.lines, 0);
    assert.deepEqual(await sums(warehouse), expected(5000));
    const again = await run(warehouse, [
      write("access.log", text),
      write("renamed.log", text),
      write("access.log.1.gz", gzipSync(text)),
      write("access.log.1.zst", zstdCompressSync(text)),
    ]);
    assert.deepEqual(
      again.map(({ lines: count, skippedBytes }) => [count, skippedBytes]),
      again.map(() => [0, text.length]),
    );
    assert.deepEqual(await sums(warehouse), expected(5000));
    assert.equal(warehouse.figures().access, 5000);
  }));

test("compressed files are read as what they hold", () =>
  withWarehouse(async (warehouse) => {
    const files = [
      write("a.gz", gzipSync(lines(0, 40_000))),
      write("b.zst", zstdCompressSync(lines(40_000, 80_000))),
      // Two files that gzip has made one of.
      write("c.gz", Buffer.concat([gzipSync(lines(80_000, 80_100)), gzipSync(lines(80_100, 80_200))])),
    ];
    const imported = await run(warehouse, files);
    assert.deepEqual(
      imported.map(({ requests }) => requests),
      [40_000, 40_000, 200],
    );
    assert.deepEqual(await sums(warehouse), expected(80_200));
  }));

test("a file that has grown adds what is new, one that was tiny too", () =>
  withWarehouse(async (warehouse) => {
    for (const count of [2, 3, 200, 5000]) await run(warehouse, [write("growing.log", lines(0, count))]);
    assert.deepEqual(await sums(warehouse), expected(5000));
  }));

test("the last line counts without a newline, and an empty file adds nothing", () =>
  withWarehouse(async (warehouse) => {
    const [cut, empty] = await run(warehouse, [
      write("cut.log", lines(0, 100).trimEnd()),
      write("empty.log", ""),
    ]);
    assert.deepEqual([cut?.requests, empty?.lines], [100, 0]);
    assert.deepEqual(await sums(warehouse), expected(100));
  }));

test("lines that are no requests go to logs and quarantine, and none is lost", () =>
  withWarehouse(async (warehouse) => {
    const words = Array.from({ length: 40_000 }, (_, index) => `worker ${index} started\n`).join("");
    const [imported] = await run(warehouse, [write("app.log", words)]);
    assert.equal(imported?.lines, 40_000);
    const { logs, quarantine, access } = warehouse.figures();
    assert.equal(logs + quarantine + access, 40_000);
    assert.equal(imported?.logs, logs);
  }));

test("containers' log files, as kubelet writes them, are read as such", () =>
  withWarehouse(async (warehouse) => {
    const text = lines(0, 50)
      .trimEnd()
      .split("\n")
      .map((one) => `2026-01-05T12:00:00.123456789Z stdout F ${one}\n`)
      .join("");
    const [imported] = await run(warehouse, [write("0.log", text)]);
    assert.equal(imported?.requests, 50);
  }));

test("a format that is told is used", () =>
  withWarehouse(async (warehouse) => {
    const text = Array.from(
      { length: 20 },
      (_, index) => `${index}|/p/${index}|200|2026-01-05T12:00:00+00:00\n`,
    ).join("");
    const format = "$body_bytes_sent|$request_uri|$status|$time_iso8601";
    const [imported] = await run(warehouse, [write("own.log", text)], { format, release: 7 });
    assert.equal(imported?.requests, 20);
    const { rows } = await warehouse.query("SELECT DISTINCT release, origin, service FROM access");
    assert.deepEqual(rows, [[7, "import", "web"]]);
    await assert.rejects(
      run(warehouse, [write("own.log", text)], { format: "no variable" }),
      hasCode("LOG_FORMAT_INVALID"),
    );
  }));

test("a file that is cut off is told, what is whole is kept, and the whole file adds the rest", () =>
  withWarehouse(async (warehouse) => {
    const whole = gzipSync(lines(0, 60_000));
    await assert.rejects(
      run(warehouse, [write("cut.gz", whole.subarray(0, whole.length - 100_000))]),
      hasCode("IMPORT_FILE"),
    );
    const { access } = warehouse.figures();
    assert.ok(access > 1000 && access < 60_000, String(access));
    await run(warehouse, [write("cut.gz", whole)]);
    assert.deepEqual(await sums(warehouse), expected(60_000));
    await assert.rejects(run(warehouse, [join(folder, "none.log")]), hasCode("IMPORT_FILE"));
  }));
