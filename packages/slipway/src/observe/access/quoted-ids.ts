/**
 * Ids of values that stand in quotes, by their bytes: a value that was seen lately costs neither a string nor a look into
 * a Map, which is most of what a user agent and a referer would cost. Who sends values that push each other out gets the
 * speed of the Map.
 *
 * Values lie one behind the other, in the order they came: a thousand user agents are 150 kB, which the processor's
 * cache holds. With a place for each by its hash they would be spread over all pages of a larger table, and looking
 * there is slower than comparing.
 *
 * A value is taken as blocks of 16 bytes, then its last 16 once more, which overlap the block before: no loop runs over
 * the odd bytes at the end, whose number the processor would guess wrong each time. Functions are long here because V8
 * puts only so much of others into one.
 */

const SETS = 4096;
/** 32 bits of hash → a set of places, in one line of the processor's cache. */
const SHIFT = 32 - Math.log2(SETS);
const PLACES = 4;
const QUOTE = 34;
const QUOTES = 0x22222222;
const ONES = 0x01010101;
const HIGH_BITS = 0x80808080 | 0;
/** Brings the marks of four bytes together in the upper byte. */
const GATHER = 0x01020408;
const MULTIPLIER = 0x9e3779b1;
/** From the factor of a word to that of the next. */
const STEP = 0x3c6ef372;

/** In bytes. */
const BLOCK = 16;
/** Of a value: its id, its length, the four words of its last block, the words of its blocks. */
const ID = 0;
const LENGTH = 1;
const LAST = 2;
const WORDS = 6;
/** Of all values. When it is full everything is forgotten. */
const MAX_WORDS = 262_144;
/** Longer values are not kept. */
const MAX_BYTES = 512;

export class QuotedIds {
  /** Position of the closing quote of the value that `find` looked at. */
  end = 0;
  #set = 0;
  /** Where the value of a place begins; 0: the place is empty. */
  readonly #starts = new Int32Array(SETS * PLACES);
  readonly #values = new Int32Array(MAX_WORDS);
  /** Of `#values`; the first is no value's. */
  #used = 1;

  /**
   * Id of the value that begins at `at`; 0 when it is not here; -1 when no quote ends it before `limit`, or something
   * that is not plain comes before the quote. Behind `limit` there are at least 16 more bytes.
   */
  find(view: DataView, at: number, limit: number): number {
    let hash = 0;
    // Another odd factor at each place, so that the products do not wait for each other as in a chained hash.
    let factor = MULTIPLIER;
    let end = limit;
    for (let next = at; next < limit; next += BLOCK) {
      const a = view.getInt32(next, true);
      const b = view.getInt32(next + 4, true);
      const c = view.getInt32(next + 8, true);
      const d = view.getInt32(next + 12, true);
      // Zero where there is a quote, and memchr's trick for "one of four bytes is zero". It marks the first one surely.
      const p = a ^ QUOTES;
      const q = b ^ QUOTES;
      const r = c ^ QUOTES;
      const s = d ^ QUOTES;
      const inA = (p - ONES) & ~p & HIGH_BITS;
      const inB = (q - ONES) & ~q & HIGH_BITS;
      const inC = (r - ONES) & ~r & HIGH_BITS;
      const inD = (s - ONES) & ~s & HIGH_BITS;
      if ((inA | inB | inC | inD) !== 0) {
        const marks =
          (Math.imul(inA >>> 7, GATHER) >>> 24) |
          ((Math.imul(inB >>> 7, GATHER) >>> 24) << 4) |
          ((Math.imul(inC >>> 7, GATHER) >>> 24) << 8) |
          ((Math.imul(inD >>> 7, GATHER) >>> 24) << 12);
        end = next + 31 - Math.clz32(marks & -marks);
        break;
      }
      const sum = Math.imul(a, factor) + Math.imul(b, factor + STEP);
      hash = (hash + sum + Math.imul(c, factor + 2 * STEP) + Math.imul(d, factor + 3 * STEP)) | 0;
      factor = (factor + 4 * STEP) | 0;
    }
    this.end = end;
    if (end >= limit) return -1;

    const length = end - at;
    const isLong = length >= BLOCK;
    const last = isLong ? end - BLOCK : at;
    let a = view.getInt32(last, true);
    let b = view.getInt32(last + 4, true);
    let c = view.getInt32(last + 8, true);
    let d = view.getInt32(last + 12, true);
    if (!isLong) {
      a = firstOf(length, a);
      b = firstOf(length - 4, b);
      c = firstOf(length - 8, c);
      d = firstOf(length - 12, d);
    }
    const sum = Math.imul(a + length, factor) + Math.imul(b, factor + STEP);
    hash = (hash + sum + Math.imul(c, factor + 2 * STEP) + Math.imul(d, factor + 3 * STEP)) | 0;
    const set = (Math.imul(hash ^ (hash >>> 15), MULTIPLIER) >>> SHIFT) * PLACES;
    this.#set = set;
    const values = this.#values;
    for (let place = set; place < set + PLACES; place += 1) {
      const start = this.#starts[place] as number;
      if (start === 0) break;
      let differs =
        ((values[start + LENGTH] as number) ^ length) |
        ((values[start + LAST] as number) ^ a) |
        ((values[start + LAST + 1] as number) ^ b) |
        ((values[start + LAST + 2] as number) ^ c) |
        ((values[start + LAST + 3] as number) ^ d);
      if (differs !== 0) continue;
      let word = start + WORDS;
      for (let next = at; next + BLOCK <= end; next += BLOCK) {
        differs |=
          ((values[word] as number) ^ view.getInt32(next, true)) |
          ((values[word + 1] as number) ^ view.getInt32(next + 4, true)) |
          ((values[word + 2] as number) ^ view.getInt32(next + 8, true)) |
          ((values[word + 3] as number) ^ view.getInt32(next + 12, true));
        word += 4;
      }
      if (differs === 0) return values[start + ID] as number;
    }
    // What is here was looked at when it came first.
    return quoteAt(view, at, limit) === end ? 0 : -1;
  }

  /** The value that `find` looked at has this id. 0 is none: it may be another one later. */
  keep(view: DataView, at: number, id: number): void {
    const length = this.end - at;
    if (id === 0 || length > MAX_BYTES) return;
    const blocks = Math.floor(length / BLOCK);
    const words = WORDS + blocks * 4;
    if (this.#used + words > MAX_WORDS) {
      this.#starts.fill(0);
      this.#used = 1;
    }
    const values = this.#values;
    const start = this.#used;
    values[start + ID] = id;
    values[start + LENGTH] = length;
    for (let word = 0; word < 4; word += 1) {
      values[start + LAST + word] =
        length >= BLOCK
          ? view.getInt32(this.end - BLOCK + word * 4, true)
          : firstOf(length - word * 4, view.getInt32(at + word * 4, true));
    }
    for (let word = 0; word < blocks * 4; word += 1) {
      values[start + WORDS + word] = view.getInt32(at + word * 4, true);
    }
    this.#used = start + words;
    const set = this.#set;
    // The oldest of the set is forgotten.
    this.#starts.copyWithin(set + 1, set, set + PLACES - 1);
    this.#starts[set] = start;
  }
}

/** So many bytes of the word: all four, some, or none; zeros for the others. */
function firstOf(bytes: number, word: number): number {
  return bytes >= 4 ? word : bytes <= 0 ? 0 : word & ((1 << (8 * bytes)) - 1);
}

/**
 * Position of the first quote; -1 when there is none before `limit`, or a byte that is not printable ASCII before it.
 * Behind `limit` there are at least 4 more bytes.
 */
export function quoteAt(view: DataView, from: number, limit: number): number {
  for (let at = from; at < limit; at += 4) {
    const word = view.getInt32(at, true);
    const zero = word ^ QUOTES;
    // Beside quotes, bytes below 32 and beyond 127. The first mark is right, whatever those behind it are.
    const marks = (((word - 0x20202020) & ~word) | word | ((zero - ONES) & ~zero)) & HIGH_BITS;
    if (marks === 0) continue;
    const found = at + ((31 - Math.clz32(marks & -marks)) >> 3);
    return found < limit && view.getUint8(found) === QUOTE ? found : -1;
  }
  return -1;
}
