/** Texts and documents against what is expected of them; and of a text that does not fit, the line that is nearest. */
import { isDeepStrictEqual } from "node:util";
import { type DocumentExpectation, fail, type Json, type Judgement, pass, type Section } from "./check.ts";
import type { TextMatch } from "./text-match.ts";

const trimmed = (text: string): string => text.replace(/\r?\n$/, "");

export function fits(text: string, match: TextMatch): boolean {
  switch (match.is) {
    case "exactly":
      return trimmed(text) === trimmed(match.text);
    case "containing":
      return text.includes(match.text);
    case "matching":
      return new RegExp(match.source, match.flags).test(text);
    case "empty":
      return text === "";
  }
}

export function showMatch(match: TextMatch): string {
  if (match.is === "empty") return "empty";
  return match.is === "matching" ? `/${match.source}/${match.flags}` : JSON.stringify(match.text);
}

/** How often it stands in the text. */
export function occurrences(text: string, match: TextMatch): number {
  if (match.is === "empty") return text === "" ? 1 : 0;
  if (match.is !== "matching") return match.text === "" ? 0 : text.split(match.text).length - 1;
  return [...text.matchAll(new RegExp(match.source, `${match.flags.replace("g", "")}g`))].length;
}

/** `what` names the text: `stderr`, `body`. */
export function judgeText(what: string, text: string, match: TextMatch): Judgement {
  if (fits(text, match)) return pass();
  if (text === "") return fail(`${what} is empty`);
  if (match.is === "empty") return fail(`${what} begins ${quote(text)}`);
  const lines = trimmed(text).split("\n");
  const near = nearestLine(lines, match);
  const closest =
    near === undefined ? undefined : `${near.text}  (${what} line ${near.line} of ${lines.length})`;
  return fail(
    lines.length === 1 ? `${what} is ${quote(text)}` : `${what} has ${lines.length} lines`,
    closest,
  );
}

/** Negative: the line that has it is the evidence. */
export function judgeLacks(what: string, text: string, match: TextMatch): Judgement {
  if (!fits(text, match)) return pass();
  const lines = text.split("\n");
  const at = lines.findIndex((line) => fits(line, match));
  return at < 0
    ? fail(`${what} has it over several lines`)
    : fail(`${what === "it" ? "" : `${what} `}line ${at + 1} has it`, lines[at]?.slice(0, 400));
}

export function sectionOf(text: string, section: Section | undefined): string | undefined {
  if (section === undefined) return text;
  const lines = text.split("\n");
  const { from, to } = section;
  const start = from === undefined ? 0 : lines.findIndex((line) => fits(line, from));
  if (start < 0) return undefined;
  const rest = lines.slice(start);
  const end = to === undefined ? -1 : rest.findIndex((line, index) => index > 0 && fits(line, to));
  if (to !== undefined && end < 0) return undefined;
  return rest.slice(0, end < 0 ? undefined : end + 1).join("\n");
}

/** The line that shares most with what was wanted; undefined when no line has anything in common with it. */
export function nearestLine(
  lines: readonly string[],
  match: TextMatch,
): { readonly line: number; readonly text: string } | undefined {
  if (match.is === "empty") return undefined;
  const wanted = match.is === "matching" ? wordsOfPattern(match.source) : match.text;
  const pairs = pairsOf(wanted);
  if (pairs.size === 0) return undefined;
  let best = { score: 0, index: -1 };
  for (const [index, line] of lines.slice(0, 5000).entries()) {
    const score = similarity(pairs, pairsOf(line.slice(0, 400)));
    if (score > best.score) best = { score, index };
  }
  return best.score < 0.3
    ? undefined
    : { line: best.index + 1, text: (lines[best.index] ?? "").trim().slice(0, 400) };
}

/** The literal part of an expression: `/HTTP\/1\.1 200 OK/` is about "HTTP/1.1 200 OK". */
const wordsOfPattern = (source: string): string =>
  source
    .replaceAll(/\\[dDwWsSbB]/g, " ")
    .replaceAll(/\\(.)/g, "$1")
    .replaceAll(/\[[^\]]*\]|[()^$*+?|{}]/g, " ");

function pairsOf(text: string): ReadonlySet<string> {
  const lower = text.toLowerCase();
  const pairs = new Set<string>();
  for (let index = 0; index + 1 < lower.length; index += 1) {
    const pair = lower.slice(index, index + 2);
    if (pair.trim() !== "") pairs.add(pair);
  }
  return pairs;
}

/** How much of what was wanted is there, by pairs of letters; of equals, the line with the least else. 0 to 1. */
function similarity(wanted: ReadonlySet<string>, line: ReadonlySet<string>): number {
  if (wanted.size === 0 || line.size === 0) return 0;
  let shared = 0;
  for (const pair of wanted) if (line.has(pair)) shared += 1;
  return shared / wanted.size - (line.size - shared) / 10_000;
}

export function judgeDocument(document: unknown, { path, value, match }: DocumentExpectation): Judgement {
  const at = path === "" ? "the document" : path;
  const found = valueAt(document, path);
  if (found === undefined) return fail(`there is no ${at}`);
  if (match !== undefined) {
    const text = typeof found === "string" ? found : JSON.stringify(found);
    return fits(text, match) ? pass() : fail(`${at} is ${quote(text)}`);
  }
  return isDeepStrictEqual(found, value) ? pass() : fail(`${at} is ${JSON.stringify(found).slice(0, 400)}`);
}

function valueAt(document: unknown, path: string): Json | undefined {
  let value = document as Json | undefined;
  const steps = path.replace(/^\$\.?/, "").split(/\.|\[(\d+)\]/);
  for (const step of steps.filter((one) => one !== undefined && one !== "")) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Object.hasOwn(value, step) ? (value as Record<string, Json>)[step] : undefined;
  }
  return value;
}

export const quote = (text: string): string => {
  const line = trimmed(text);
  return JSON.stringify(line.length > 200 ? `${line.slice(0, 200)}…` : line);
};
