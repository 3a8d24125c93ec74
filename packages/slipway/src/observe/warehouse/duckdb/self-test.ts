/**
 * Whether the writer of vectors gives back what it was given, with the DuckDB of this process. When a version lays out
 * its strings or masks differently, the slower writer takes its place, and nothing is stored wrong.
 */
import { TextColumn } from "../../access/text-column.ts";
import type { Appender } from "./append.ts";
import { chunkAppender } from "./chunks.ts";
import { cellOf, type Rows } from "./columns.ts";
import { type Connection, rowsOf } from "./connection.ts";
import { vectorAppender } from "./vectors.ts";

/** Around the edges: lengths of 0, 12 and 13, text that is not ASCII, a zero byte, beyond one chunk, NULLs. */
const TEXTS = [
  "",
  "a",
  "exactly-12by",
  "thirteen-byte",
  "größe",
  "日本語の文字列です",
  "nul\0inside",
  "x".repeat(3000),
];

export async function chooseAppender(
  connection: Connection,
  fast: Appender = vectorAppender(),
): Promise<Appender> {
  try {
    return (await isFaithful(connection, fast)) ? fast : chunkAppender();
  } catch {
    return chunkAppender();
  }
}

export async function isFaithful(connection: Connection, appender: Appender): Promise<boolean> {
  const rows = sample(2100);
  await connection.sql.run(`CREATE OR REPLACE TEMP TABLE self_test (
    t TIMESTAMP, a UTINYINT, b USMALLINT, c UINTEGER, d UBIGINT, e BIGINT, f BOOLEAN, g VARCHAR, h BLOB, i VARCHAR)`);
  try {
    appender.append(connection, rows);
    const read = await rowsOf(
      connection,
      "SELECT epoch_ms(t) AS t, a, b, c, d, e, f, g, hex(h) AS h, i FROM self_test ORDER BY rowid",
    );
    return read.length === rows.length && read.every((row, index) => isSame(row, rows, index));
  } finally {
    await connection.sql.run("DROP TABLE self_test");
  }
}

function sample(length: number): Rows {
  const numbers = Array.from({ length }, (_, index) => index);
  const text = (index: number): string => TEXTS[index % TEXTS.length] as string;
  const column = new TextColumn(length);
  for (const n of numbers) column.set(n, text(n));
  return {
    table: "self_test",
    length,
    columns: [
      { kind: "time", values: Float64Array.from(numbers, (n) => (n % 7 === 0 ? -n : 1.8e12 + n * 1001)) },
      { kind: "u8", values: Uint8Array.from(numbers) },
      { kind: "u16", values: Uint16Array.from(numbers, (n) => 65_535 - n) },
      {
        kind: "u32",
        values: Uint32Array.from(numbers, (n) => (n % 3 === 0 ? 7 : 4_294_967_295 - n)),
        absent: 7,
      },
      { kind: "u64", values: Float64Array.from(numbers, (n) => Number.MAX_SAFE_INTEGER - n) },
      { kind: "i64", values: Float64Array.from(numbers, (n) => (n % 2 === 0 ? -n * 1e9 : n * 1e12)) },
      { kind: "boolean", values: Uint8Array.from(numbers, (n) => n % 2) },
      { kind: "text", values: numbers.map(text) },
      { kind: "blob", values: numbers.map((n) => Buffer.from([0xff, 0, ...Buffer.from(text(n))])) },
      { kind: "texts", values: column },
    ],
  };
}

function isSame(row: Readonly<Record<string, unknown>>, { columns }: Rows, index: number): boolean {
  return columns.every((column, at) => {
    const value = row["tabcdefghi"[at] as string];
    const wanted = cellOf(column, index);
    if (column.kind === "blob")
      return (
        value ===
        Buffer.from(wanted as Uint8Array)
          .toString("hex")
          .toUpperCase()
      );
    if (column.kind === "boolean") return value === (wanted === 1);
    if (column.kind === "u32" && wanted === column.absent) return value === null;
    return value === wanted || (value === 0 && wanted === 0);
  });
}
