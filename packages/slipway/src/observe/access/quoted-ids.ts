/**
 * Ids of values that stand in quotes, by their bytes: a value that was seen lately costs neither a string nor a look into
 * a Map, which is most of what a user agent and a referer would cost. Each value has one of two places in a table of
 * fixed size; whoever sends values that push each other out gets the speed of the Map.
 */

const SETS = 4096;
/** 32 bits of hash → a set. */
const SHIFT = 32 - Math.log2(SETS);
const QUOTE = 34;
const QUOTES = 0x22222222;
const MULTIPLIER = 0x9e3779b1;

/** Of a value in `#slots`: its id, its length, its bytes behind the last whole word, its words. */
const ID = 0;
const LENGTH = 1;
const REST = 2;
const WORDS = 3;
/** Two to a set, side by side. */
const SLOT = 64;
/** Longer values are not kept. */
const MAX_BYTES = (SLOT - WORDS) * 4;

export class QuotedIds {
  /** Position of the closing quote of the value that `find` looked at. */
  end = 0;
  #hash = 0;
  #rest = 0;
  #isSecond = false;
  readonly #slots = new Int32Array(SETS * 2 * SLOT);

  /** Id of the value that begins at `at`; 0 when it is not here; -1 when no quote ends it before `limit`. */
  find(view: DataView, at: number, limit: number): number {
    this.#measure(view, at, limit);
    if (this.end >= limit) return -1;
    const slot = this.#set();
    if (this.#isIn(slot, view, at)) return this.#slots[slot + ID] as number;
    if (this.#isIn(slot + SLOT, view, at)) return this.#slots[slot + SLOT + ID] as number;
    return 0;
  }

  /** The value that `find` looked at has this id. 0 is none: it may be another one later. */
  keep(view: DataView, at: number, id: number): void {
    const length = this.end - at;
    if (id === 0 || length > MAX_BYTES) return;
    this.#isSecond = !this.#isSecond;
    const slot = this.#set() + (this.#isSecond ? SLOT : 0);
    const slots = this.#slots;
    slots[slot + ID] = id;
    slots[slot + LENGTH] = length;
    slots[slot + REST] = this.#rest;
    for (let word = 0; word < length >> 2; word += 1) {
      slots[slot + WORDS + word] = view.getInt32(at + word * 4, true);
    }
  }

  #set(): number {
    return (Math.imul(this.#hash ^ (this.#hash >>> 15), MULTIPLIER) >>> SHIFT) * 2 * SLOT;
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

  #isIn(slot: number, view: DataView, at: number): boolean {
    const slots = this.#slots;
    const length = this.end - at;
    if (slots[slot + LENGTH] !== length || slots[slot + REST] !== this.#rest) return false;
    const behind = slot + WORDS + (length >> 2);
    let next = at;
    for (let word = slot + WORDS; word < behind; word += 1) {
      if (slots[word] !== view.getInt32(next, true)) return false;
      next += 4;
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
