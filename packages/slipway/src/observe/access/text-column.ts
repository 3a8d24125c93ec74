/**
 * The texts of a column as UTF-8, one behind the other. Copying the bytes of an address or a path costs less than a
 * string for each, which would keep the text alive that it was cut from, and the warehouse takes them as they are.
 */

/** Room for a text of usual length; it grows. */
const BYTES_PER_ROW = 48;
/** A copy is made so many bytes at a time. */
const STRIDE = 16;

export class TextColumn {
  /** Behind each text's last byte the next one's begin. Valid up to the last row that was set. */
  readonly ends: Uint32Array;
  #bytes: Buffer;
  #view: DataView;

  constructor(rows: number) {
    this.ends = new Uint32Array(rows);
    this.#bytes = Buffer.alloc(rows * BYTES_PER_ROW + STRIDE);
    this.#view = viewOf(this.#bytes);
  }

  /** Rows that there is place for. */
  get length(): number {
    return this.ends.length;
  }

  startOf(row: number): number {
    return row === 0 ? 0 : (this.ends[row - 1] as number);
  }

  at(row: number): string {
    return this.#bytes.toString("utf8", this.startOf(row), this.ends[row]);
  }

  /** Of the rows from `from` up to `to`; valid until the next row is set. */
  bytesOf(from: number, to: number): Buffer {
    return this.#bytes.subarray(this.startOf(from), this.startOf(to));
  }

  /** Rows are set in their order, from 0 on. */
  set(row: number, text: string): void {
    const start = this.startOf(row);
    this.#reserve(start + text.length * 3);
    this.ends[row] = start + this.#bytes.write(text, start, "utf8");
  }

  /** The bytes of `view` from `from` to `to`, behind which it has at least 15 more. */
  setBytes(row: number, view: DataView, from: number, to: number): void {
    const start = this.startOf(row);
    const shift = start - from;
    this.#reserve(to + shift);
    const target = this.#view;
    for (let at = from; at < to; at += STRIDE) {
      const into = at + shift;
      target.setInt32(into, view.getInt32(at, true), true);
      target.setInt32(into + 4, view.getInt32(at + 4, true), true);
      target.setInt32(into + 8, view.getInt32(at + 8, true), true);
      target.setInt32(into + 12, view.getInt32(at + 12, true), true);
    }
    this.ends[row] = to + shift;
  }

  #reserve(end: number): void {
    if (end + STRIDE <= this.#bytes.length) return;
    const grown = Buffer.alloc(Math.max(this.#bytes.length * 2, end + STRIDE));
    this.#bytes.copy(grown);
    this.#bytes = grown;
    this.#view = viewOf(grown);
  }
}

const viewOf = ({ buffer, byteOffset, length }: Buffer): DataView => new DataView(buffer, byteOffset, length);
