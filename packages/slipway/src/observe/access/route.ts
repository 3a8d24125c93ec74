/**
 * The route behind a path: `/recipes/42/steps` → `/recipes/:id/steps`. What changes from request to request becomes a
 * placeholder, so that times can be compared by route. Capped for each service, because whoever sends requests chooses
 * the paths; and a path that was answered with a client error teaches no new route, so that a scanner cannot fill the
 * table with paths that do not exist.
 */
import type { Dictionary } from "./dictionary.ts";

const MAX_SEGMENTS = 8;
const MAX_LENGTH = 200;
const MAX_ROUTES = 500;

/** Of a path that is looked up as text; a longer one is found without the hash. */
const TEXT_BYTES = 1024;

/** Routes of one service. */
export class RouteTable {
  readonly #dictionary: Dictionary;
  readonly #ids = new Map<string, number>();
  readonly #max: number;
  readonly #none: number;
  /**
   * Hash of a route → its id, so that the route of nearly every request is found without making its text. Who makes two
   * routes collide has his requests counted under the other one, as if he had asked for that.
   */
  readonly #hashes = new Map<number, number>();
  /** Where the path of the last call of `idOf` ended: at its `?` or at its end. */
  pathEnd = 0;

  constructor(dictionary: Dictionary, max = MAX_ROUTES) {
    this.#dictionary = dictionary;
    this.#max = max;
    this.#none = dictionary.idOf("-");
  }

  /**
   * Of the URL in ASCII from `start` to `end`, with or without a query. 0 is `other`. Behind `end` there are at least 4
   * more bytes.
   */
  idOf(view: DataView, start: number, end: number, status: number): number {
    const hash = this.#hash(view, start, end);
    return (
      (hash === 0 ? undefined : this.#hashes.get(hash)) ??
      this.#find(textOf(view, start, this.pathEnd), hash, status)
    );
  }

  idOfText(url: string, status: number): number {
    const query = url.indexOf("?");
    const path = query < 0 ? url : url.slice(0, query);
    const hash = path.length > MAX_LENGTH ? 0 : this.#hash(scratchView, 0, scratch.write(path));
    return (hash === 0 ? undefined : this.#hashes.get(hash)) ?? this.#find(path, hash, status);
  }

  #find(path: string, hash: number, status: number): number {
    const route = routeOf(path);
    if (route === "-") return this.#none;
    let id = this.#ids.get(route);
    if (id === undefined) {
      if (this.#ids.size >= this.#max || (status >= 400 && status < 500)) return 0;
      const own = Buffer.from(route, "utf8").toString("utf8");
      id = this.#dictionary.idOf(own);
      if (id === 0) return 0;
      this.#ids.set(own, id);
    }
    if (hash !== 0) this.#hashes.set(hash, id);
    return id;
  }

  /** Of the route, by segments, and the end of the path with it; 0 for what is not a plain path. */
  #hash(view: DataView, start: number, end: number): number {
    let hash = 7;
    let segments = 0;
    const isPath = start < end && view.getUint8(start) === SLASH;
    let at = start;
    while (at < end && view.getUint8(at) !== QUESTION) {
      // `at` is at the slash before the segment.
      const segment = at + 1;
      const kind = segmentKind.read(view, segment, end);
      at = segmentKind.end;
      segments += 1;
      hash = Math.imul(hash ^ kind, 0x01000193) + SLASH;
      if (kind === KIND.literal) hash = hashOf(view, segment, at, hash);
      else if (kind === KIND.file) hash = hashOf(view, segmentKind.lastDot, at, hash);
    }
    this.pathEnd = at;
    return isPath && segments <= MAX_SEGMENTS && at - start <= MAX_LENGTH ? hash : 0;
  }
}

const scratch = Buffer.alloc(TEXT_BYTES + 4);
const scratchView = new DataView(scratch.buffer, scratch.byteOffset, scratch.length);

function textOf({ buffer, byteOffset }: DataView, start: number, end: number): string {
  return Buffer.from(buffer, byteOffset + start, end - start).toString("latin1");
}

/** Four bytes at a time; of the last ones only those before `end`. */
function hashOf(view: DataView, start: number, end: number, seed: number): number {
  let hash = seed;
  for (let at = start; at < end; at += 4) {
    const word = view.getInt32(at, true);
    const isWhole = at + 4 <= end;
    hash = Math.imul(hash ^ (isWhole ? word : word & ((1 << ((end - at) * 8)) - 1)), 0x01000193);
    hash ^= hash >>> 15;
  }
  return hash;
}

/** `-` for what is no path: garbage, `CONNECT host:port`. */
export function routeOf(url: string): string {
  const path = url.charCodeAt(0) === SLASH ? url : afterHost(url);
  if (path === undefined) return url === "*" ? url : "-";
  const bytes = Buffer.from(path);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let route = "";
  let segments = 0;
  for (let at = 0; at < bytes.length; segments += 1) {
    const segment = at + 1;
    const kind = segmentKind.read(view, segment, bytes.length);
    if (segments === MAX_SEGMENTS || segmentKind.end > MAX_LENGTH) return `${route}/…`;
    at = segmentKind.end;
    const text =
      kind === KIND.literal
        ? bytes.toString("latin1", segment, at)
        : `${PLACEHOLDERS[kind]}${kind === KIND.file ? bytes.toString("latin1", segmentKind.lastDot, at) : ""}`;
    route += `/${text}`;
  }
  return route;
}

const SLASH = 47;
const QUESTION = 63;

/** The path of `http://host/path`. */
function afterHost(url: string): string | undefined {
  if (!url.startsWith("http://") && !url.startsWith("https://")) return undefined;
  const slash = url.indexOf("/", 8);
  return slash < 0 ? "/" : url.slice(slash);
}

const KIND = { literal: 0, id: 1, text: 2, uuid: 3, hex: 4, token: 5, slug: 6, file: 7 } as const;
const PLACEHOLDERS = ["", ":id", ":text", ":uuid", ":hex", ":token", ":slug", ":hash"] as const;
type Kind = (typeof KIND)[keyof typeof KIND];

/** What a segment consists of, as bits; letters lowest. */
const HEX_LOWER = 1;
const HEX_UPPER = 2;
const LOWER = 4;
const UPPER = 8;
const DIGIT = 16;
const DASH = 32;
const DOT = 64;
const BASE64 = 128;
const OTHER = 256;
const ENDS = 512;

/** By byte. */
const CLASS = new Uint16Array(256).fill(OTHER);
for (let code = 48; code <= 57; code += 1) CLASS[code] = DIGIT;
for (let code = 97; code <= 122; code += 1) CLASS[code] = code <= 102 ? HEX_LOWER : LOWER;
for (let code = 65; code <= 90; code += 1) CLASS[code] = code <= 70 ? HEX_UPPER : UPPER;
CLASS[45] = DASH;
CLASS[95] = DASH;
CLASS[46] = DOT;
CLASS[43] = BASE64;
CLASS[61] = BASE64;
CLASS[SLASH] = ENDS;
CLASS[QUESTION] = ENDS;

/** Reads one segment, which may be UTF-8; what it found stands in its fields until the next call. */
class SegmentKind {
  end = 0;
  lastDot = 0;

  read(view: DataView, start: number, limit: number): Kind {
    let seen = 0;
    let digits = 0;
    let dashes = 0;
    // Parts of file names, between dots and dashes.
    let partStart = start;
    let digitsBefore = 0;
    let hasHash = false;
    let at = start;
    this.lastDot = start;
    // Four small letters at a time, as most segments begin: none below `a`, none beyond `z`.
    for (; at + 4 <= limit; at += 4) {
      const word = view.getInt32(at, true);
      if (((((word - 0x61616161) & ~word) | word | (word + 0x05050505)) & 0x80808080) !== 0) break;
      seen |= ((word + 0x19191919) & 0x80808080) === 0 ? HEX_LOWER : LOWER;
    }
    for (; at < limit; at += 1) {
      const kind = CLASS[view.getUint8(at)] as number;
      if (kind <= UPPER) {
        seen |= kind;
        continue;
      }
      if (kind === ENDS) break;
      seen |= kind;
      if (kind === DIGIT) digits += 1;
      else if (kind === DASH || kind === DOT) {
        if (kind === DASH) dashes += 1;
        else this.lastDot = at;
        const partDigits = digits - digitsBefore;
        const length = at - partStart;
        if (partDigits > 0 && (length >= 8 || (partDigits === length && length >= 3))) hasHash = true;
        partStart = at + 1;
        digitsBefore = digits;
      }
    }
    this.end = at;
    return kindOf(seen, at - start, digits, dashes, hasHash);
  }
}

const segmentKind = new SegmentKind();

/** `literal`: the segment names something that is part of the program. */
function kindOf(seen: number, length: number, digits: number, dashes: number, hasHash: boolean): Kind {
  // Most segments of programs are plain words.
  if ((seen & ~(HEX_LOWER | LOWER)) === 0 && length <= 40) return KIND.literal;
  if (digits === length) return KIND.id;
  if ((seen & OTHER) !== 0) return KIND.text;
  // `app.3f2a1b9c.js` → `:hash.js`; `v1.2` and `robots.txt` stay.
  if ((seen & DOT) !== 0) return length > 80 ? KIND.token : hasHash ? KIND.file : KIND.literal;
  const letters = seen & (LOWER | UPPER | HEX_LOWER | HEX_UPPER);
  const isHex = (letters & (LOWER | UPPER)) === 0 && (seen & BASE64) === 0;
  if (isHex && digits > 0) {
    if (length === 36 && dashes === 4) return KIND.uuid;
    if (dashes === 0 && length >= 8) return KIND.hex;
  }
  const isMixed = (letters & (LOWER | HEX_LOWER)) !== 0 && (letters & (UPPER | HEX_UPPER)) !== 0;
  if (length >= 16 && ((isMixed && digits > 0) || (digits >= 4 && dashes === 0))) return KIND.token;
  if ((seen & BASE64) !== 0 && length >= 8) return KIND.token;
  if (dashes >= 3 || (dashes > 0 && digits >= 3) || length > 40) return KIND.slug;
  return digits >= 4 ? KIND.id : KIND.literal;
}
