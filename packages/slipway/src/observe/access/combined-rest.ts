/** What stands behind `combined` in a line: times, and values that are passed over. See `CombinedLines`. */
import { NO_TIME } from "./batch.ts";
import { COMBINED_FIELDS, FIELD, type Step } from "./format.ts";

const NEWLINE = 10;
const CARRIAGE_RETURN = 13;
const SPACE = 32;
const QUOTE = 34;
const COMMA = 44;
const DASH = 45;
const DOT = 46;
const COLON = 58;

/** Its answer stands in its fields until the next call. */
export class CombinedRest {
  time = NO_TIME;
  upstreamTime = NO_TIME;
  attempts = 0;
  /** Where the last value ended. */
  #next = 0;

  /**
   * From the user agent's closing quote on. Answers where the line's newline is; -1 when the line is not as expected, or
   * ends beyond `limit`.
   */
  read(steps: readonly Step[], view: DataView, start: number, limit: number): number {
    this.time = NO_TIME;
    this.upstreamTime = NO_TIME;
    this.attempts = 0;
    let at = afterLiteral((steps[COMBINED_FIELDS - 1] as Step).literal, view, start);
    for (let index = COMBINED_FIELDS; index < steps.length; index += 1) {
      if (at < 0 || at > limit) return -1;
      const step = steps[index] as Step;
      if (step.field === FIELD.requestTime) this.time = this.#milliseconds(view, at);
      else if (step.field === FIELD.upstreamTime) this.#upstreams(view, at);
      else this.#pass(step, view, at, limit);
      if (this.#next < 0) return -1;
      at = afterLiteral(step.literal, view, this.#next);
    }
    if (at < 0 || at > limit) return -1;
    if (view.getUint8(at) === CARRIAGE_RETURN) at += 1;
    return view.getUint8(at) === NEWLINE ? at : -1;
  }

  /** The sum of a list like `0.001, 0.003`; none of it for `-`. Lists with a `-` or ` : ` in them are seldom. */
  #upstreams(view: DataView, start: number): void {
    this.upstreamTime = this.#milliseconds(view, start);
    if (this.upstreamTime === NO_TIME) {
      if (isSeparator(view, this.#next)) this.#next = -1;
      return;
    }
    this.attempts = 1;
    while (this.#next >= 0 && isSeparator(view, this.#next)) {
      const isSimple = view.getUint8(this.#next) === COMMA && view.getUint8(this.#next + 1) === SPACE;
      const item = isSimple && this.attempts < MAX_ITEMS ? this.#milliseconds(view, this.#next + 2) : NO_TIME;
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
    const a = view.getUint8(at + 1) - 48;
    const b = view.getUint8(at + 2) - 48;
    const c = view.getUint8(at + 3) - 48;
    const behind = view.getUint8(at + 4) - 48;
    const isUsual = at > start && view.getUint8(at) === DOT && isDigit(a) && isDigit(b) && isDigit(c);
    this.#next = isUsual && !isDigit(behind) ? at + 4 : -1;
    return seconds * 1000 + a * 100 + b * 10 + c;
  }

  /** Up to where the literal may begin; not over what is not printable ASCII, nor over the separators of a list. */
  #pass({ literal, isList }: Step, view: DataView, start: number, limit: number): void {
    const stop = literal === "" ? NEWLINE : literal.charCodeAt(0);
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

const isDigit = (value: number): boolean => value >= 0 && value <= 9;

/** Of a list: `, ` or ` : `. */
function isSeparator(view: DataView, at: number): boolean {
  const code = view.getUint8(at);
  return code === COMMA || (code === SPACE && view.getUint8(at + 1) === COLON);
}

/** Behind the literal at `at`; -1 when it is not there. */
function afterLiteral(literal: string, view: DataView, at: number): number {
  if (at + literal.length > view.byteLength) return -1;
  for (let index = 0; index < literal.length; index += 1) {
    if (view.getUint8(at + index) !== literal.charCodeAt(index)) return -1;
  }
  return at + literal.length;
}
