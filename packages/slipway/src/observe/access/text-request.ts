/**
 * Reads a request from a line with a compiled log_format. This is the hot path: `indexOf` for text of unknown length,
 * `charCodeAt` for numbers, nothing else. Most lines are read by `CombinedLines` at half the cost.
 */
import { NO_TIME } from "./batch.ts";
import { FIELD, type Step, type TextFormat } from "./format.ts";
import { methodId, protocolId, RequestLine } from "./request-line.ts";
import type { Row } from "./row.ts";
import { LOCAL_TIME_LENGTH, type Times } from "./time.ts";

const SPACE = 32;
const COMMA = 44;
const DASH = 45;
const DOT = 46;
const COLON = 58;

/** `format`: the line has not this shape. The others: it has, and that field cannot be what it should be. */
export type TextProblem = "" | "format" | "time" | "status" | "bytes" | "duration";

export class TextRequests {
  readonly #request = new RequestLine();
  /** Counts the texts that lines are in; see `Step.searched`. */
  #text = 0;
  /** Where the last number ended. */
  #next = 0;
  #items = 0;

  /** To be called when positions begin to mean another text. */
  newText(): void {
    this.#text += 1;
  }

  /** Fills the row; "" when it did. */
  read(format: TextFormat, times: Times, text: string, start: number, end: number, row: Row): TextProblem {
    row.reset();
    if (format.prefix !== "" && !text.startsWith(format.prefix, start)) return "format";
    return this.readFrom(format, 0, times, text, start + format.prefix.length, end, row);
  }

  /** The same from the variable `first` on, whose value begins at `start`; the row has what came before. */
  readFrom(
    { steps }: TextFormat,
    first: number,
    times: Times,
    text: string,
    start: number,
    end: number,
    row: Row,
  ): TextProblem {
    let at = start;
    let query = "";
    for (let index = first; index < steps.length; index += 1) {
      const step = steps[index] as Step;
      const { field, literal } = step;
      let stop: number;
      switch (field) {
        case FIELD.localTime:
          stop = at + LOCAL_TIME_LENGTH;
          if (stop > end) return "format";
          row.ts = times.local(text, at);
          if (Number.isNaN(row.ts)) return "time";
          break;
        case FIELD.status:
          row.status = this.#wholeNumber(text, at, end);
          stop = this.#next;
          if (row.status < 0 || row.status > 999) return "status";
          break;
        case FIELD.bytes:
          row.bytes = this.#wholeNumber(text, at, end);
          stop = this.#next;
          if (row.bytes < 0) return "bytes";
          break;
        case FIELD.requestTime:
          row.time = this.#milliseconds(text, at, end);
          stop = this.#next;
          if (row.time < 0) return "duration";
          break;
        case FIELD.upstreamTime:
          row.upstreamTime = this.#list(text, at, end);
          stop = this.#next;
          row.attempts = Math.min(255, this.#items);
          if (row.upstreamTime < 0) return "duration";
          break;
        default:
          stop = this.#endOf(step, text, at, end);
          if (stop < 0) return "format";
      }
      switch (field) {
        case FIELD.address:
          row.ip = text.slice(at, stop);
          break;
        case FIELD.isoTime:
          row.ts = times.iso(text, at, stop);
          if (Number.isNaN(row.ts)) return "time";
          break;
        case FIELD.msec: {
          const msec = this.#milliseconds(text, at, stop);
          if (msec < 0 || msec === NO_TIME || this.#next !== stop) return "time";
          row.ts = msec;
          break;
        }
        case FIELD.request:
          this.#request.read(text, at, stop);
          row.method = this.#request.method;
          row.protocol = this.#request.protocol;
          row.setPath(text, this.#request.pathStart, this.#request.pathEnd);
          break;
        case FIELD.method:
          row.method = methodId(text.slice(at, stop));
          break;
        case FIELD.uri:
          row.setPath(text, at, stop);
          break;
        case FIELD.query:
          query = text.slice(at, stop);
          break;
        case FIELD.protocol:
          row.protocol = protocolId(text.slice(at, stop));
          break;
        case FIELD.referer:
          row.referer = present(text, at, stop);
          break;
        case FIELD.userAgent:
          row.userAgent = present(text, at, stop);
          break;
        case FIELD.upstreamStatus:
          // The last one is what the client got, where nothing says it better.
          if (row.status < 0) row.status = this.#wholeNumber(text, stop - 3, stop);
          break;
      }
      if (!isAt(literal, text, stop, end)) return "format";
      at = stop + literal.length;
    }
    if (at !== end) return "format";
    if (query !== "" && query !== "-") {
      const url = `${text.slice(row.pathStart, row.pathEnd)}?${query}`;
      row.setPath(url, 0, url.length);
    }
    return "";
  }

  /** Where a variable's value ends: at its literal. -1: nowhere in this line. */
  #endOf(step: Step, text: string, at: number, end: number): number {
    if (step.literal === "") return end;
    if (step.isBeforeTime) return this.#timeBracket(step, text, at, end);
    let found = this.#find(step, text, at, end);
    if (!step.isList || step.literal.charCodeAt(0) !== SPACE) return found;
    // `10.0.0.1:80, 10.0.0.2:80 : 10.0.0.3:80 `: the space that ends the list is the one that is no separator.
    while (found >= 0 && (text.charCodeAt(found - 1) === COMMA || isColon(text, found))) {
      found = this.#find(step, text, found + (isColon(text, found) ? 3 : 1), end);
    }
    return found;
  }

  #timeBracket(step: Step, text: string, at: number, end: number): number {
    let found = this.#find(step, text, at, end);
    while (found >= 0) {
      const time = found + step.literal.length;
      const isTime =
        text.charCodeAt(time + 2) === 47 &&
        text.charCodeAt(time + 6) === 47 &&
        text.charCodeAt(time + 11) === COLON;
      if (isTime && isAt(step.literalAfterTime, text, time + LOCAL_TIME_LENGTH, end)) return found;
      found = this.#find(step, text, found + 1, end);
    }
    return -1;
  }

  #find(step: Step, text: string, at: number, end: number): number {
    const { isQuoted, literal, pivot, pivotAt, searched } = step;
    const isKnown = searched.text === this.#text && at >= searched.from && at <= searched.notBefore;
    const from = isKnown ? searched.notBefore : at;
    if (from + literal.length > end) return -1;
    // V8 looks for one character with memchr, and for more of them ten times slower.
    let found = text.indexOf(pivot, from + pivotAt);
    // No value has a quote in it (nginx writes \x22), so a quote that begins no such literal ends another format's value.
    if (isQuoted && found >= 0 && found < end && !isAt(literal, text, found, end)) return -1;
    while (found >= 0 && found < end && !isAt(literal, text, found - pivotAt, end)) {
      found = text.indexOf(pivot, found + 1);
    }
    const start = found < 0 ? text.length : found - pivotAt;
    if (start + literal.length <= end) return start;
    step.searched = { text: this.#text, from: at, notBefore: start };
    return -1;
  }

  /** Digits, or `-` for 0; negative when it is neither. */
  #wholeNumber(text: string, at: number, end: number): number {
    let value = 0;
    let next = at;
    for (; next < end; next += 1) {
      const digit = text.charCodeAt(next) - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    this.#next = next;
    if (next > at) return next - at <= 15 ? value : -1;
    if (text.charCodeAt(at) !== DASH || at === end) return -1;
    this.#next = at + 1;
    return 0;
  }

  /** Seconds with decimals as ms; NO_TIME for `-` and `""`; negative when it is no number. */
  #milliseconds(text: string, at: number, end: number): number {
    if (at >= end) return -1;
    const code = text.charCodeAt(at);
    if (code === 34) {
      this.#next = at;
      return NO_TIME;
    }
    if (code === DASH) {
      this.#next = at + 1;
      return NO_TIME;
    }
    let value = 0;
    let next = at;
    for (; next < end; next += 1) {
      const digit = text.charCodeAt(next) - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    if (next === at || next - at > 12) return -1;
    value *= 1000;
    if (next < end && text.charCodeAt(next) === DOT) {
      let scale = 100;
      for (next += 1; next < end; next += 1) {
        const digit = text.charCodeAt(next) - 48;
        if (digit < 0 || digit > 9) break;
        if (scale >= 1) value += digit * scale;
        scale = scale === 1 ? 0 : scale / 10;
      }
    }
    this.#next = next;
    return value;
  }

  /** The sum of a list like `0.001, - : 0.003`; its items are counted, a lone `-` is none. */
  #list(text: string, at: number, end: number): number {
    let sum = this.#milliseconds(text, at, end);
    if (sum < 0) return sum;
    let next = this.#next;
    this.#items = next === at ? 0 : 1;
    for (;;) {
      if (text.charCodeAt(next) === COMMA && next + 2 < end)
        next += text.charCodeAt(next + 1) === SPACE ? 2 : 1;
      else if (isColon(text, next) && next + 3 < end) next += 3;
      else break;
      const item = this.#milliseconds(text, next, end);
      if (item < 0) return item;
      next = this.#next;
      this.#items += 1;
      if (item !== NO_TIME) sum = sum === NO_TIME ? item : sum + item;
    }
    if (this.#items === 1 && sum === NO_TIME) this.#items = 0;
    this.#next = next;
    return sum;
  }
}

/** ` : `, between the groups of servers of an internal redirect. */
function isColon(text: string, at: number): boolean {
  return (
    text.charCodeAt(at) === SPACE && text.charCodeAt(at + 1) === COLON && text.charCodeAt(at + 2) === SPACE
  );
}

function isAt(literal: string, text: string, at: number, end: number): boolean {
  const { length } = literal;
  if (at + length > end) return false;
  for (let index = 0; index < length; index += 1) {
    if (text.charCodeAt(at + index) !== literal.charCodeAt(index)) return false;
  }
  return true;
}

/** `-` and nothing are the same: the client did not say. */
function present(text: string, at: number, stop: number): string {
  return stop === at ? "-" : text.slice(at, stop);
}
