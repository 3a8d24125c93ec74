/** Rows as columns: what the writers append to a table, in the order of its columns. */
import { TextColumn } from "../../access/text-column.ts";

export type Column =
  /** ms since the epoch → TIMESTAMP. */
  | { readonly kind: "time"; readonly values: Float64Array }
  | { readonly kind: "u8"; readonly values: Uint8Array }
  /** An ENUM of fewer than 256 values, by position. */
  | { readonly kind: "enum"; readonly values: Uint8Array; readonly names: readonly string[] }
  | { readonly kind: "u16"; readonly values: Uint16Array }
  /** A value equal to `absent` is NULL. */
  | { readonly kind: "u32"; readonly values: Uint32Array; readonly absent?: number }
  /** Whole numbers below 2^53 → UBIGINT, or BIGINT where they may be negative. */
  | { readonly kind: "u64"; readonly values: Float64Array }
  | { readonly kind: "i64"; readonly values: Float64Array }
  | { readonly kind: "boolean"; readonly values: Uint8Array }
  | { readonly kind: "text"; readonly values: readonly string[] }
  | { readonly kind: "texts"; readonly values: TextColumn }
  | { readonly kind: "blob"; readonly values: readonly Uint8Array[] };

export interface Rows {
  /** Of an attached database; undefined: the warehouse itself. */
  readonly catalog?: string;
  readonly table: string;
  readonly columns: readonly Column[];
  readonly length: number;
}

/** Throws when a column is shorter than the rows: the fast writer would read beyond its end. */
export function checkLengths({ table, columns, length }: Rows): void {
  for (const [index, { values }] of columns.entries()) {
    if (!(length <= values.length)) {
      throw new RangeError(`${table}: column ${index} has ${values.length} of ${length} rows`);
    }
  }
}

export function cellOf({ values }: Column, row: number): number | string | Uint8Array | undefined {
  return values instanceof TextColumn ? values.at(row) : values[row];
}
