/**
 * A connection with both of its faces: the public one, and the handle that the writer of vectors needs. They are made
 * together because the public one hides its handle.
 */
import { DuckDBConnection } from "@duckdb/node-api";
import duckdb from "@duckdb/node-bindings";

export interface Database {
  readonly handle: duckdb.Database;
}

export interface Connection {
  readonly sql: DuckDBConnection;
  readonly handle: duckdb.Connection;
}

export async function openDatabase(
  path: string,
  options: Readonly<Record<string, string>>,
): Promise<Database> {
  const config = duckdb.create_config();
  for (const [name, value] of Object.entries(options)) duckdb.set_config(config, name, value);
  return { handle: await duckdb.open(path, config) };
}

export async function connect(database: Database): Promise<Connection> {
  const handle = await duckdb.connect(database.handle);
  return { handle, sql: new DuckDBConnection(handle) };
}

export function closeDatabase(database: Database): void {
  duckdb.close_sync(database.handle);
}

/** All rows of a statement of ours, as plain values: numbers up to 2^53 as numbers, times as ms. */
export async function rowsOf(connection: Connection, sql: string): Promise<Record<string, unknown>[]> {
  const reader = await connection.sql.runAndReadAll(sql);
  return reader
    .getRowObjects()
    .map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plain(value)])));
}

function plain(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "object" && value !== null && "micros" in value) return Number(value.micros) / 1000;
  return value;
}
