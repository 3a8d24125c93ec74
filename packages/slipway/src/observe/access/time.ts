/**
 * Times as logs write them, read without a Date for each line: whatever is the same for all lines of one second is
 * remembered with its text. NaN is "not a time".
 */

/** `$time_local`: `05/Jan/2026:13:55:36 +0900`, always this long. */
export const LOCAL_TIME_LENGTH = 26;

const MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec";

/** One for each stream, because its memory is of the last second seen. */
export class Times {
  #local = "";
  #localMs = Number.NaN;
  #iso = "";
  #isoMs = Number.NaN;

  /** Of the text that begins at `at`; the caller knows that there is enough of it. */
  local(text: string, at: number): number {
    if (isSame(this.#local, text, at)) return this.#localMs;
    const ms = localTime(text, at);
    if (Number.isNaN(ms)) return ms;
    this.#local = own(text, at, at + LOCAL_TIME_LENGTH);
    this.#localMs = ms;
    return ms;
  }

  /** RFC 3339 with any number of decimals, a `T` or a space, an offset with or without colon; none means UTC. */
  iso(text: string, at: number, end: number): number {
    if (end - at < 19) return Number.NaN;
    let base: number;
    if (isSame(this.#iso, text, at)) base = this.#isoMs;
    else {
      base = isoSecond(text, at);
      if (Number.isNaN(base)) return base;
      this.#iso = own(text, at, at + 19);
      this.#isoMs = base;
    }
    let next = at + 19;
    let scale = 100;
    const separator = text.charCodeAt(next);
    if (next < end && (separator === DOT || separator === COMMA)) {
      next += 1;
      const digits = next;
      for (; next < end; next += 1) {
        const digit = text.charCodeAt(next) - ZERO;
        if (digit < 0 || digit > 9) break;
        if (scale >= 1) base += digit * scale;
        scale = scale === 1 ? 0 : scale / 10;
      }
      if (next === digits) return Number.NaN;
    }
    if (next === end) return base;
    const zone = text.charCodeAt(next);
    if ((zone === 0x5a || zone === 0x7a) && next + 1 === end) return base;
    return base - offsetMs(text, next, end);
  }
}

/** What `startsWith` says, at a third of its cost. */
function isSame(known: string, text: string, at: number): boolean {
  // The last characters differ most.
  for (let index = known.length - 1; index >= 0; index -= 1) {
    if (known.charCodeAt(index) !== text.charCodeAt(at + index)) return false;
  }
  return known !== "";
}

const ZERO = 48;
const DOT = 46;
const COMMA = 44;

/** A copy that does not keep the megabyte alive that it is a slice of. */
function own(text: string, from: number, to: number): string {
  return Buffer.from(text.slice(from, to), "latin1").toString("latin1");
}

function digits(text: string, at: number, count: number): number {
  let value = 0;
  for (let index = at; index < at + count; index += 1) {
    const digit = text.charCodeAt(index) - ZERO;
    // A position behind the end is NaN, which is no digit either.
    if (!(digit >= 0 && digit <= 9)) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}

function localTime(text: string, at: number): number {
  const month = MONTHS.indexOf(text.slice(at + 3, at + 6));
  if (month < 0 || month % 3 !== 0 || text[at + 2] !== "/" || text[at + 6] !== "/") return Number.NaN;
  if (text[at + 11] !== ":" || text[at + 14] !== ":" || text[at + 17] !== ":" || text[at + 20] !== " ") {
    return Number.NaN;
  }
  const date = [digits(text, at + 7, 4), month / 3, digits(text, at, 2)] as const;
  const clock = [digits(text, at + 12, 2), digits(text, at + 15, 2), digits(text, at + 18, 2)] as const;
  return utc(date, clock) - offsetMs(text, at + 21, at + LOCAL_TIME_LENGTH);
}

function isoSecond(text: string, at: number): number {
  const between = text[at + 10];
  if (
    text[at + 4] !== "-" ||
    text[at + 7] !== "-" ||
    (between !== "T" && between !== "t" && between !== " ")
  ) {
    return Number.NaN;
  }
  if (text[at + 13] !== ":" || text[at + 16] !== ":") return Number.NaN;
  const date = [digits(text, at, 4), digits(text, at + 5, 2) - 1, digits(text, at + 8, 2)] as const;
  const clock = [digits(text, at + 11, 2), digits(text, at + 14, 2), digits(text, at + 17, 2)] as const;
  return utc(date, clock);
}

/** A leap second (60) is the first of the next minute, as everywhere in POSIX. */
function utc(
  [year, month, day]: readonly [number, number, number],
  [hour, minute, second]: readonly [number, number, number],
): number {
  // What is further away than anything that can be logged is no time: a day of it would be kept for ever.
  if (!(year >= 1970 && year < 2200)) return Number.NaN;
  if (!(month >= 0 && month <= 11 && day >= 1 && hour <= 23 && minute <= 59 && second <= 60))
    return Number.NaN;
  if (day > 28 && day > new Date(Date.UTC(year, month + 1, 0)).getUTCDate()) return Number.NaN;
  return Date.UTC(year, month, day, hour, minute, second);
}

/** `+0900`, `+09:00`, `-03`. */
function offsetMs(text: string, at: number, end: number): number {
  const sign = text[at] === "+" ? 1 : text[at] === "-" ? -1 : Number.NaN;
  const hours = digits(text, at + 1, 2);
  const rest = end - at - 3;
  const minutes =
    rest === 0
      ? 0
      : rest === 2
        ? digits(text, at + 3, 2)
        : rest === 3 && text[at + 3] === ":"
          ? digits(text, at + 4, 2)
          : Number.NaN;
  if (!(hours <= 18 && minutes <= 59)) return Number.NaN;
  return sign * (hours * 3_600_000 + minutes * 60_000);
}
