/**
 * One line as a JSON object, mended where nginx writes what is no JSON: `"status":000`, `"rt":`, `"rt":0.1, 0.2`,
 * `"rt":-` come from variables without quotes. Undefined when it is no object even so.
 */
import type { JsonObject } from "./json-request.ts";

export function parseObject(text: string): JsonObject | undefined {
  return parse(text) ?? parse(mended(text));
}

function parse(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as JsonObject)
      : undefined;
  } catch {
    return undefined;
  }
}

const LITERAL = /^(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)$/;

/** Values outside of strings that are no JSON are put in quotes. Linear in the length of the text. */
function mended(text: string): string {
  let result = "";
  let at = 0;
  while (at < text.length) {
    const character = text[at];
    if (character === '"') {
      const end = stringEnd(text, at);
      result += text.slice(at, end);
      at = end;
    } else if (character === ":") {
      result += ":";
      at += 1;
      while (text[at] === " ") at += 1;
      const next = text[at] ?? "";
      if (next === '"' || next === "{" || next === "[") continue;
      const end = valueEnd(text, at);
      const value = text.slice(at, end).trim();
      result += LITERAL.test(value) ? value : JSON.stringify(value);
      at = end;
    } else {
      result += character;
      at += 1;
    }
  }
  return result;
}

function stringEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === "\\") at += 1;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}

/** A value without quotes ends at `}`, or at a comma with a key behind it: lists have commas too. */
function valueEnd(text: string, start: number): number {
  for (let at = start; at < text.length; at += 1) {
    const character = text[at];
    if (character === "}" || character === "]" || character === '"') return at;
    if (character !== ",") continue;
    let next = at + 1;
    while (text[next] === " ") next += 1;
    if (text[next] === '"') return at;
  }
  return text.length;
}
