/**
 * Heredocs of RUN, COPY and ADD, taken out of the text before its instructions are told apart: `dockerfile-ast` sees
 * one inside quotes too, and then takes every line after it for its body.
 *
 * Source: Dockerfile reference, "Here-Documents"; BuildKit finds them among the words of the joined line.
 */
import { invalid } from "./invalid.ts";
import { parseJsonForm, splitWords } from "./words.ts";

export interface Heredoc {
  readonly name: string;
  /** With a line break at the end of each line; leading tabs are gone where it was written `<<-`. */
  readonly content: string;
  /** False for `<<"NAME"`: then variables in COPY's content stay as they are. */
  readonly isExpanded: boolean;
}

/** A word that begins a heredoc: `<<EOF`, `<<-EOF`, `<<"EOF"`; not `<<<` of shells. */
export const HEREDOC: RegExp = /^\d*<<(?<dash>-?)(?<quote>["']?)(?<name>[^\s<>"'|&;()]+)\k<quote>/;

/** Stands for `<<` where the parser must not see it; no text file has this character. */
const MASK = "\u0001\u0001";

export const unmasked = (text: string): string => text.replaceAll(MASK, "<<");

/**
 * The same lines without the bodies, and what was taken out by the line (from 0) where its instruction begins. Rejects
 * with DOCKERFILE_INVALID when one has no end.
 */
export function takeHeredocs(
  text: string,
  escapeChar: string,
  where: string,
): { readonly text: string; readonly heredocs: ReadonlyMap<number, readonly Heredoc[]> } {
  const lines = text.split(/\r?\n/);
  const heredocs = new Map<number, readonly Heredoc[]>();
  let at = 0;
  while (at < lines.length) {
    const start = at;
    at = headEnd(lines, start, escapeChar);
    const head = lines.slice(start, at);
    if (!/^\s*(?:RUN|COPY|ADD)\s/i.test(head[0] as string)) continue;
    for (let line = start; line < at; line += 1) lines[line] = (lines[line] as string).replaceAll("<<", MASK);
    const found = marksOf(joinLines(head.join("\n"), escapeChar), escapeChar).map((mark) => {
      const body = readBody(mark, lines, at);
      if (body === undefined)
        throw invalid(where, start + 1, `the text that begins with <<${mark.groups?.["name"]} has no end`);
      for (; at < body.end; at += 1) lines[at] = "";
      return body.heredoc;
    });
    heredocs.set(start, found);
  }
  return { text: lines.join("\n"), heredocs };
}

/** The line after an instruction's last one: those that end with the escape character go on, past comments. */
function headEnd(lines: readonly string[], start: number, escapeChar: string): number {
  const isSilent = (line: string): boolean => /^\s*(?:#|$)/.test(line);
  let at = start;
  if (isSilent(lines[at] as string)) return at + 1;
  while (
    at < lines.length &&
    (isSilent(lines[at] as string) || (lines[at] as string).trimEnd().endsWith(escapeChar))
  ) {
    at += 1;
  }
  return Math.min(at + 1, lines.length);
}

function marksOf(head: string, escapeChar: string): readonly RegExpExecArray[] {
  const text = head.replace(/^\s*\w+\s+(?:--\S+\s+)*/, "");
  if (parseJsonForm(text) !== undefined) return [];
  return splitWords(text, escapeChar).flatMap((word) => {
    const match = HEREDOC.exec(word);
    return match === null ? [] : [match];
  });
}

/** The lines from `from` up to one that is the name, and the line after that; undefined when there is none. */
function readBody(
  mark: RegExpExecArray,
  lines: readonly string[],
  from: number,
): { readonly heredoc: Heredoc; readonly end: number } | undefined {
  const { dash, quote, name } = mark.groups as { dash: string; quote: string; name: string };
  const trimmed = (line: string): string => (dash === "-" ? line.replace(/^\t+/, "") : line);
  const body: string[] = [];
  for (let at = from; at < lines.length; at += 1) {
    const line = trimmed(lines[at] as string);
    if (line === name) {
      return {
        heredoc: { name, content: body.map((one) => `${one}\n`).join(""), isExpanded: quote === "" },
        end: at + 1,
      };
    }
    body.push(line);
  }
  return undefined;
}

/** Removes continuation marks, and the comment and empty lines that may stand between continued lines. */
export function joinLines(raw: string, escapeChar: string): string {
  const [first = "", ...rest] = raw.split(/\r?\n/);
  const mark = new RegExp(`${escapeChar === "\\" ? "\\\\" : escapeChar}[ \\t]*$`);
  const kept = [first, ...rest.filter((line) => !/^\s*(?:#|$)/.test(line))];
  return kept
    .map((line) => line.replace(mark, ""))
    .join("")
    .trim();
}
