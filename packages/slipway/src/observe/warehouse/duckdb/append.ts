/**
 * Appends rows to a table inside the open transaction. Two ways to do it: the memory of DuckDB's vectors is filled
 * directly (`vectors.ts`, half of the time of the other), or by the library's own writer of chunks. The first relies on
 * how DuckDB lays out strings, so it is tried at the start and left alone when what comes back is not what went in.
 */
import type { Rows } from "./columns.ts";
import type { Connection } from "./connection.ts";

/** `catalog`: of an attached database; undefined: the warehouse itself. */
export type Into = Pick<Rows, "catalog" | "table">;

export interface Appender {
  readonly name: "vectors" | "chunks";
  /** Returns when the rows are in the transaction; blocks. */
  append(connection: Connection, rows: Rows): void;
  /** For many batches into one table: each time that DuckDB takes rows over it makes a statement of it. */
  open(connection: Connection, into: Into): OpenAppend;
}

export interface OpenAppend {
  /** Takes the rows; when they reach the transaction is decided here. Blocks. */
  add(rows: Omit<Rows, keyof Into>): void;
  /** All rows that were added are in the transaction. */
  close(): void;
  /** Rows that are not in the transaction yet are forgotten. */
  abandon(): void;
}
