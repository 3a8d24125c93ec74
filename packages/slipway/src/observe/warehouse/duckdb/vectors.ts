/**
 * Rows into the memory of DuckDB's vectors, without a value object for each cell. Nothing here is checked by DuckDB: a
 * chunk holds at most 2,048 rows, and a column that is too short would be read beyond its end, so lengths are checked
 * first.
 *
 * A string in a vector is 16 bytes: its length, then up to 12 bytes of it, or the first 4 and a pointer. The short ones
 * are laid out here; DuckDB stores the longer ones, one call for each.
 */
import duckdb from "@duckdb/node-bindings";
import type { Appender } from "./append.ts";
import { type Column, checkLengths, type Rows } from "./columns.ts";
import type { Connection } from "./connection.ts";

/** STANDARD_VECTOR_SIZE. */
const CHUNK = 2048;
const STRING_BYTES = 16;
const INLINE_BYTES = 12;

export function vectorAppender(): Appender {
  const scratch = new ArrayBuffer(CHUNK * STRING_BYTES);
  return {
    name: "vectors",
    append(connection, rows) {
      if (rows.length === 0) return;
      checkLengths(rows);
      appendAll(connection, rows, scratch);
    },
  };
}

function appendAll(
  connection: Connection,
  { catalog, table, columns, length }: Rows,
  scratch: ArrayBuffer,
): void {
  const appender = duckdb.appender_create_ext(connection.handle, catalog ?? null, null, table);
  try {
    const types = columns.map((_, index) => duckdb.appender_column_type(appender, index));
    if (duckdb.appender_column_count(appender) !== columns.length) {
      throw new RangeError(`${table}: ${columns.length} columns for a table of ${types.length}`);
    }
    const chunk = duckdb.create_data_chunk(types);
    for (let from = 0; from < length; from += CHUNK) {
      const count = Math.min(CHUNK, length - from);
      duckdb.data_chunk_reset(chunk);
      for (const [index, column] of columns.entries()) {
        fill(duckdb.data_chunk_get_vector(chunk, index), column, from, count, scratch);
      }
      duckdb.data_chunk_set_size(chunk, count);
      duckdb.append_data_chunk(appender, chunk);
    }
  } catch (error) {
    duckdb.appender_clear(appender);
    throw error;
  } finally {
    duckdb.appender_close_sync(appender);
  }
}

function fill(
  vector: duckdb.Vector,
  column: Column,
  from: number,
  count: number,
  scratch: ArrayBuffer,
): void {
  switch (column.kind) {
    case "time":
      return words(vector, column.values, from, count, 1000, scratch);
    case "u64":
    case "i64":
      return words(vector, column.values, from, count, 1, scratch);
    case "text":
      return texts(vector, column.values, from, count, scratch);
    case "blob":
      for (let row = 0; row < count; row += 1) {
        duckdb.vector_assign_string_element_len(vector, row, column.values[from + row] as Uint8Array);
      }
      return;
    case "u32":
      copy(vector, column.values, from, count);
      if (column.absent !== undefined) validity(vector, column.values, column.absent, from, count, scratch);
      return;
    default:
      return copy(vector, column.values, from, count);
  }
}

function copy(
  vector: duckdb.Vector,
  values: Uint8Array | Uint16Array | Uint32Array,
  from: number,
  count: number,
): void {
  const bytes = values.BYTES_PER_ELEMENT;
  duckdb.copy_data_to_vector(
    vector,
    0,
    values.buffer as ArrayBuffer,
    values.byteOffset + from * bytes,
    count * bytes,
  );
}

/** Whole numbers as 64 bits in two halves: a BigInt for each would cost more than all the rest. */
function words(
  vector: duckdb.Vector,
  values: Float64Array,
  from: number,
  count: number,
  factor: number,
  scratch: ArrayBuffer,
): void {
  const halves = new Uint32Array(scratch, 0, count * 2);
  for (let row = 0; row < count; row += 1) {
    const value = Math.round((values[from + row] as number) * factor);
    const high = Math.floor(value / 0x1_0000_0000);
    halves[row * 2] = value - high * 0x1_0000_0000;
    halves[row * 2 + 1] = high;
  }
  duckdb.copy_data_to_vector(vector, 0, scratch, 0, count * 8);
}

function validity(
  vector: duckdb.Vector,
  values: Uint32Array,
  absent: number,
  from: number,
  count: number,
  scratch: ArrayBuffer,
): void {
  const bits = new Uint8Array(scratch, 0, CHUNK / 8).fill(0xff);
  let isAny = false;
  for (let row = 0; row < count; row += 1) {
    if (values[from + row] !== absent) continue;
    isAny = true;
    bits[row >> 3] = (bits[row >> 3] as number) & ~(1 << (row & 7));
  }
  if (!isAny) return;
  duckdb.vector_ensure_validity_writable(vector);
  duckdb.copy_data_to_vector_validity(vector, 0, scratch, 0, CHUNK / 8);
}

function texts(
  vector: duckdb.Vector,
  values: readonly string[],
  from: number,
  count: number,
  scratch: ArrayBuffer,
): void {
  const bytes = new Uint8Array(scratch, 0, count * STRING_BYTES).fill(0);
  const long: number[] = [];
  for (let row = 0; row < count; row += 1) {
    const value = values[from + row] as string;
    if (!layOut(bytes, row * STRING_BYTES, value)) long.push(row);
  }
  duckdb.copy_data_to_vector(vector, 0, scratch, 0, count * STRING_BYTES);
  for (const row of long) duckdb.vector_assign_string_element(vector, row, values[from + row] as string);
}

/** False when it is not short, or not plain ASCII; what was begun is then taken back. */
function layOut(bytes: Uint8Array, at: number, value: string): boolean {
  if (value.length > INLINE_BYTES) return false;
  for (let index = 0; index < value.length; index += 1) {
    const code = value.charCodeAt(index);
    if (code > 0x7f) {
      bytes.fill(0, at, at + STRING_BYTES);
      return false;
    }
    bytes[at + 4 + index] = code;
  }
  bytes[at] = value.length;
  return true;
}
