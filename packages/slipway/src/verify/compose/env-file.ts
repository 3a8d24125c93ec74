/**
 * `.env` and `env_file` files as Compose reads them: `KEY=value`, optional `export`, comments, single quotes literal,
 * double quotes with escapes, variables in all but single quotes; quoted values may span lines.
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

/** A key without `=` takes what `lookup` has, and is left out when it has nothing. */
export function parseEnvFile(
  text: string,
  lookup: (name: string) => string | undefined,
): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  const known = (name: string): string | undefined => lookup(name) ?? found[name];
  let rest = text.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n");
  let line = 1;
  const take = (length: number): void => {
    line += rest.slice(0, length).split("\n").length - 1;
    rest = rest.slice(length);
  };
  while (rest !== "") {
    const blank = /^(?:[ \t]*(?:#[^\n]*)?\n|[ \t]*#[^\n]*$|\s+$)/.exec(rest);
    if (blank !== null) {
      take(blank[0].length);
      continue;
    }
    const key = /^[ \t]*(?:export[ \t]+)?([A-Za-z_][\w.-]*)[ \t]*(=|(?=\n|$))[ \t]*/.exec(rest);
    if (key === null) throw new EnvFileError(line, `"${rest.split("\n")[0]}" is not KEY=value`);
    const [whole, name = "", equals] = key;
    take(whole.length);
    if (equals === "") {
      const inherited = lookup(name);
      if (inherited !== undefined) found[name] = inherited;
      continue;
    }
    const { value, length } = readValue(rest, line, known);
    found[name] = value;
    take(length);
  }
  return found;
}

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
  const quoted = /^(?:'([^']*)'|"((?:\\[\s\S]|[^"\\])*)")[ \t]*(?:#[^\n]*)?(?=\n|$)/.exec(rest);
  if (quoted !== null) {
    const [whole, single, double = ""] = quoted;
    return { value: single ?? expand(unescaped(double)), length: whole.length };
  }
  if (/^["']/.test(rest)) throw new EnvFileError(line, "the quotes are not closed");
  const plain = /^[^\n]*/.exec(rest)?.[0] ?? "";
  return { value: expand(plain.replace(/(?:^|[ \t]+)#.*$/, "").trimEnd()), length: plain.length };
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  r: "\r",
  t: "\t",
  '"': '"',
  "\\": "\\",
  $: "$$",
};

function unescaped(text: string): string {
  return text.replaceAll(/\\([\s\S])/g, (whole, letter: string) => ESCAPES[letter] ?? whole);
}
