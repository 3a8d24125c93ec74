/** The library's own writer of chunks: slower and larger than `vectors.ts`, and relies on nothing but its interface. */
import {
  blobValue,
  DuckDBAppender,
  DuckDBDataChunkWriter,
  DuckDBTimestampValue,
  type DuckDBValue,
} from "@duckdb/node-api";
import duckdb from "@duckdb/node-bindings";
import type { Appender } from "./append.ts";
import { type Column, checkLengths, type Rows } from "./columns.ts";
import type { Connection } from "./connection.ts";

export function chunkAppender(): Appender {
  return {
    name: "chunks",
    append(connection, rows) {
      if (rows.length > 0) appendAll(connection, rows);
    },
    open: (connection, into) => ({
      add(rows) {
        if (rows.length > 0) appendAll(connection, { ...into, ...rows });
      },
      close: () => undefined,
      abandon: () => undefined,
    }),
  };
}

function appendAll(connection: Connection, rows: Rows): void {
  checkLengths(rows);
  const { catalog, table, columns, length } = rows;
  const handle = duckdb.appender_create_ext(connection.handle, catalog ?? null, null, table);
  const appender = new DuckDBAppender(connection.sql, handle);
  try {
    const writer = DuckDBDataChunkWriter.forAppender(appender);
    for (let row = 0; row < length; row += 1) {
      writer.appendRow(columns.map((column) => plainOf(column, row)));
    }
    writer.flush();
  } catch (error) {
    appender.clear();
    throw error;
  } finally {
    appender.closeSync();
  }
}

function plainOf(column: Column, row: number): DuckDBValue {
  switch (column.kind) {
    case "time":
      return new DuckDBTimestampValue(BigInt(Math.round((column.values[row] as number) * 1000)));
    case "u64":
    case "i64":
      return BigInt(column.values[row] as number);
    case "enum":
      return column.names[column.values[row] as number] as string;
    case "boolean":
      return column.values[row] !== 0;
    case "texts":
      return column.values.at(row);
    case "blob":
      return blobValue(column.values[row] as Uint8Array);
    case "u32":
      return column.values[row] === column.absent ? null : (column.values[row] as number);
    default:
      return column.values[row] as number | string;
  }
}
