/**
 * Rows into the memory of DuckDB's vectors, without a value object for each cell. Nothing here is checked by DuckDB: a
 * chunk holds at most 2,048 rows, and a column that is too short would be read beyond its end, so lengths are checked
 * first.
 *
 * A string in a vector is 16 bytes: its length, then up to 12 bytes of it, or the first 4 and a pointer. They are laid
 * out here (`texts`).
 */
import duckdb from "@duckdb/node-bindings";
import { TextColumn } from "../../access/text-column.ts";
import type { Appender, Into, OpenAppend } from "./append.ts";
import { type Column, checkLengths } from "./columns.ts";
import type { Connection } from "./connection.ts";

/** Memory that is used for each chunk again. */
interface Scratch {
  /** Of one vector, at most 16 bytes a row. */
  readonly entries: ArrayBuffer;
  readonly texts: TextColumn;
}

/** STANDARD_VECTOR_SIZE. */
const CHUNK = 2048;
const STRING_BYTES = 16;
const INLINE_BYTES = 12;

/** Of an open append, before DuckDB takes them over: few enough not to block for long, many enough not to pay for each. */
const FLUSH_ROWS = 10 * CHUNK;

export function vectorAppender(): Appender {
  const scratch = { entries: new ArrayBuffer(CHUNK * STRING_BYTES), texts: new TextColumn(CHUNK) };
  const open = (connection: Connection, into: Into): OpenAppend => openAppend(connection, into, scratch);
  return {
    name: "vectors",
    open,
    append(connection, rows) {
      if (rows.length === 0) return;
      const opened = open(connection, rows);
      try {
        opened.add(rows);
      } catch (error) {
        opened.abandon();
        throw error;
      }
      opened.close();
    },
  };
}

function openAppend(connection: Connection, { catalog, table }: Into, scratch: Scratch): OpenAppend {
  const appender = duckdb.appender_create_ext(connection.handle, catalog ?? null, null, table);
  const types = Array.from({ length: duckdb.appender_column_count(appender) }, (_, index) =>
    duckdb.appender_column_type(appender, index),
  );
  const chunk = duckdb.create_data_chunk(types);
  let waiting = 0;
  return {
    add({ columns, length }) {
      checkLengths({ table, columns, length });
      if (types.length !== columns.length) {
        throw new RangeError(`${table}: ${columns.length} columns for a table of ${types.length}`);
      }
      for (let from = 0; from < length; from += CHUNK) {
        const count = Math.min(CHUNK, length - from);
        duckdb.data_chunk_reset(chunk);
        for (const [index, column] of columns.entries()) {
          fill(duckdb.data_chunk_get_vector(chunk, index), column, from, count, scratch);
        }
        duckdb.data_chunk_set_size(chunk, count);
        duckdb.append_data_chunk(appender, chunk);
        waiting += count;
        if (waiting < FLUSH_ROWS) continue;
        duckdb.appender_flush_sync(appender);
        waiting = 0;
      }
    },
    close() {
      try {
        duckdb.appender_flush_sync(appender);
      } catch (error) {
        duckdb.appender_clear(appender);
        throw error;
      } finally {
        duckdb.appender_close_sync(appender);
      }
    },
    abandon() {
      duckdb.appender_clear(appender);
      duckdb.appender_close_sync(appender);
    },
  };
}

function fill(vector: duckdb.Vector, column: Column, from: number, count: number, scratch: Scratch): void {
  switch (column.kind) {
    case "time":
      return words(vector, column.values, from, count, 1000, scratch);
    case "u64":
    case "i64":
      return words(vector, column.values, from, count, 1, scratch);
    case "text":
      for (let row = 0; row < count; row += 1) scratch.texts.set(row, column.values[from + row] as string);
      return texts(vector, scratch.texts, 0, count, scratch);
    case "texts":
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
  { entries }: Scratch,
): void {
  const halves = new Uint32Array(entries, 0, count * 2);
  for (let row = 0; row < count; row += 1) {
    const value = Math.round((values[from + row] as number) * factor);
    const high = Math.floor(value / 0x1_0000_0000);
    halves[row * 2] = value - high * 0x1_0000_0000;
    halves[row * 2 + 1] = high;
  }
  duckdb.copy_data_to_vector(vector, 0, entries, 0, count * 8);
}

function validity(
  vector: duckdb.Vector,
  values: Uint32Array,
  absent: number,
  from: number,
  count: number,
  { entries }: Scratch,
): void {
  const bits = new Uint8Array(entries, 0, CHUNK / 8).fill(0xff);
  let isAny = false;
  for (let row = 0; row < count; row += 1) {
    if (values[from + row] !== absent) continue;
    isAny = true;
    bits[row >> 3] = (bits[row >> 3] as number) & ~(1 << (row & 7));
  }
  if (!isAny) return;
  duckdb.vector_ensure_validity_writable(vector);
  duckdb.copy_data_to_vector_validity(vector, 0, entries, 0, CHUNK / 8);
}

/**
 * The bytes of all texts of the chunk at once, which DuckDB copies to where the vector keeps its strings; where that is
 * stands in the entry that it makes, and the entries of all rows are laid out from there. One call instead of one for
 * each row.
 */
function texts(
  vector: duckdb.Vector,
  column: TextColumn,
  from: number,
  count: number,
  { entries }: Scratch,
): void {
  const bytes = column.bytesOf(from, from + count);
  if (bytes.length <= INLINE_BYTES) {
    for (let row = 0; row < count; row += 1) {
      duckdb.vector_assign_string_element_len(vector, row, column.bytesOf(from + row, from + row + 1));
    }
    return;
  }
  duckdb.vector_assign_string_element_len(vector, 0, bytes);
  const { buffer, byteOffset } = duckdb.vector_get_data(vector, STRING_BYTES);
  const made = new DataView(buffer, byteOffset, STRING_BYTES);
  const low = made.getUint32(8, true);
  const high = made.getUint32(12, true);
  const words = new Uint32Array(entries, 0, count * 4);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const start = column.startOf(from);
  let at = 0;
  for (let row = 0; row < count; row += 1) {
    const end = (column.ends[from + row] as number) - start;
    const length = end - at;
    const word = row * 4;
    words[word] = length;
    words[word + 1] = fourBytes(view, at, length);
    if (length <= INLINE_BYTES) {
      words[word + 2] = fourBytes(view, at + 4, length - 4);
      words[word + 3] = fourBytes(view, at + 8, length - 8);
    } else {
      const address = low + at;
      words[word + 2] = address;
      words[word + 3] = address > 0xffff_ffff ? high + 1 : high;
    }
    at = end;
  }
  duckdb.copy_data_to_vector(vector, 0, entries, 0, count * STRING_BYTES);
}

/** The next four bytes as DuckDB reads a number, zeros beyond the end. */
function fourBytes(view: DataView, at: number, left: number): number {
  if (left >= 4) return view.getUint32(at, true);
  let word = 0;
  for (let index = 0; index < left; index += 1) word |= view.getUint8(at + index) << (8 * index);
  return word;
}
