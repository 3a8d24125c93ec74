/**
 * Values of query strings that must never be stored. A parameter is secret when its name, or the last word of it, is one
 * of the names: `token`, `access_token`, `api-key`, `apiKey`, `user[password]`, `X-Amz-Signature`. `code` alone counts as
 * a whole name only: `country_code` is no secret. What stands elsewhere in a line: redact-text.ts.
 */
const ALWAYS = [
  ...["token", "password", "code", "key"],
  ...["passwd", "pwd", "secret", "authorization", "signature", "sig", "jwt"],
];
const WHOLE_ONLY = new Set(["code"]);
/** Of names that are written as one word: `apikey`, `accesstoken`. Not `key`: `monkey`. */
const ENDINGS = [
  ...["token", "password", "passwd", "secret", "signature"],
  ...["apikey", "accesskey", "secretkey", "authkey"],
];
export const REDACTED = "REDACTED";
const EQUALS = 61;
const PERCENT = 37;
const BRACKET = 93;

export class Redactor {
  readonly #names: ReadonlySet<string>;
  /** As they were given, in lower case. */
  readonly further: readonly string[];
  /** By character: a secret name can end in it. Most names end otherwise and cost one look. */
  readonly #lastCharacters = new Uint8Array(256);
  /** By the last two, the last but one first. */
  readonly #lastPairs = new Uint8Array(65_536);

  /** `further`: names beside those that are always secret; compared without case. */
  constructor(further: readonly string[] = []) {
    this.further = further.map((name) => name.toLowerCase());
    this.#names = new Set([...ALWAYS, ...this.further]);
    for (const name of this.#names) {
      const last = name.charCodeAt(name.length - 1) & 255;
      this.#lastCharacters[last] = 1;
      this.#lastCharacters[String.fromCharCode(last).toUpperCase().charCodeAt(0) & 255] = 1;
    }
    for (const name of this.#names) this.#learnPairs(name.at(-2), name.at(-1) ?? "");
    // `user[password]`, and names whose last character is written as `%6E`.
    for (const character of "]0123456789ABCDEFabcdef") this.#lastCharacters[character.charCodeAt(0)] = 1;
  }

  /** Of a name of one letter: any pair that ends in it. */
  #learnPairs(before: string | undefined, last: string): void {
    const codes =
      before === undefined
        ? Array.from({ length: 256 }, (_, code) => code)
        : [before, before.toUpperCase()].map((text) => text.charCodeAt(0) & 255);
    for (const code of codes) {
      for (const text of [last, last.toUpperCase()]) {
        this.#lastPairs[(code << 8) | (text.charCodeAt(0) & 255)] = 1;
      }
    }
  }

  /** Of a URL or of any text with URLs in it; the same string when nothing is secret. `from`: the first `?` or before. */
  apply(text: string, from = text.indexOf("?")): string {
    if (from < 0) return text;
    let result = "";
    let copied = 0;
    let equals = text.indexOf("=", from);
    while (equals > 0) {
      if (
        this.#lastCharacters[text.charCodeAt(equals - 1) & 255] === 1 &&
        this.#isSecret(text, from, equals)
      ) {
        const end = valueEnd(text, equals + 1);
        if (end > equals + 1) {
          result += `${text.slice(copied, equals + 1)}${REDACTED}`;
          copied = end;
        }
        equals = text.indexOf("=", end);
      } else equals = text.indexOf("=", equals + 1);
    }
    return copied === 0 ? text : result + text.slice(copied);
  }

  /** False when `apply` would change nothing in the bytes from `from` (the first `?`) to `end`, seen without a string. */
  mayChange(view: DataView, from: number, end: number): boolean {
    for (let at = from + 1; at < end; at += 1) {
      if (view.getUint8(at) !== EQUALS) continue;
      const last = view.getUint8(at - 1);
      if (this.#lastCharacters[last] === 0) continue;
      // Most names that end in such a character do not end in the two.
      const isOther =
        at < from + 4 ||
        last === BRACKET ||
        view.getUint8(at - 3) === PERCENT ||
        view.getUint8(at - 4) === PERCENT;
      if (isOther || this.#lastPairs[(view.getUint8(at - 2) << 8) | last] === 1) return true;
    }
    return false;
  }

  #isSecret(text: string, from: number, equals: number): boolean {
    let start = equals;
    while (start > from && equals - start < 100 && !isDelimiter(text.charCodeAt(start - 1))) start -= 1;
    const before = text.charCodeAt(start - 1);
    if (!(before === 63 || before === 38 || before === 59)) return false;
    const name = decoded(text.slice(start, equals));
    if (this.#names.has(name)) return true;
    if (isOneWord(name)) return ENDINGS.some((end) => name.endsWith(end));
    const lower = name.toLowerCase();
    if (this.#names.has(lower) || ENDINGS.some((end) => lower.endsWith(end))) return true;
    const last = lastWord(name);
    return last !== name && this.#names.has(last) && !WHOLE_ONLY.has(last);
  }
}

/** `?`, `&`, `;`, white space and quotes: before a name there is always one of them. */
function isDelimiter(code: number): boolean {
  return code === 63 || code === 38 || code === 59 || code <= 32 || code === 34;
}

/** A value ends at `&`, `;`, `#`, white space or a quote. */
function valueEnd(text: string, from: number): number {
  let end = from;
  for (; end < text.length; end += 1) {
    const code = text.charCodeAt(end);
    if (code === 38 || code === 59 || code === 35 || code <= 32 || code === 34) break;
  }
  return end;
}

function decoded(name: string): string {
  if (!name.includes("%")) return name;
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** Lower case letters only, as most names are. */
function isOneWord(name: string): boolean {
  for (let at = 0; at < name.length; at += 1) {
    const code = name.charCodeAt(at);
    if (code < 97 || code > 122) return false;
  }
  return true;
}

/** `accessToken` → `token`, `user[password]` → `password`. */
function lastWord(name: string): string {
  const words = name.match(/[A-Z]?[a-z]+|[A-Z]+|[0-9]+/g);
  return words?.at(-1)?.toLowerCase() ?? "";
}
