import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { completions, tokens } from "./sql.ts";

const tables = [
  { name: "requests", columns: ["ts", "route", "rt_ms", "release"] },
  { name: "logs", columns: ["ts", "severity", "text"] },
];

/** `|` is the cursor. */
function offered(text: string): string {
  const cursor = text.indexOf("|");
  return completions(text.replace("|", ""), cursor, tables)
    .map(({ text }) => text)
    .join(" ");
}

test("completion knows where it stands", () => {
  const table: readonly (readonly [string, string])[] = [
    ["select * from |", "requests logs"],
    ["select * from lo|", "logs"],
    ["select ro| from requests", "route round row_number"],
    ["select sev| from requests", ""],
    ["select r.r| from requests r", "route rt_ms release"],
    ["select l.| from logs as l", "ts severity text"],
    ["sel|", "select"],
    ["select |", ""],
    ["select 'ro|", ""],
    ["-- ro|", ""],
  ];
  for (const [text, wanted] of table) assert.equal(offered(text), wanted, text);
});

test("tokens are the text again, whatever is written", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(..."sel'\"-- \n/*1.x") }), (text) => {
      assert.equal(
        tokens(text)
          .map((token) => token.text)
          .join(""),
        text,
      );
    }),
  );
  assert.deepEqual(
    tokens("select 1 -- x").map(({ kind }) => kind),
    ["keyword", "other", "number", "other", "comment"],
  );
});
