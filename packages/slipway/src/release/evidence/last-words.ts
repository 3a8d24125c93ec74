/**
 * The one line of a dead container's log that names its error, for the sentence that people read first. Only where
 * the log's own form says which line it is: a guess that is wrong is worse than an exit code. The whole log is in
 * the evidence all the same.
 *
 * Known forms: what the container left as its termination message, if that is one line; an uncaught exception with
 * its stack (Node, Java, Ruby's and others with `at` or `from` below it); Python's traceback, whose last line is the
 * error; a Go or Rust panic; a line of the levels `emerg`, `fatal` or `panic`; and a log of a single line.
 */

const LONGEST = 200;

export interface LoggedLines {
  readonly head: readonly string[];
  readonly tail: readonly string[];
}

/** Undefined when no line stands out. The last one that does wins: it is what ended the program. */
export function errorLine(
  terminationMessage: string | undefined,
  log: LoggedLines | undefined,
): string | undefined {
  const own = (terminationMessage ?? "").trim();
  const isOneLine = own !== "" && !own.includes("\n");
  const lines = isOneLine
    ? [own]
    : [...(log?.head ?? []), ...(log?.tail ?? [])].filter((line) => line.trim() !== "");
  const found = lines.length === 1 ? lines[0] : lines.findLast((_line, index) => endsProgram(lines, index));
  return found === undefined ? undefined : shortened(found.trim());
}

/** `Error: …`, `TypeError [ERR_X]: …`, `Exception in thread "main" java.lang.IllegalStateException: …` */
const EXCEPTION =
  /^(?:Uncaught |Exception in thread "[^"]*" )?(?:[\w$]+[.:/])*(?:[A-Z][\w$]*)?(?:Error|Exception)\b/;
const FRAME = /^\s+(?:at|from) \S/;
const PANIC = /^(?:panic: |fatal error: |thread '[^']*' (?:\(\d+\) )?panicked at )/;
const LEVEL = /\[(?:emerg|fatal|panic)\]|\bFATAL\b|^fatal: |\blevel"?[=:] ?"?(?:fatal|panic)\b/;

function endsProgram(lines: readonly string[], index: number): boolean {
  const line = lines[index] as string;
  if (PANIC.test(line) || LEVEL.test(line)) return true;
  if (!EXCEPTION.test(line)) return false;
  return FRAME.test(lines[index + 1] ?? "") || isAfterTraceback(lines, index);
}

/** Python writes `Traceback (most recent call last):`, indented frames, then the error. */
function isAfterTraceback(lines: readonly string[], index: number): boolean {
  let above = index - 1;
  while (above >= 0 && /^\s/.test(lines[above] as string)) above -= 1;
  return above < index - 1 && /^Traceback \(/.test(lines[above] ?? "");
}

function shortened(line: string): string {
  return line.length <= LONGEST ? line : `${line.slice(0, LONGEST - 1)}…`;
}
