import assert from "node:assert/strict";
import { test } from "node:test";
import type {} from "./check.ts";
import { fits, judgeDocument, judgeLacks, judgeText, nearestLine, occurrences, sectionOf } from "./text.ts";
import type { TextMatch } from "./text-match.ts";

const exactly = (text: string): TextMatch => ({ is: "exactly", text });
const search = (expression: RegExp): TextMatch => ({
  is: "matching",
  source: expression.source,
  flags: expression.flags,
});

test("a string is all of it but one trailing newline, an expression is searched", () => {
  const table: readonly [string, TextMatch, boolean][] = [
    ["ok\n", exactly("ok"), true],
    ["ok", exactly("ok\n"), true],
    ["ok\n\n", exactly("ok"), false],
    ["not ok", exactly("ok"), false],
    ["not ok", search(/ok/), true],
    ["a\nb", search(/^b$/m), true],
    ["", { is: "empty" }, true],
    ["\n", { is: "empty" }, false],
    ["x", { is: "containing", text: "x" }, true],
  ];
  for (const [text, match, expected] of table)
    assert.equal(fits(text, match), expected, JSON.stringify([text, match]));
  assert.equal(occurrences("a aa", search(/a/)), 3);
});

test("the nearest line is the one that shares most", () => {
  const lines = [
    "*   Trying 127.0.0.1:80...",
    "> GET /be1/ HTTP/1.1",
    "< HTTP/1.1 502 Bad Gateway",
    "< Server: nginx",
  ];
  assert.deepEqual(nearestLine(lines, search(/HTTP\/1\.1 200 OK/)), {
    line: 3,
    text: "< HTTP/1.1 502 Bad Gateway",
  });
  assert.deepEqual(nearestLine(lines, search(/^< HTTP\/1\.1 200 OK/)), {
    line: 3,
    text: "< HTTP/1.1 502 Bad Gateway",
  });
  assert.equal(nearestLine(lines, exactly("zzz qqq")), undefined);
  assert.match(
    judgeText("stderr", lines.join("\n"), search(/Server: apache/)).closest ?? "",
    /^< Server: nginx {2}\(stderr line 4 of 4\)$/,
  );
});

test("a section runs from a line to the next, and one that is not there is told", () => {
  const text = "a {\n  x 1\n}\nb {\n  x 2\n}\n";
  const part = (from: string, to: string) =>
    sectionOf(text, { from: { is: "containing", text: from }, to: { is: "containing", text: to } });
  assert.equal(part("b {", "}"), "b {\n  x 2\n}");
  assert.equal(part("c {", "}"), undefined);
  assert.equal(part("b {", "end"), undefined);
});

test("a value of a document is found by its path", () => {
  const document = { a: { b: [1, { c: "x" }] }, d: null };
  const table: readonly [string, unknown, boolean][] = [
    ["a.b[1].c", "x", true],
    ["$.a.b.0", 1, true],
    ["a.b[0]", 2, false],
    ["a.x", 1, false],
    ["d", null, true],
    ["", document, true],
    ["a.constructor", 1, false],
  ];
  for (const [path, value, holds] of table) {
    const judged = judgeDocument(document, { path, value: value as never, match: undefined });
    assert.equal(judged.verdict === "pass", holds, path);
  }
});

test("the evidence of what must not be there is a sentence, whatever the text is called", () => {
  const match = { is: "containing", text: "two" } as const;
  assert.equal(judgeLacks("it", "one\ntwo\n", match).evidence, "line 2 has it");
  assert.equal(judgeLacks("stderr", "one\ntwo\n", match).evidence, "stderr line 2 has it");
});
