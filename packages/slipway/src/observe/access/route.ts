/**
 * The route behind a path: `/recipes/42/steps` → `/recipes/:id/steps`. What changes from request to request becomes a
 * placeholder, so that times can be compared by route. Capped for each service, because whoever sends requests chooses
 * the paths; and a path that was answered with a client error teaches no new route, so that a scanner cannot fill the
 * table with paths that do not exist.
 */
import type { Dictionary } from "./dictionary.ts";

const MAX_SEGMENTS = 8;
const MAX_LENGTH = 200;
export const MAX_ROUTES = 500;

/** Routes of one service. */
export class RouteTable {
  readonly #dictionary: Dictionary;
  readonly #ids = new Map<string, number>();
  readonly #max: number;
  readonly #none: number;

  constructor(dictionary: Dictionary, max = MAX_ROUTES) {
    this.#dictionary = dictionary;
    this.#max = max;
    this.#none = dictionary.idOf("-");
  }

  /** `path`: without its query. 0 is `other`. */
  idOf(path: string, status: number): number {
    // Paths without variable parts are their own route: one look.
    const known = this.#ids.get(path);
    if (known !== undefined) return known;
    const route = routeOf(path);
    if (route === "-") return this.#none;
    const normalised = route === path ? undefined : this.#ids.get(route);
    if (normalised !== undefined) return normalised;
    if (this.#ids.size >= this.#max || (status >= 400 && status < 500)) return 0;
    const own = Buffer.from(route, "utf8").toString("utf8");
    const id = this.#dictionary.idOf(own);
    if (id !== 0) this.#ids.set(own, id);
    return id;
  }
}

/** `-` for what is no path: garbage, `CONNECT host:port`. */
export function routeOf(url: string): string {
  const path = url.charCodeAt(0) === SLASH ? url : afterHost(url);
  if (path === undefined) return url === "*" ? url : "-";
  let route = "";
  let copied = 0;
  let segments = 0;
  let start = 1;
  for (let end = 1; end <= path.length; end += 1) {
    if (end < path.length && path.charCodeAt(end) !== SLASH) continue;
    if (segments === MAX_SEGMENTS || end > MAX_LENGTH) return `${route}${path.slice(copied, start)}…`;
    const placeholder = end === start ? undefined : placeholderOf(path, start, end);
    if (placeholder !== undefined) {
      route += path.slice(copied, start) + placeholder;
      copied = end;
    }
    segments += 1;
    start = end + 1;
  }
  return copied === 0 ? path : route + path.slice(copied);
}

const SLASH = 47;

/** The path of `http://host/path`. */
function afterHost(url: string): string | undefined {
  if (!url.startsWith("http://") && !url.startsWith("https://")) return undefined;
  const slash = url.indexOf("/", 8);
  return slash < 0 ? "/" : url.slice(slash);
}

/** What a segment consists of, as bits. */
const DIGIT = 1;
const HEX_LOWER = 2;
const HEX_UPPER = 4;
const LOWER = 8;
const UPPER = 16;
const DASH = 32;
const DOT = 64;
const BASE64 = 128;
const OTHER = 256;

const CLASS = new Uint16Array(128).fill(OTHER);
for (let code = 48; code <= 57; code += 1) CLASS[code] = DIGIT;
for (let code = 97; code <= 122; code += 1) CLASS[code] = code <= 102 ? HEX_LOWER : LOWER;
for (let code = 65; code <= 90; code += 1) CLASS[code] = code <= 70 ? HEX_UPPER : UPPER;
CLASS[45] = DASH;
CLASS[95] = DASH;
CLASS[46] = DOT;
CLASS[43] = BASE64;
CLASS[61] = BASE64;

/** Undefined: the segment names something that is part of the program. */
function placeholderOf(path: string, start: number, end: number): string | undefined {
  let seen = 0;
  let digits = 0;
  let dashes = 0;
  for (let at = start; at < end; at += 1) {
    const code = path.charCodeAt(at);
    const kind = code < 128 ? (CLASS[code] as number) : OTHER;
    seen |= kind;
    if (kind === DIGIT) digits += 1;
    else if (kind === DASH) dashes += 1;
  }
  // Most segments of programs are plain words.
  if (seen === (seen & (HEX_LOWER | LOWER)) && end - start <= 40) return undefined;
  const length = end - start;
  if (digits === length) return ":id";
  if ((seen & OTHER) !== 0) return ":text";
  if ((seen & DOT) !== 0) return fileOf(path.slice(start, end), digits);
  const letters = seen & (LOWER | UPPER | HEX_LOWER | HEX_UPPER);
  const isHex = (letters & (LOWER | UPPER)) === 0 && (seen & BASE64) === 0;
  if (isHex && digits > 0) {
    if (length === 36 && dashes === 4) return ":uuid";
    if (dashes === 0 && length >= 8) return ":hex";
  }
  const mixes = (letters & (LOWER | HEX_LOWER)) !== 0 && (letters & (UPPER | HEX_UPPER)) !== 0;
  if (length >= 16 && ((mixes && digits > 0) || (digits >= 4 && dashes === 0))) return ":token";
  if ((seen & BASE64) !== 0 && length >= 8) return ":token";
  if (dashes >= 3 || (dashes > 0 && digits >= 3) || length > 40) return ":slug";
  if (digits >= 4) return ":id";
  return undefined;
}

/** `app.3f2a1b9c.js` → `:hash.js`; `v1.2` and `robots.txt` stay. */
function fileOf(name: string, digits: number): string | undefined {
  if (name.length > 80) return ":token";
  if (digits < 2) return undefined;
  const dot = name.lastIndexOf(".");
  const parts = name.slice(0, dot).split(/[.\-_]/);
  const hasHash = parts.some((part) => (part.length >= 8 && /[0-9]/.test(part)) || /^[0-9]{3,}$/.test(part));
  return hasHash ? `:hash${name.slice(dot)}` : undefined;
}
