/** What stands behind `combined` in a line: times, and values that are passed over. See `CombinedLines`. */
import { NO_TIME } from "./batch.ts";
import { COMBINED_FIELDS, FIELD, type Step } from "./format.ts";

const NEWLINE = 10;
const CARRIAGE_RETURN = 13;
const SPACE = 32;
const QUOTE = 34;
const COMMA = 44;
const DASH = 45;
const COLON = 58;

/** One value and the text behind it. */
interface Part {
  readonly kind: "time" | "upstreamTime" | "other";
  readonly literal: Literal;
  readonly isList: boolean;
}

/** Its answer stands in its fields until the next call. */
export class CombinedRest {
  time = NO_TIME;
  upstreamTime = NO_TIME;
  attempts = 0;
  readonly #afterUserAgent: Literal;
  readonly #parts: readonly Part[];
  /** Where the last value ended. */
  #next = 0;

  constructor(steps: readonly Step[]) {
    this.#afterUserAgent = literalOf((steps[COMBINED_FIELDS - 1] as Step).literal);
    this.#parts = steps.slice(COMBINED_FIELDS).map(({ field, literal, isList }) => ({
      kind: field === FIELD.requestTime ? "time" : field === FIELD.upstreamTime ? "upstreamTime" : "other",
      literal: literalOf(literal),
      isList,
    }));
  }

  /**
   * From the user agent's closing quote on. Answers where the line's newline is; -1 when the line is not as expected, or
   * ends beyond `limit`.
   */
  read(view: DataView, start: number, limit: number): number {
    this.time = NO_TIME;
    this.upstreamTime = NO_TIME;
    this.attempts = 0;
    const parts = this.#parts;
    let at = afterLiteral(this.#afterUserAgent, view, start);
    for (let index = 0; index < parts.length; index += 1) {
      if (at < 0 || at > limit) return -1;
      const { isList, kind, literal } = parts[index] as Part;
      if (kind === "time") this.time = this.#milliseconds(view, at);
      else if (kind === "upstreamTime") this.#upstreams(view, at);
      else this.#pass(literal, isList, view, at, limit);
      if (this.#next < 0) return -1;
      at = afterLiteral(literal, view, this.#next);
    }
    if (at < 0 || at > limit) return -1;
    if (view.getUint8(at) === CARRIAGE_RETURN) at += 1;
    return view.getUint8(at) === NEWLINE ? at : -1;
  }

  /** The sum of a list like `0.001, 0.003 : 0.002`; none of it for `-`. Lists with a `-` in them are seldom. */
  #upstreams(view: DataView, start: number): void {
    this.upstreamTime = this.#milliseconds(view, start);
    if (this.upstreamTime === NO_TIME) {
      if (isSeparator(view, this.#next)) this.#next = -1;
      return;
    }
    this.attempts = 1;
    while (this.#next >= 0 && isSeparator(view, this.#next)) {
      const separator = simpleSeparator(view, this.#next);
      const isSimple = separator > 0 && this.attempts < MAX_ITEMS;
      const item = isSimple ? this.#milliseconds(view, this.#next + separator) : NO_TIME;
      if (item === NO_TIME) this.#next = -1;
      this.upstreamTime += item;
      this.attempts += 1;
    }
  }

  /** `1.234` → 1234; `-` or nothing before a quote → NO_TIME. */
  #milliseconds(view: DataView, start: number): number {
    const first = view.getUint8(start);
    if (first === DASH || first === QUOTE) {
      this.#next = first === DASH ? start + 1 : start;
      return NO_TIME;
    }
    let seconds = 0;
    let at = start;
    for (; at < start + MAX_SECONDS; at += 1) {
      const digit = view.getUint8(at) - 48;
      if (digit < 0 || digit > 9) break;
      seconds = seconds * 10 + digit;
    }
    // `.234`: digits with their upper halves taken off; what is left of another byte is more than 9.
    const digits = view.getInt32(at, true) ^ 0x3030302e;
    const behind = view.getUint8(at + 4) - 48;
    const isUsual =
      at > start && ((digits | (digits + 0x06060600)) & 0xf0f0f0ff) === 0 && (behind < 0 || behind > 9);
    this.#next = isUsual ? at + 4 : -1;
    return seconds * 1000 + ((digits >> 8) & 15) * 100 + ((digits >> 16) & 15) * 10 + (digits >>> 24);
  }

  /** Up to where the literal may begin; not over what is not printable ASCII, nor over the separators of a list. */
  #pass({ bytes }: Literal, isList: boolean, view: DataView, start: number, limit: number): void {
    const stop = bytes[0] ?? NEWLINE;
    let at = start;
    let code = view.getUint8(at);
    while (code !== stop && code >= SPACE && code < 127 && at < limit) {
      at += 1;
      code = view.getUint8(at);
    }
    const isEnd = code === stop || (stop === NEWLINE && code === CARRIAGE_RETURN);
    const isInList = isList && stop === SPACE && (view.getUint8(at - 1) === COMMA || isSeparator(view, at));
    this.#next = isEnd && !isInList ? at : -1;
  }
}

const MAX_ITEMS = 4;
const MAX_SECONDS = 6;

/** Of a list: `, ` or ` : `. */
function isSeparator(view: DataView, at: number): boolean {
  const code = view.getUint8(at);
  return code === COMMA || (code === SPACE && view.getUint8(at + 1) === COLON);
}

/** `, ` or ` : `: its length; 0 for another way to write them. */
function simpleSeparator(view: DataView, at: number): number {
  const next = view.getUint8(at + 1);
  if (view.getUint8(at) === COMMA) return next === SPACE ? 2 : 0;
  return next === COLON && view.getUint8(at + 2) === SPACE ? 3 : 0;
}

/** Its first four bytes are compared at once; most literals have no more. */
interface Literal {
  readonly bytes: Uint8Array;
  readonly length: number;
  readonly word: number;
  /** Of those of the four bytes that are its own. */
  readonly mask: number;
}

function literalOf(text: string): Literal {
  const bytes = Buffer.from(text, "latin1");
  const four = Buffer.alloc(4);
  bytes.copy(four);
  const mask = Buffer.alloc(4).fill(0xff, 0, Math.min(4, bytes.length));
  return { bytes, length: bytes.length, word: four.readInt32LE(), mask: mask.readInt32LE() };
}

/** Behind the literal at `at`, which has at least 4 bytes behind it; -1 when it is not there. */
function afterLiteral({ bytes, length, mask, word }: Literal, view: DataView, at: number): number {
  if ((view.getInt32(at, true) & mask) !== word || at + length > view.byteLength) return -1;
  for (let index = 4; index < length; index += 1) {
    if (view.getUint8(at + index) !== bytes[index]) return -1;
  }
  return at + length;
}
