/**
 * The short way for nearly every line: a request in a format that begins as nginx's `combined` does, from a client
 * without a user name, with nothing unusual in it. It looks at bytes instead of characters (V8 looks up what kind of
 * string it has for each character), makes strings of the address and the path alone, and knows user agents and referers
 * by their bytes. Whatever is not exactly as expected is left to `TextRequests`, which says the same of usual lines
 * (`combined.test.ts`) in three times the time.
 */
import { type AccessBatch, METHODS, PROTOCOLS, timeOf } from "./batch.ts";
import { CombinedRest } from "./combined-rest.ts";
import type { TextFormat } from "./format.ts";
import { MAX_ADDRESS, truncateAddress } from "./ip.ts";
import { QuotedIds, quoteAt } from "./quoted-ids.ts";
import type { Redactor } from "./redact.ts";
import { RequestLine } from "./request-line.ts";
import type { RouteTable } from "./route.ts";
import type { RowWriter } from "./row.ts";
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
const HTTP = word(" HTT");
const VERSION_1 = word("P/1.");
const VERSION_2 = word("P/2.");
const GET = word("GET ");
const POST = word("POST");
const HEAD = word("HEAD");
const ID_OF_GET = METHODS.indexOf("GET");
const ID_OF_POST = METHODS.indexOf("POST");
const ID_OF_HEAD = METHODS.indexOf("HEAD");
const HTTP_1_1 = PROTOCOLS.indexOf("HTTP/1.1");
const HTTP_2_0 = PROTOCOLS.indexOf("HTTP/2.0");
const PROTOCOL_LENGTH = 9;
const SPACE = 32;
const COMMAS = 0x2c2c2c2c;
const ONES = 0x01010101;
const HIGH_BITS = 0x80808080 | 0;
const MAX_DIGITS = 15;
/** Address, time and what is around them take no more. */
const HEAD_BYTES = 96;
/** So many bytes behind the end of a text may be looked at: two numbers and what is between them. */
const BEHIND = 64;

export class CombinedLines {
  readonly #rows: RowWriter;
  readonly #redactor: Redactor;
  readonly #truncateIp: boolean;
  readonly #request = new RequestLine();
  readonly #referers = new QuotedIds();
  readonly #userAgents = new QuotedIds();
  readonly #noReferer: number;
  readonly #second = new Second();
  readonly #rests = new Map<TextFormat, CombinedRest>();
  #format: TextFormat | undefined;
  #rest: CombinedRest | undefined;
  /** Where the last number ended. */
  #next = 0;

  constructor(rows: RowWriter, redactor: Redactor, truncateIp: boolean) {
    this.#rows = rows;
    this.#redactor = redactor;
    this.#truncateIp = truncateIp;
    this.#noReferer = rows.refererId("-");
  }

  /**
   * Puts the line that begins at `start` into the batch and answers where its newline is; or does nothing and answers
   * -1. No byte is skipped without a look, so nothing goes on behind a newline.
   */
  read(
    format: TextFormat,
    times: Times,
    view: DataView,
    start: number,
    source: number,
    routes: RouteTable,
    batch: AccessBatch,
  ): number {
    const limit = view.byteLength - BEHIND;
    if (start + HEAD_BYTES > view.byteLength) return -1;
    const addressEnd = addressAt(view, start);
    if (addressEnd < 0 || view.getInt32(addressEnd, true) !== DASH_DASH) return -1;
    const time = addressEnd + 6;
    const request = time + LOCAL_TIME_LENGTH + 3;
    if (view.getInt16(time - 2, true) !== BRACKET) return -1;
    if ((view.getInt32(request - 3, true) & 0xffffff) !== AFTER_TIME) return -1;
    const ts = this.#second.at(view, time, times);
    if (Number.isNaN(ts)) return -1;

    const requestEnd = quoteAt(view, request, limit);
    if (requestEnd < 0 || view.getUint8(requestEnd + 1) !== SPACE) return -1;
    const status = statusAt(view, requestEnd + 2);
    if (status < 0) return -1;
    const bytes = this.#numberAt(view, requestEnd + 6);
    if (bytes < 0 || view.getInt16(this.#next, true) !== SPACE_QUOTE) return -1;

    const referer = this.#next + 2;
    let refererId = this.#noReferer;
    let userAgent = referer + 4;
    if (view.getInt32(referer, true) !== NO_REFERER) {
      refererId = this.#referers.find(view, referer, limit);
      userAgent = this.#referers.end + 3;
      if (refererId < 0 || (view.getInt32(userAgent - 3, true) & 0xffffff) !== QUOTE_SPACE_QUOTE) return -1;
    }
    let userAgentId = this.#userAgents.find(view, userAgent, limit);
    if (userAgentId < 0) return -1;
    const rest = format === this.#format ? (this.#rest as CombinedRest) : this.#restOf(format);
    const end = rest.read(view, this.#userAgents.end, limit);
    if (end < 0) return -1;

    if (refererId === 0) {
      refererId = this.#rows.refererId(present(view, referer, userAgent - 3));
      this.#referers.keep(view, referer, refererId);
    }
    if (userAgentId === 0) {
      userAgentId = this.#rows.userAgentId(present(view, userAgent, this.#userAgents.end));
      this.#userAgents.keep(view, userAgent, userAgentId);
    }
    this.#readRequest(view, request, requestEnd);
    const { method, protocol, pathStart, pathEnd } = this.#request;
    const at = batch.length;
    batch.ts[at] = ts;
    batch.source[at] = source;
    if (this.#truncateIp) batch.ip.set(at, truncateAddress(textOf(view, start, addressEnd)));
    else batch.ip.setBytes(at, view, start, addressEnd);
    batch.method[at] = method;
    batch.protocol[at] = protocol;
    batch.status[at] = status;
    batch.bytes[at] = bytes;
    batch.referer[at] = refererId;
    batch.userAgent[at] = userAgentId;
    batch.route[at] = routes.idOf(view, pathStart, pathEnd, status);
    if (this.#redactor.mayChange(view, routes.pathEnd, pathEnd)) {
      batch.path.set(at, this.#redactor.apply(textOf(view, pathStart, pathEnd), routes.pathEnd - pathStart));
    } else batch.path.setBytes(at, view, pathStart, pathEnd);
    batch.time[at] = timeOf(rest.time);
    batch.upstreamTime[at] = timeOf(rest.upstreamTime);
    batch.attempts[at] = rest.attempts;
    batch.length = at + 1;
    return end;
  }

  #restOf(format: TextFormat): CombinedRest {
    const rest = this.#rests.get(format) ?? new CombinedRest(format.steps);
    this.#rests.set(format, rest);
    this.#format = format;
    this.#rest = rest;
    return rest;
  }

  #readRequest(view: DataView, start: number, end: number): void {
    const request = this.#request;
    const pathEnd = end - PROTOCOL_LENGTH;
    const method = methodAt(view, start);
    const protocol = protocolAt(view, pathEnd);
    const pathStart = start + (method === ID_OF_GET ? 4 : 5);
    if (method === 0 || protocol === 0 || pathStart > pathEnd) {
      request.read(textOf(view, start, end), 0, end - start);
      request.pathStart += start;
      request.pathEnd += start;
      return;
    }
    request.method = method;
    request.protocol = protocol;
    request.pathStart = pathStart;
    request.pathEnd = pathEnd;
  }

  /** Digits, not too many for a number; -1 for anything else. */
  #numberAt(view: DataView, start: number): number {
    let value = 0;
    let at = start;
    for (; at <= start + MAX_DIGITS; at += 1) {
      const digit = view.getUint8(at) - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    this.#next = at;
    return at > start && at - start <= MAX_DIGITS ? value : -1;
  }
}

/** The last time that was read, and its text: nearly always the next line's too, or that of a second close by. */
class Second {
  readonly #words = new Int32Array(7);
  #ms = Number.NaN;
  /** When the ten minutes began that `#ms` is in. */
  #tenMinutes = Number.NaN;

  at(view: DataView, at: number, times: Times): number {
    const words = this.#words;
    const clock = view.getInt32(at + 16, true);
    // From the end of `05/Jan/2026:13:55:36 +0000`, all but the clock behind the tens of its minutes; the last word
    // overlaps the one before it.
    if (
      view.getInt32(at + 12, true) === words[3] &&
      view.getInt32(at + 8, true) === words[2] &&
      view.getInt32(at + 4, true) === words[1] &&
      view.getInt32(at, true) === words[0] &&
      view.getInt32(at + 20, true) === words[5] &&
      view.getInt32(at + 22, true) === words[6]
    ) {
      if (clock === words[4]) return this.#ms;
      const within = withinTenMinutes(clock);
      if (within >= 0) {
        words[4] = clock;
        this.#ms = this.#tenMinutes + within;
        return this.#ms;
      }
    }
    const ms = times.local(textOf(view, at, at + LOCAL_TIME_LENGTH), 0);
    const within = withinTenMinutes(clock);
    // A leap second is not within its ten minutes.
    if (Number.isNaN(ms) || within < 0) return ms;
    for (let index = 0; index < 6; index += 1) words[index] = view.getInt32(at + index * 4, true);
    words[6] = view.getInt32(at + LOCAL_TIME_LENGTH - 4, true);
    this.#ms = ms;
    this.#tenMinutes = ms - within;
    return ms;
  }
}

/** Of `5:36`: the ms since the minutes were a multiple of ten; -1 when it is not written so, or no time. */
function withinTenMinutes(clock: number): number {
  // Digits with their upper halves taken off; what is left of another byte is more than 9.
  const digits = clock ^ 0x30303a30;
  if (((digits | (digits + 0x06060006)) & 0xf0f0fff0) !== 0) return -1;
  const tens = (digits >> 16) & 15;
  return tens > 5 ? -1 : (digits & 15) * 60_000 + tens * 10_000 + (digits >>> 24) * 1000;
}

/** Where an address ends; -1 when it is none as it stands. */
function addressAt(view: DataView, start: number): number {
  for (let at = start; at <= start + MAX_ADDRESS; at += 4) {
    const word = view.getInt32(at, true);
    // See `quoteAt`: up to a space, beyond 126, a comma.
    const comma = word ^ COMMAS;
    const marks =
      (((word - 0x21212121) & ~word) | word | (word + ONES) | ((comma - ONES) & ~comma)) & HIGH_BITS;
    if (marks === 0) continue;
    const end = at + ((31 - Math.clz32(marks & -marks)) >> 3);
    const isEnd = view.getUint8(end) === SPACE && end > start && end <= start + MAX_ADDRESS;
    return isEnd ? end : -1;
  }
  return -1;
}

/** Three digits and a space; -1 for anything else. */
function statusAt(view: DataView, at: number): number {
  const digits = view.getInt32(at, true) ^ 0x20303030;
  if (((digits | (digits + 0x00060606)) & 0xfff0f0f0) !== 0) return -1;
  return (digits & 15) * 100 + ((digits >> 8) & 15) * 10 + (digits >> 16);
}

/** Position in METHODS of the three that nearly all have, with the space behind; 0 for any other. */
function methodAt(view: DataView, at: number): number {
  switch (view.getInt32(at, true)) {
    case GET:
      return ID_OF_GET;
    case POST:
      return view.getUint8(at + 4) === SPACE ? ID_OF_POST : 0;
    case HEAD:
      return view.getUint8(at + 4) === SPACE ? ID_OF_HEAD : 0;
    default:
      return 0;
  }
}

/** Position in PROTOCOLS of the two that nearly all have, whose ` HTTP/1.1` is at `at`; 0 for any other. */
function protocolAt(view: DataView, at: number): number {
  if (view.getInt32(at, true) !== HTTP) return 0;
  const version = view.getInt32(at + 4, true);
  const minor = view.getUint8(at + 8) - 48;
  if (version === VERSION_1 && minor === 1) return HTTP_1_1;
  return version === VERSION_2 && minor === 0 ? HTTP_2_0 : 0;
}

/** `-` and nothing are the same: the client did not say. */
function present(view: DataView, start: number, end: number): string {
  return end === start ? "-" : textOf(view, start, end);
}

function textOf(view: DataView, start: number, end: number): string {
  return Buffer.from(view.buffer, view.byteOffset + start, end - start).toString("latin1");
}
