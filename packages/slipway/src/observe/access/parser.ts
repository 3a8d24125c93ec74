/**
 * Bytes of one stream → requests, log lines and quarantine. It keeps what is not whole yet (the last line, CRI parts) and
 * says up to which position everything is in batches, so that rows and offset can be committed together:
 *
 *   const parser = new LineParser(stream, context, warehouse.offsetOf(stream.key));
 *   for (let at = 0; at < chunk.length; ) {
 *     at += parser.feed(chunk.subarray(at), batch);        // takes fewer bytes than it was given when the batch is full
 *     if (hasNoRoom(batch)) await commit({ lines: batch, offsets: parser.offsets() });
 *   }
 *
 * Lines in = access + logs + quarantine, always; a line that came in parts is one. When a file was rotated away: feed it
 * to its end, then make the next file's parser with this one as `previous`. When no file follows: `end(batch)`.
 */
import { isAscii } from "node:buffer";
import { assert } from "@slipway/base";
import type { StreamOffset } from "../warehouse/warehouse.ts";
import { AccessBatch, type LineBatch } from "./batch.ts";
import type { ParseContext } from "./context.ts";
import { CriPrefix } from "./cri.ts";
import { type LineOrigin, LineReader } from "./line-reader.ts";
import type { StreamKey } from "./source.ts";
import { Times } from "./time.ts";

/**
 * Text of one decoding. Beyond 128 kB V8 gives each string pages of its own from the system, beyond 1 MB it keeps it
 * outside of its heap; both cost more than the parsing.
 */
const WINDOW_BYTES = 65_536;
/** A usual line is read to its end where that is so little behind the window. */
const BEYOND_BYTES = 4096;
/** Lines of a window that are no usual requests, before all of it is made a text for the others. */
const LINES_ALONE = 16;
/** A longer line is quarantined as `too-long`, with its beginning. */
export const MAX_LINE_BYTES = 262_144;
const KEPT_OF_TOO_LONG = 65_536;
/** Lines held back until one that began before them is whole. */
const MAX_HELD = 64;
export const MIN_CAPACITY = 2 * MAX_HELD;

const NEWLINE = 10;
const CARRIAGE_RETURN = 13;

export function newLineBatch(capacity: number): LineBatch {
  assert(capacity >= MIN_CAPACITY, `a batch has room for at least ${MIN_CAPACITY} lines`);
  return { access: new AccessBatch(capacity), logs: [], quarantine: [], read: 0 };
}

export function clearLineBatch(batch: LineBatch): void {
  batch.access.clear();
  batch.logs.length = 0;
  batch.quarantine.length = 0;
  batch.read = 0;
}

const linesIn = (batch: LineBatch): number =>
  batch.access.length + batch.logs.length + batch.quarantine.length;

/** A parser takes no further line: time to commit. */
export function hasNoRoom(batch: LineBatch): boolean {
  return linesIn(batch) + MAX_HELD + 1 >= batch.access.capacity;
}

export interface LineCounts {
  lines: number;
  access: number;
  logs: number;
  quarantine: number;
}

/** A line that waits for its end, or for the end of one before it. */
interface HeldLine {
  /** Index into `#files` of the file that it began in. */
  readonly file: number;
  readonly position: number;
  readonly isStderr: boolean;
  readonly ts: number;
  readonly parts: Buffer[];
  bytes: number;
  isWhole: boolean;
  /** Why it goes to quarantine, if that is clear already. */
  readonly problem: string | undefined;
}

/** Files that one run of lines went through by rotation; the last one is this parser's own. */
interface File {
  readonly key: string;
  /** Where its reading began. */
  readonly start: number;
  /** All bytes before it were fed. */
  read: number;
}

export class LineParser {
  readonly stream: StreamKey;
  readonly counts: LineCounts = { lines: 0, access: 0, logs: 0, quarantine: 0 };
  readonly #context: ParseContext;
  readonly #reader: LineReader;
  readonly #times = new Times();
  readonly #cri = new CriPrefix();
  readonly #origin: LineOrigin = {
    bytes: Buffer.alloc(0),
    start: 0,
    end: 0,
    position: 0,
  };
  readonly #files: readonly File[];
  readonly #file: File;
  /** The line that has no end yet, as far as it is kept, and all its bytes. */
  #rest: Buffer[] = [];
  #restBytes = 0;
  #held: HeldLine[] = [];

  /**
   * `position`: of the first byte that will be fed. `previous`: the parser of the file that was rotated away, fed to its
   * end; a CRI line of which it has only parts is expected to end in this file.
   */
  constructor(stream: StreamKey, context: ParseContext, position: number, previous?: LineParser) {
    this.stream = stream;
    this.#context = context;
    this.#reader = new LineReader(stream.labels, context);
    this.#file = { key: stream.key, start: position, read: position };
    if (previous === undefined || previous.#held.length === 0) {
      this.#files = [this.#file];
      return;
    }
    this.#files = [...previous.#files, this.#file];
    this.#held = previous.#held;
    previous.#held = [];
  }

  /** Name of the text format that was found; JSON needs none. */
  get format(): string | undefined {
    return this.#reader.format;
  }

  /**
   * How far everything is in batches, to be committed with them: the lines before are in a batch, none behind is. Of
   * files that were rotated away as well, while a line that began there was not whole.
   */
  offsets(): readonly StreamOffset[] {
    const [first] = this.#held;
    return this.#files.map((file, index) => {
      const isAfter = first !== undefined && index > first.file;
      const isWithin = first !== undefined && index === first.file;
      const isOwn = file === this.#file;
      const end = file.read - (isOwn ? this.#restBytes : 0);
      return { stream: file.key, position: isAfter ? file.start : isWithin ? first.position : end };
    });
  }

  /** Takes whole lines while the batch has room and answers how many bytes it took: all of them unless it is full. */
  feed(chunk: Buffer, batch: LineBatch): number {
    return this.#counting(batch, () => {
      let at = 0;
      while (at < chunk.length && !hasNoRoom(batch)) {
        if (this.#restBytes > 0) at += this.#feedRest(chunk, at, batch);
        else at += this.#feedWindow(chunk, at, batch);
      }
      return at;
    });
  }

  /** No further byte will come: what has no end is a line as it is. The batch must have room. */
  end(batch: LineBatch): void {
    assert(!hasNoRoom(batch), "the last lines of a stream need room in the batch");
    this.#counting(batch, () => {
      if (this.#restBytes > 0) this.#takeRest(batch);
      this.#endHeld();
      this.#release(batch);
    });
  }

  /** Up to the end of the line that began in an earlier chunk. */
  #feedRest(chunk: Buffer, at: number, batch: LineBatch): number {
    const newline = chunk.indexOf(NEWLINE, at);
    const part = chunk.subarray(at, newline < 0 ? chunk.length : newline);
    this.#keepRest(part);
    this.#file.read += part.length;
    if (newline < 0) return part.length;
    this.#takeRest(batch);
    this.#file.read += 1;
    return part.length + 1;
  }

  #keepRest(part: Buffer): void {
    // A copy: the chunk is its reader's, who may use it again. One byte more than is allowed shows that it is too long.
    const room = MAX_LINE_BYTES + 1 - this.#restBytes;
    if (room > 0 && part.length > 0) this.#rest.push(Buffer.from(part.subarray(0, room)));
    this.#restBytes += part.length;
  }

  #takeRest(batch: LineBatch): void {
    const bytes = this.#rest.length === 1 ? (this.#rest[0] as Buffer) : Buffer.concat(this.#rest);
    const position = this.#file.read - this.#restBytes;
    this.#rest = [];
    this.#restBytes = 0;
    this.#takeBytes(bytes, position, batch);
  }

  /** One line whose bytes stand alone. */
  #takeBytes(bytes: Buffer, position: number, batch: LineBatch): void {
    const text = isAscii(bytes) ? bytes.toString("latin1") : bytes.toString("utf8");
    this.#context.texts.newText();
    this.#setOrigin(bytes, 0, bytes.length, position);
    this.#takeLine(text, 0, text.length, batch);
  }

  /** The lines that begin within a window of the chunk, but the last one where only the next window has its end. */
  #feedWindow(chunk: Buffer, from: number, batch: LineBatch): number {
    const window = chunk.subarray(from, from + WINDOW_BYTES);
    const viewed = chunk.subarray(from, from + WINDOW_BYTES + BEYOND_BYTES);
    const view = new DataView(viewed.buffer, viewed.byteOffset, viewed.length);
    const isPlainFraming = this.stream.framing === "plain";
    const base = this.#file.read;
    let alone = isPlainFraming ? LINES_ALONE : 0;
    let text: string | undefined;
    let isPlain = false;
    let at = 0;
    while (at < window.length && !hasNoRoom(batch)) {
      const usual = isPlainFraming ? this.#reader.takeUsual(view, at, batch) : -1;
      if (usual >= 0) {
        this.counts.lines += 1;
        at = usual + 1;
        continue;
      }
      const newline = window.indexOf(NEWLINE, at);
      if (newline < 0) {
        if (at > 0 && viewed.length > window.length) break;
        this.#keepRest(window.subarray(at));
        at = window.length;
        break;
      }
      if (text === undefined && alone === 0) {
        text = window.toString("latin1");
        isPlain = isAscii(window);
        this.#context.texts.newText();
      }
      if (text !== undefined && (isPlain || isAscii(window.subarray(at, newline)))) {
        this.#setOrigin(window, at, newline, base + at);
        this.#takeLine(text, at, newline, batch, view);
      } else {
        alone -= 1;
        this.#takeBytes(window.subarray(at, newline), base + at, batch);
        this.#context.texts.newText();
      }
      at = newline + 1;
    }
    this.#file.read = base + at;
    return at;
  }

  #setOrigin(bytes: Buffer, start: number, end: number, position: number): void {
    const origin = this.#origin;
    origin.bytes = bytes;
    origin.start = start;
    origin.end = end;
    origin.position = position;
  }

  /** `view`: the bytes at the same positions as the text, if there is such. */
  #takeLine(text: string, start: number, end: number, batch: LineBatch, view?: DataView): void {
    if (this.#origin.end - this.#origin.start > MAX_LINE_BYTES) {
      this.#refuse("too-long", Number.NaN, batch);
      return;
    }
    if (this.stream.framing === "plain") {
      this.#takeMessage(text, start, end, Number.NaN, false, batch);
      return;
    }
    const cri = this.#cri;
    if (!cri.read(this.#times, text, start, end)) this.#refuse("cri", Number.NaN, batch);
    else if (cri.isPartial || this.#held.length > 0) this.#hold(start, batch);
    else if (view !== undefined && this.#reader.takeUsual(view, cri.start, batch) >= 0)
      this.counts.lines += 1;
    else this.#takeMessage(text, cri.start, end, cri.ts, cri.isStderr, batch);
  }

  #takeMessage(
    text: string,
    start: number,
    end: number,
    ts: number,
    isStderr: boolean,
    batch: LineBatch,
  ): void {
    const isCrLf = end > start && text.charCodeAt(end - 1) === CARRIAGE_RETURN;
    this.counts.lines += 1;
    this.#reader.take(text, start, isCrLf ? end - 1 : end, ts, isStderr, this.#origin, batch);
  }

  #refuse(problem: string, ts: number, batch: LineBatch): void {
    const { bytes, start, end, position } = this.#origin;
    const kept = bytes.subarray(start, Math.min(end, start + KEPT_OF_TOO_LONG));
    if (this.#held.length > 0) {
      const file = this.#files.length - 1;
      const parts = [Buffer.from(kept)];
      this.#held.push({
        file,
        position,
        isStderr: false,
        ts,
        parts,
        bytes: kept.length,
        isWhole: true,
        problem,
      });
      this.#releaseWhole(batch);
      return;
    }
    this.#setOrigin(kept, 0, kept.length, position);
    this.counts.lines += 1;
    this.#reader.quarantine(problem, ts, this.#origin, batch);
  }

  /** Adds the line to those that wait; of one stream at most one is not whole. */
  #hold(lineStart: number, batch: LineBatch): void {
    const { isPartial, isStderr, start, ts } = this.#cri;
    const { bytes, end, position } = this.#origin;
    let line = this.#held.find((held) => !held.isWhole && held.isStderr === isStderr);
    if (line === undefined) {
      line = {
        file: this.#files.length - 1,
        position,
        isStderr,
        ts,
        parts: [],
        bytes: 0,
        isWhole: false,
        problem: undefined,
      };
      this.#held.push(line);
    }
    // What stands before the text is ASCII, so characters are bytes.
    const part = bytes.subarray(this.#origin.start + start - lineStart, end);
    const room = MAX_LINE_BYTES + 1 - line.bytes;
    if (room > 0) line.parts.push(Buffer.from(part.subarray(0, room)));
    line.bytes += part.length;
    if (!isPartial) line.isWhole = true;
    this.#releaseWhole(batch);
  }

  #releaseWhole(batch: LineBatch): void {
    // Its end may have been lost with a node; the others cannot wait for ever.
    if (this.#held.length > MAX_HELD) this.#endHeld();
    // All or none: a line's last part may stand behind the beginning of one that is not whole, and no offset says that.
    if (this.#held.every((held) => held.isWhole)) this.#release(batch);
  }

  #endHeld(): void {
    for (const line of this.#held) line.isWhole = true;
  }

  #release(batch: LineBatch): void {
    const held = this.#held;
    this.#held = [];
    for (const line of held) {
      const bytes = Buffer.concat(line.parts);
      this.#setOrigin(bytes, 0, bytes.length, line.position);
      this.#context.texts.newText();
      const problem = line.bytes > MAX_LINE_BYTES ? "too-long" : line.problem;
      if (problem !== undefined) this.#refuse(problem, line.ts, batch);
      else {
        const text = isAscii(bytes) ? bytes.toString("latin1") : bytes.toString("utf8");
        this.#takeMessage(text, 0, text.length, line.ts, line.isStderr, batch);
      }
    }
    this.#context.texts.newText();
  }

  /** Adds what the work put into the batch. */
  #counting<T>(batch: LineBatch, work: () => T): T {
    const { counts } = this;
    counts.access -= batch.access.length;
    counts.logs -= batch.logs.length;
    counts.quarantine -= batch.quarantine.length;
    const before = counts.lines;
    const result = work();
    counts.access += batch.access.length;
    counts.logs += batch.logs.length;
    counts.quarantine += batch.quarantine.length;
    batch.read = (batch.read ?? 0) + counts.lines - before;
    return result;
  }
}
