/**
 * The short way for nearly every line: a request in a format that begins as nginx's `combined` does, from a client
 * without a user name, with nothing unusual in it. It looks at bytes instead of characters (V8 looks up what kind of
 * string it has for each character), makes strings of the address and the path alone, and knows user agents and referers
 * by their bytes. Whatever is not exactly as expected is left to `TextRequests`, which says the same of usual lines
 * (`combined.test.ts`) in three times the time.
 */
import { type AccessBatch, METHODS, NO_TIME, PROTOCOLS } from "./batch.ts";
import { COMBINED_FIELDS, type Step, type TextFormat } from "./format.ts";
import { MAX_ADDRESS } from "./ip.ts";
import { QuotedIds, quoteAt } from "./quoted-ids.ts";
import type { Redactor } from "./redact.ts";
import { RequestLine } from "./request-line.ts";
import type { RouteTable } from "./route.ts";
import { Row, type RowWriter } from "./row.ts";
import type { TextRequests } from "./text-request.ts";
import { LOCAL_TIME_LENGTH, type Times } from "./time.ts";

/** Four characters as they are read at once. */
const word = (text: string): number => Buffer.from(text, "latin1").readInt32LE();
const half = (text: string): number => Buffer.from(text, "latin1").readInt16LE();

const DASH_DASH = word(" - -");
const BRACKET = half(" [");
const AFTER_TIME = word('] "\0') & 0xffffff;
const NO_REFERER = word('-" "');
const QUOTE_SPACE_QUOTE = word('" "\0') & 0xffffff;
const SPACE_QUOTE = half(' "');
const GET = word("GET ");
const HTTP = word(" HTT");
const VERSION_1 = word("P/1.");
const VERSION_2 = word("P/2.");
const ID_OF_GET = METHODS.indexOf("GET");
const HTTP_1_1 = PROTOCOLS.indexOf("HTTP/1.1");
const HTTP_2_0 = PROTOCOLS.indexOf("HTTP/2.0");
const PROTOCOL_LENGTH = 9;
const SPACE = 32;
const COMMA = 44;
/** So many bytes may be read at once behind a line's end. */
const BEHIND = 8;
const MAX_DIGITS = 15;

export class CombinedLines {
  readonly #rows: RowWriter;
  readonly #redactor: Redactor;
  readonly #texts: TextRequests;
  readonly #request = new RequestLine();
  readonly #referers = new QuotedIds();
  readonly #userAgents = new QuotedIds();
  readonly #noReferer: number;
  readonly #second = new Second();
  /** Of what stands behind `combined`. */
  readonly #row = new Row();
  /** Where the last number ended. */
  #next = 0;

  constructor(rows: RowWriter, redactor: Redactor, texts: TextRequests) {
    this.#rows = rows;
    this.#redactor = redactor;
    this.#texts = texts;
    this.#noReferer = rows.refererId("-");
  }

  /**
   * Puts the line into the batch, or does nothing and answers false. At `end` is the line's newline, or the carriage
   * return before it: since no text that is looked for has either, nothing is found that goes on behind the end.
   */
  read(
    format: TextFormat,
    times: Times,
    view: DataView,
    text: string,
    start: number,
    end: number,
    source: number,
    routes: RouteTable,
    batch: AccessBatch,
  ): boolean {
    if (end + BEHIND > view.byteLength) return false;
    const addressEnd = addressAt(view, start);
    if (addressEnd < 0 || view.getInt32(addressEnd, true) !== DASH_DASH) return false;
    const time = addressEnd + 6;
    const request = time + LOCAL_TIME_LENGTH + 3;
    if (request > end || view.getInt16(time - 2, true) !== BRACKET) return false;
    if ((view.getInt32(request - 3, true) & 0xffffff) !== AFTER_TIME) return false;
    const ts = this.#second.at(view, time, times, text);
    if (Number.isNaN(ts)) return false;

    const requestEnd = quoteAt(view, request, end);
    if (requestEnd >= end || view.getUint8(requestEnd + 1) !== SPACE) return false;
    const status = statusAt(view, requestEnd + 2);
    if (status < 0) return false;
    const bytes = this.#numberAt(view, requestEnd + 6);
    if (bytes < 0 || view.getInt16(this.#next, true) !== SPACE_QUOTE) return false;

    const referer = this.#next + 2;
    let refererId = this.#noReferer;
    let userAgent = referer + 4;
    if (view.getInt32(referer, true) !== NO_REFERER) {
      refererId = this.#referers.find(view, referer, end);
      userAgent = this.#referers.end + 3;
      if (refererId < 0 || (view.getInt32(userAgent - 3, true) & 0xffffff) !== QUOTE_SPACE_QUOTE)
        return false;
    }
    let userAgentId = this.#userAgents.find(view, userAgent, end);
    if (userAgentId < 0 || !this.#isRestRead(format, times, text, end)) return false;

    this.#readRequest(view, text, request, requestEnd);
    const { method, protocol, pathStart, pathEnd } = this.#request;
    if (refererId === 0) {
      refererId = this.#rows.refererId(present(text, referer, userAgent - 3));
      this.#referers.keep(view, referer, refererId);
    }
    if (userAgentId === 0) {
      userAgentId = this.#rows.userAgentId(present(text, userAgent, this.#userAgents.end));
      this.#userAgents.keep(view, userAgent, userAgentId);
    }
    const at = batch.length;
    batch.ts[at] = ts;
    batch.source[at] = source;
    batch.ip[at] = this.#rows.plainAddress(text.slice(start, addressEnd));
    batch.method[at] = method;
    batch.protocol[at] = protocol;
    batch.status[at] = status;
    batch.bytes[at] = bytes;
    batch.referer[at] = refererId;
    batch.userAgent[at] = userAgentId;
    batch.route[at] = routes.idOf(view, text, pathStart, pathEnd, status);
    const path = text.slice(pathStart, pathEnd);
    batch.path[at] = this.#redactor.mayChange(view, routes.pathEnd, pathEnd)
      ? this.#redactor.apply(path, routes.pathEnd - pathStart)
      : path;
    batch.time[at] = Math.min(this.#row.time, NO_TIME);
    batch.upstreamTime[at] = Math.min(this.#row.upstreamTime, NO_TIME);
    batch.attempts[at] = this.#row.attempts;
    batch.length = at + 1;
    return true;
  }

  #isRestRead(format: TextFormat, times: Times, text: string, end: number): boolean {
    const { literal } = format.steps[COMBINED_FIELDS - 1] as Step;
    const at = this.#userAgents.end;
    const row = this.#row;
    row.time = NO_TIME;
    row.upstreamTime = NO_TIME;
    row.attempts = 0;
    if (literal.length === 1) return at + 1 === end;
    if (!text.startsWith(literal, at)) return false;
    // A status that is known: `$upstream_status` says no better.
    row.status = 0;
    return this.#texts.readFrom(format, COMBINED_FIELDS, times, text, at + literal.length, end, row) === "";
  }

  #readRequest(view: DataView, text: string, start: number, end: number): void {
    const pathEnd = end - PROTOCOL_LENGTH;
    const isUsual =
      start + 4 <= pathEnd && view.getInt32(start, true) === GET && view.getInt32(pathEnd, true) === HTTP;
    const protocol = isUsual ? protocolAt(view, pathEnd + 4) : 0;
    if (protocol === 0) {
      this.#request.read(text, start, end);
      return;
    }
    this.#request.method = ID_OF_GET;
    this.#request.protocol = protocol;
    this.#request.pathStart = start + 4;
    this.#request.pathEnd = pathEnd;
  }

  /** Digits, not too many for a number; -1 for anything else. */
  #numberAt(view: DataView, start: number): number {
    let value = 0;
    let at = start;
    // Ends at the newline at the latest.
    for (; ; at += 1) {
      const digit = view.getUint8(at) - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    this.#next = at;
    return at > start && at - start <= MAX_DIGITS ? value : -1;
  }
}

/** The last time that was read, and its text: nearly always the next line's too. */
class Second {
  readonly #words = new Int32Array(7);
  #ms = Number.NaN;

  at(view: DataView, at: number, times: Times, text: string): number {
    const words = this.#words;
    // From the end of `05/Jan/2026:13:55:36 +0000`; the last word overlaps the one before it.
    if (
      view.getInt32(at + 16, true) === words[4] &&
      view.getInt32(at + 12, true) === words[3] &&
      view.getInt32(at + 8, true) === words[2] &&
      view.getInt32(at + 4, true) === words[1] &&
      view.getInt32(at, true) === words[0] &&
      view.getInt32(at + 20, true) === words[5] &&
      view.getInt32(at + 22, true) === words[6]
    ) {
      return this.#ms;
    }
    const ms = times.local(text, at);
    if (Number.isNaN(ms)) return ms;
    for (let index = 0; index < 6; index += 1) words[index] = view.getInt32(at + index * 4, true);
    words[6] = view.getInt32(at + LOCAL_TIME_LENGTH - 4, true);
    this.#ms = ms;
    return ms;
  }
}

/** Where an address ends; -1 when it is none as it stands. */
function addressAt(view: DataView, start: number): number {
  for (let at = start; at <= start + MAX_ADDRESS; at += 1) {
    const code = view.getUint8(at);
    if (code === SPACE) return at === start ? -1 : at;
    if (code < SPACE || code >= 127 || code === COMMA) return -1;
  }
  return -1;
}

/** Three digits and a space; -1 for anything else. */
function statusAt(view: DataView, at: number): number {
  const first = view.getUint8(at) - 48;
  const second = view.getUint8(at + 1) - 48;
  const third = view.getUint8(at + 2) - 48;
  const isStatus = first >= 0 && first <= 9 && second >= 0 && second <= 9 && third >= 0 && third <= 9;
  return isStatus && view.getUint8(at + 3) === SPACE ? first * 100 + second * 10 + third : -1;
}

/** Position in PROTOCOLS of the two that nearly all have, whose `P/1.` is at `at`; 0 for any other. */
function protocolAt(view: DataView, at: number): number {
  const version = view.getInt32(at, true);
  const minor = view.getUint8(at + 4) - 48;
  if (version === VERSION_1 && minor === 1) return HTTP_1_1;
  return version === VERSION_2 && minor === 0 ? HTTP_2_0 : 0;
}

/** `-` and nothing are the same: the client did not say. */
function present(text: string, at: number, stop: number): string {
  return stop === at ? "-" : text.slice(at, stop);
}
