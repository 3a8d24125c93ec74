/**
 * What the internet and broken programs send. `testdata/NAME.lines` is one stream, byte for byte; `NAME.outcomes` says
 * what becomes of each of its lines. After a change of mind: `node hostile.test.ts --write`, and read the difference.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { StreamKey } from "./source.ts";
import { type ReadRow, readLines } from "./testing.ts";

const streams: readonly { readonly name: string; readonly framing: StreamKey["framing"] }[] = [
  { name: "combined", framing: "plain" },
  { name: "timed", framing: "plain" },
  { name: "upstreaminfo", framing: "plain" },
  { name: "json", framing: "plain" },
  { name: "cri", framing: "cri" },
];
const isWriting = process.argv.includes("--write");
let total = 0;

for (const { name, framing } of streams) {
  test(`hostile lines: ${name}`, () => {
    const bytes = readFileSync(join(import.meta.dirname, "testdata", `${name}.lines`));
    const lines = splitLines(bytes);
    total += lines.length;
    const { each, counts } = outcomes(lines, framing);
    const text = `${each.join("\n")}\n`;
    const golden = join(import.meta.dirname, "testdata", `${name}.outcomes`);
    if (isWriting) writeFileSync(golden, text);
    assert.equal(text, readFileSync(golden, "utf8"));
    assert.equal(counts.lines, counts.access + counts.logs + counts.quarantine);
    if (framing === "plain") assert.equal(counts.lines, lines.length);
  });
}

test("there are at least 200 of them", () => assert.ok(total >= 200));

function splitLines(bytes: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const newline = bytes.indexOf(10, at);
    lines.push(bytes.subarray(at, newline + 1));
    at = newline + 1;
  }
  return lines;
}

/** Fed one line at a time, each line's outcome is what was added by it. */
function outcomes(lines: readonly Buffer[], framing: StreamKey["framing"]) {
  const each: string[] = [];
  const read = readLines(lines, {
    framing,
    afterChunk: ({ rows, logs, quarantine }) => {
      const added = [
        ...rows.map((row) => `request ${requestText(row)}`),
        ...logs.map((log) => `log ${log}`),
        ...quarantine.map((line) => `quarantine ${line}`),
      ];
      each.push(added.length === 0 ? "held" : added.map(shown).join(" ¦ "));
    },
  });
  return { each, counts: read.parser.counts };
}

function requestText(row: ReadRow): string {
  const times =
    row.attempts === 0 && row.ms === undefined ? "" : ` ${row.ms}ms ${row.upstreamMs}ms×${row.attempts}`;
  return `${row.ts} ${row.ip} ${row.method} ${row.path} ${row.protocol} → ${row.route} ${row.status} ${row.bytes}${times} ref=${row.referer} ua=${row.userAgent}`;
}

/** On one line, printable, and no novel. */
function shown(text: string): string {
  const printable = text.replaceAll(
    /[^\x20-\x7e→×¦]/gu,
    (character) => `<${(character.codePointAt(0) as number).toString(16)}>`,
  );
  return printable.length <= 400 ? printable : `${printable.slice(0, 200)}…${printable.length} characters`;
}
