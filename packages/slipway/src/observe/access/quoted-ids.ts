/**
 * Ids of values that stand in quotes, by their bytes: a value that was seen lately costs neither a string nor a look into
 * a Map, which is most of what a user agent and a referer would cost. Who sends values that push each other out gets the
 * speed of the Map.
 *
 * Values lie one behind the other, in the order they came: a thousand user agents are 150 kB, which the processor's
 * cache holds. With a place for each by its hash they would be spread over all pages of a larger table, and looking
 * there is slower than comparing.
 */

const SETS = 4096;
/** 32 bits of hash → a set of places, in one line of the processor's cache. */
const SHIFT = 32 - Math.log2(SETS);
const PLACES = 4;
const QUOTE = 34;
const QUOTES = 0x22222222;
const MULTIPLIER = 0x9e3779b1;

/** Of a value: its id, its length, its bytes behind the last whole word, its words. */
const ID = 0;
const LENGTH = 1;
const REST = 2;
const WORDS = 3;
/** Of all values. When it is full everything is forgotten. */
const MAX_WORDS = 262_144;
/** Longer values are not kept. */
const MAX_BYTES = 512;

export class QuotedIds {
  /** Position of the closing quote of the value that `find` looked at. */
  end = 0;
  #hash = 0;
  #rest = 0;
  /** Where the value of a place begins; 0: the place is empty. */
  readonly #starts = new Int32Array(SETS * PLACES);
  readonly #values = new Int32Array(MAX_WORDS);
  /** Of `#values`; the first is no value's. */
  #used = 1;

  /**
   * Id of the value that begins at `at`; 0 when it is not here; -1 when no quote ends it before `limit`, or something
   * that is not plain comes before the quote.
   */
  find(view: DataView, at: number, limit: number): number {
    this.#measure(view, at, limit);
    if (this.end >= limit) return -1;
    const set = this.#set();
    for (let place = set; place < set + PLACES; place += 1) {
      const start = this.#starts[place] as number;
      if (start === 0) break;
      if (this.#isAt(start, view, at)) return this.#values[start + ID] as number;
    }
    // What is here was looked at when it came first.
    return quoteAt(view, at, limit) === this.end ? 0 : -1;
  }

  /** The value that `find` looked at has this id. 0 is none: it may be another one later. */
  keep(view: DataView, at: number, id: number): void {
    const length = this.end - at;
    if (id === 0 || length > MAX_BYTES) return;
    const words = length >> 2;
    if (this.#used + WORDS + words > MAX_WORDS) {
      this.#starts.fill(0);
      this.#used = 1;
    }
    const values = this.#values;
    const start = this.#used;
    values[start + ID] = id;
    values[start + LENGTH] = length;
    values[start + REST] = this.#rest;
    for (let word = 0; word < words; word += 1) {
      values[start + WORDS + word] = view.getInt32(at + word * 4, true);
    }
    this.#used = start + WORDS + words;
    const set = this.#set();
    // The oldest of the set is forgotten.
    this.#starts.copyWithin(set + 1, set, set + PLACES - 1);
    this.#starts[set] = start;
  }

  #set(): number {
    return (Math.imul(this.#hash ^ (this.#hash >>> 15), MULTIPLIER) >>> SHIFT) * PLACES;
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

  #isAt(start: number, view: DataView, at: number): boolean {
    const values = this.#values;
    const length = this.end - at;
    if (values[start + LENGTH] !== length || values[start + REST] !== this.#rest) return false;
    const behind = start + WORDS + (length >> 2);
    let next = at;
    for (let word = start + WORDS; word < behind; word += 1) {
      if (values[word] !== view.getInt32(next, true)) return false;
      next += 4;
    }
    return true;
  }
}

/** Position of the first quote; -1 when there is none before `limit`, or a byte that is not printable ASCII before it. */
export function quoteAt(view: DataView, from: number, limit: number): number {
  let at = from;
  for (; at + 4 <= limit; at += 4) {
    const word = view.getInt32(at, true);
    // Bytes below 32, by the same trick, and beyond 127.
    const strange = (((word - 0x20202020) & ~word) | word) & 0x80808080;
    if (strange !== 0 || hasQuote(word)) break;
  }
  for (; at < limit; at += 1) {
    const code = view.getUint8(at);
    if (code === QUOTE) return at;
    if (code < 32 || code > 127) return -1;
  }
  return -1;
}

/** Whether one of four bytes is a quote: memchr's bit trick for "one of them is zero". */
function hasQuote(word: number): boolean {
  const zero = word ^ QUOTES;
  return ((zero - 0x01010101) & ~zero & 0x80808080) !== 0;
}
