/**
 * Appends rows to a table inside the open transaction. Two ways to do it: the memory of DuckDB's vectors is filled
 * directly (`vectors.ts`, half of the time of the other), or by the library's own writer of chunks. The first relies on
 * how DuckDB lays out strings, so it is tried at the start and left alone when what comes back is not what went in.
 */
import type { Rows } from "./columns.ts";
import type { Connection } from "./connection.ts";

export interface Appender {
  readonly name: "vectors" | "chunks";
  /** Returns when the rows are in the transaction; blocks. */
  append(connection: Connection, rows: Rows): void;
}
