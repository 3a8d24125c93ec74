/**
 * `.env` and `env_file` files as Compose reads them: `KEY=value` or `KEY: value`, optional `export`, comments, single quotes
 * literal, double quotes with escapes, variables in all but single quotes; quoted values may span lines.
 *
 * Source: compose-go 2.13, dotenv/parser.go. What looks odd here is so there.
 */
import { interpolate } from "./interpolate.ts";

export class EnvFileError extends Error {
  override readonly name = "EnvFileError";
  readonly line: number;
  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

/** Space that ends no line. */
const SPACE = "[\\t\\v\\f\\r \\u0085\\u00a0]";
const BLANK = /^(?:\s+|#[^\n]*)/;
const KEY = new RegExp(`^(?:export${SPACE}+)?([\\p{L}\\p{N}_.[\\]-]+)${SPACE}*([=:\\n])${SPACE}*`, "u");
const LAST_KEY = /^(?:export\s+)?[\p{L}\p{N}_.[\]-]+$/u;

/**
 * A key without `=` takes what `lookup` has, and is left out when it has nothing. `before` is what the files before this
 * one said: its variables are seen here, and the answer has them too.
 */
export function parseEnvFile(
  text: string,
  lookup: (name: string) => string | undefined,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const found: Record<string, string> = { ...before };
  const known = (name: string): string | undefined => lookup(name) ?? found[name];
  let rest = text.replace(/^\uFEFF/, "");
  let line = 1;
  const take = (length: number): void => {
    line += rest.slice(0, length).split("\n").length - 1;
    rest = rest.slice(length);
  };
  while (rest !== "") {
    const blank = BLANK.exec(rest);
    if (blank !== null) {
      take(blank[0].length);
      continue;
    }
    const key = KEY.exec(rest);
    if (key === null) throw new EnvFileError(line, noKey(rest.split("\n")[0]?.trimEnd() ?? ""));
    const [whole, name = "", separator] = key;
    if (separator === "\n") {
      const inherited = lookup(name);
      if (inherited !== undefined) found[name] = inherited;
      take(whole.length);
      continue;
    }
    take(whole.length);
    const { value, length } = readValue(rest, line, known);
    found[name] = value;
    take(length);
  }
  return found;
}

/** Compose takes a last line without its end for the value of a variable without a name. */
const noKey = (written: string): string =>
  LAST_KEY.test(written)
    ? `"${written}" needs an = or the end of the line behind it, or Compose does not read it as a name`
    : `"${written}" is not KEY=value`;

function readValue(
  rest: string,
  line: number,
  lookup: (name: string) => string | undefined,
): { readonly value: string; readonly length: number } {
  const expand = (text: string): string => {
    try {
      return interpolate(text, lookup).text;
    } catch (error) {
      throw new EnvFileError(line, error instanceof Error ? error.message : String(error));
    }
  };
  // What stands behind a closing quote is read as a line of its own.
  const quoted = /^'((?:\\[\s\S]|[^'\\])*)'|^"((?:\\[\s\S]|[^"\\])*)"/.exec(rest);
  if (quoted !== null) {
    const [whole, single, double = ""] = quoted;
    return { value: single?.replaceAll("\\'", "'") ?? expand(unescaped(double)), length: whole.length };
  }
  if (/^["']/.test(rest)) throw new EnvFileError(line, "the quotes are not closed");
  const plain = /^[^\n]*/.exec(rest)?.[0] ?? "";
  // A comment begins with a space before it, so none of it is where nothing is before it.
  return { value: expand((plain.split(" #")[0] ?? "").trimEnd()), length: plain.length };
}

const ESCAPES: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  '"': '"',
  "\\": "\\",
  $: "$$",
};

/** An escape that is none of these stays as it is written; `\0123` is the letter with that octal number. */
function unescaped(text: string): string {
  return text.replaceAll(/\\(?:0([0-3][0-7]{2})|([\s\S]))/g, (whole, octal?: string, letter = "") =>
    octal === undefined ? (ESCAPES[letter] ?? whole) : String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
