/** A stack that leads into the bundle, with the places of the sources that the bundle was made of. */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

/**
 * Only when something is wrong: with Node's own source maps every start would read the maps of all that it loads. What
 * has no map beside it is left as it is.
 */
export function inSources(stack: string): string {
  return stack.replaceAll(
    /(?:file:\/\/)?(\/[^\s():]+\/dist\/[^\s():]+\.c?js):(\d+):(\d+)/g,
    (place: string, file: string, line: string, column: string) =>
      sourceOf(file, Number(line), Number(column)) ?? place,
  );
}

function sourceOf(file: string, line: number, column: number): string | undefined {
  try {
    const { SourceMap } = process.getBuiltinModule("node:module");
    const map = new SourceMap(JSON.parse(readFileSync(`${file}.map`, "utf8")));
    const origin = map.findOrigin(line, column);
    if (!("fileName" in origin)) return undefined;
    return `${resolve(dirname(file), origin.fileName)}:${origin.lineNumber}:${origin.columnNumber}`;
  } catch {
    return undefined;
  }
}
