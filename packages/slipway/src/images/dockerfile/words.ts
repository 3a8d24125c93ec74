/**
 * Words and variables as Docker's own lexer reads them (not as a shell does): `$NAME`, `${NAME}`, `${NAME:-word}`,
 * `${NAME-word}`, `${NAME:+word}`, `${NAME+word}`, `${NAME:?word}`, `${NAME?word}`; without what fits a pattern at the start
 * (`${NAME#pattern}`, `##` the longest) or at the end (`%`, `%%`), or with another text for it (`${NAME/pattern/text}`, `//`
 * everywhere); single quotes are literal, double quotes are not, the escape character (`\` unless a directive says
 * otherwise) protects one character.
 *
 * Source: the Dockerfile reference, "Environment replacement"; BuildKit's shell lexer for the corner cases.
 */

export type Variables = Readonly<Record<string, string>>;

/** Undefined where it is not set. `constructor` is a name like others, and none of an object's own. */
export const variable = (variables: Variables, name: string): string | undefined =>
  Object.hasOwn(variables, name) ? variables[name] : undefined;

/** A mistake in a word; the caller knows the place. */
export class WordError extends Error {
  override readonly name = "WordError";
}

/** One word: quotes removed, variables replaced. An unknown variable is empty. */
export function expandWord(text: string, variables: Variables, escapeChar: string): string {
  return new Lexer(text, variables, escapeChar).word(undefined);
}

/** Splits at blanks outside quotes; quotes and escapes stay in the words. */
export function splitWords(text: string, escapeChar: string): readonly string[] {
  const words: string[] = [];
  let word = "";
  let quote: string | undefined;
  let isInWord = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at] as string;
    if (quote === undefined && /\s/.test(char)) {
      if (isInWord) words.push(word);
      word = "";
      isInWord = false;
      continue;
    }
    isInWord = true;
    word += char;
    if (char === escapeChar && quote !== "'" && at + 1 < text.length) {
      at += 1;
      word += text[at];
    } else if (quote === undefined && (char === '"' || char === "'")) quote = char;
    else if (char === quote) quote = undefined;
  }
  if (isInWord) words.push(word);
  return words;
}

/**
 * `A=1 B="two words"` → pairs, not yet expanded. The old form `NAME the rest of the line` is one pair.
 * Undefined when a word is no pair.
 */
export function splitPairs(
  text: string,
  escapeChar: string,
): readonly (readonly [string, string])[] | undefined {
  const words = splitWords(text, escapeChar);
  const first = words[0];
  if (first === undefined) return undefined;
  if (!first.includes("=")) {
    const rest = text.trimStart().slice(first.length).trim();
    return rest === "" ? undefined : [[first, rest]];
  }
  const pairs = words.map((word) => {
    const equals = word.indexOf("=");
    return [word.slice(0, equals), word.slice(equals + 1), equals > 0] as const;
  });
  return pairs.every(([, , isPair]) => isPair)
    ? pairs.map(([name, value]) => [name, value] as const)
    : undefined;
}

/** The strings of a JSON array, or undefined when the text is not one (then Docker takes the shell form). */
export function parseJsonForm(text: string): readonly string[] | undefined {
  if (!text.trimStart().startsWith("[")) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((one) => typeof one === "string") ? value : undefined;
  } catch {
    return undefined;
  }
}

class Lexer {
  readonly #text: string;
  readonly #variables: Variables;
  readonly #escapeChar: string;
  #at = 0;

  constructor(text: string, variables: Variables, escapeChar: string) {
    this.#text = text;
    this.#variables = variables;
    this.#escapeChar = escapeChar;
  }

  /** Up to `stop` (not consumed) or the end. In a pattern what is escaped stays escaped, as a `*` that is meant as such. */
  word(stop: string | undefined, isPattern = false): string {
    let result = "";
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at] as string;
      if (char === stop) break;
      this.#at += 1;
      if (char === "'") result += this.#single();
      else if (char === '"') result += this.#double();
      else if (char === "$") result += this.#dollar();
      else if (char === this.#escapeChar) {
        if (isPattern) result += "\\";
        result += this.#text[this.#at] ?? "";
        this.#at += 1;
      } else result += char;
    }
    return result;
  }

  #single(): string {
    const end = this.#text.indexOf("'", this.#at);
    if (end < 0) throw new WordError("a single quote is not closed");
    const result = this.#text.slice(this.#at, end);
    this.#at = end + 1;
    return result;
  }

  #double(): string {
    let result = "";
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at] as string;
      this.#at += 1;
      if (char === '"') return result;
      const next = this.#text[this.#at];
      if (char === "$") result += this.#dollar();
      else if (char === this.#escapeChar && (next === '"' || next === "$" || next === this.#escapeChar)) {
        result += next;
        this.#at += 1;
      } else result += char;
    }
    throw new WordError("a double quote is not closed");
  }

  #dollar(): string {
    if (this.#text[this.#at] !== "{") {
      const name = /^(?:[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?!-])/.exec(this.#text.slice(this.#at))?.[0];
      if (name === undefined) return "$";
      this.#at += name.length;
      return variable(this.#variables, name) ?? "";
    }
    this.#at += 1;
    const name = /^[A-Za-z_][A-Za-z0-9_]*/.exec(this.#text.slice(this.#at))?.[0] ?? "";
    this.#at += name.length;
    const operator = /^(?::?[-+?]|##?|%%?|\/\/?)?/.exec(this.#text.slice(this.#at))?.[0] ?? "";
    if (name === "" || (operator === "" && this.#text[this.#at] !== "}")) {
      const written = /^[^}]*\}?/.exec(this.#text.slice(this.#at - name.length))?.[0] ?? "";
      throw new WordError(`"\${${written}" is not a variable that is understood`);
    }
    this.#at += operator.length;
    const isReplaced = operator.startsWith("/");
    const pattern = isReplaced ? this.word("/", true) : "";
    if (isReplaced) this.#pass("/", name);
    const other = this.word("}", /^[#%]/.test(operator));
    this.#pass("}", name);
    const value = variable(this.#variables, name);
    if (value !== undefined) {
      if (isReplaced) return replaced(value, pattern, other, operator === "//");
      if (operator.startsWith("#")) return withoutStart(value, other, operator === "##");
      if (operator.startsWith("%")) return withoutEnd(value, other, operator === "%%");
    }
    const isSet = operator.startsWith(":") ? value !== undefined && value !== "" : value !== undefined;
    switch (operator.at(-1)) {
      case "-":
        return isSet ? (value as string) : other;
      case "+":
        return isSet ? other : "";
      case "?":
        if (!isSet) throw new WordError(`${name}: ${other === "" ? "is not set" : other}`);
        return value as string;
      default:
        return value ?? "";
    }
  }

  #pass(char: string, name: string): void {
    if (this.#text[this.#at] !== char) throw new WordError(`"\${${name}" is not closed`);
    this.#at += 1;
  }
}

const withoutStart = (value: string, pattern: string, isLongest: boolean): string =>
  value.replace(new RegExp(`^${patternSource(pattern, isLongest)}`, "su"), "");

/** The more is kept, the shorter is what fits. */
const withoutEnd = (value: string, pattern: string, isLongest: boolean): string =>
  new RegExp(`^(.*${isLongest ? "?" : ""})${patternSource(pattern, true)}$`, "su").exec(value)?.[1] ?? value;

function replaced(value: string, pattern: string, text: string, isEverywhere: boolean): string {
  if (pattern === "") return value;
  const expression = new RegExp(patternSource(pattern, true), isEverywhere ? "gsu" : "su");
  return value.replace(expression, () => text);
}

/** `*` is any text, `?` one character, and a backslash takes the next as it is. */
const patternSource = (pattern: string, isLongest: boolean): string =>
  pattern.replaceAll(/\\(.)|([*?])|[\\^$.+()[\]{}|/]/gsu, (all, escaped?: string, wild?: string) => {
    if (wild === "*") return isLongest ? ".*" : ".*?";
    if (wild === "?") return ".";
    return escaped === undefined ? `\\${all}` : escaped.replace(/[\\^$.*+?()[\]{}|/]/, "\\$&");
  });
