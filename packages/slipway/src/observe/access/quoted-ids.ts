/**
 * Ids of values that stand in quotes, by their bytes: a value that was seen lately costs neither a string nor a look into
 * a Map, which is most of what a user agent and a referer would cost. Each value has one of two places in a table of
 * fixed size; whoever sends values that push each other out gets the speed of the Map.
 */

const SETS = 4096;
/** 32 bits of hash → a set. */
const SHIFT = 32 - Math.log2(SETS);
/** Longer values are not kept. */
const VALUE_BYTES = 256;
const VALUE_WORDS = VALUE_BYTES / 4;
const QUOTE = 34;
const QUOTES = 0x22222222;
const MULTIPLIER = 0x9e3779b1;

export class QuotedIds {
  /** Position of the closing quote of the value that `find` looked at. */
  end = 0;
  #hash = 0;
  #rest = 0;
  #isSecond = false;
  readonly #ids = new Uint32Array(SETS * 2);
  readonly #lengths = new Uint16Array(SETS * 2);
  /** Bytes behind the last whole word. */
  readonly #rests = new Int32Array(SETS * 2);
  readonly #words = new Int32Array(SETS * 2 * VALUE_WORDS);

  /** Id of the value that begins at `at`; 0 when it is not here; -1 when no quote ends it before `limit`. */
  find(view: DataView, at: number, limit: number): number {
    this.#measure(view, at, limit);
    if (this.end >= limit) return -1;
    const place = this.#place();
    if (this.#isIn(place, view, at)) return this.#ids[place] as number;
    if (this.#isIn(place + 1, view, at)) return this.#ids[place + 1] as number;
    return 0;
  }

  /** The value that `find` looked at has this id. 0 is none: it may be another one later. */
  keep(view: DataView, at: number, id: number): void {
    const length = this.end - at;
    if (id === 0 || length > VALUE_BYTES) return;
    this.#isSecond = !this.#isSecond;
    const place = this.#place() + (this.#isSecond ? 1 : 0);
    const first = place * VALUE_WORDS;
    for (let word = 0; word < length >> 2; word += 1) {
      this.#words[first + word] = view.getInt32(at + word * 4, true);
    }
    this.#ids[place] = id;
    this.#lengths[place] = length;
    this.#rests[place] = this.#rest;
  }

  #place(): number {
    return (Math.imul(this.#hash ^ (this.#hash >>> 15), MULTIPLIER) >>> SHIFT) * 2;
  }

  /** Finds the quote and hashes what is before it, four bytes at a time. */
  #measure(view: DataView, at: number, limit: number): void {
    let hash = 0;
    let factor = MULTIPLIER;
    let next = at;
    for (; next + 4 <= limit; next += 4) {
      const word = view.getInt32(next, true);
      if (hasQuote(word)) break;
      // Another odd factor at each place, so that the products do not wait for each other as in a chained hash.
      hash = (hash + Math.imul(word, factor)) | 0;
      factor = (factor + 0x3c6ef372) | 0;
    }
    let rest = 0;
    for (; next < limit; next += 1) {
      const code = view.getUint8(next);
      if (code === QUOTE) break;
      rest = (rest << 8) | code;
    }
    this.end = next;
    this.#rest = rest;
    this.#hash = (hash + Math.imul(rest + next - at, factor)) | 0;
  }

  #isIn(place: number, view: DataView, at: number): boolean {
    const length = this.end - at;
    if (this.#lengths[place] !== length || this.#rests[place] !== this.#rest) return false;
    const first = place * VALUE_WORDS;
    for (let word = 0; word < length >> 2; word += 1) {
      if (this.#words[first + word] !== view.getInt32(at + word * 4, true)) return false;
    }
    return true;
  }
}

/** Position of the first quote; `limit` when there is none before it. */
export function quoteAt(view: DataView, from: number, limit: number): number {
  let at = from;
  for (; at + 4 <= limit; at += 4) {
    if (hasQuote(view.getInt32(at, true))) break;
  }
  while (at < limit && view.getUint8(at) !== QUOTE) at += 1;
  return at;
}

/** Whether one of four bytes is a quote: memchr's bit trick for "one of them is zero". */
function hasQuote(word: number): boolean {
  const zero = word ^ QUOTES;
  return ((zero - 0x01010101) & ~zero & 0x80808080) !== 0;
}
