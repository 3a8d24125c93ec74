// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the syntax of Compose
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseEnvFile } from "./env-file.ts";

const lookup = (name: string): string | undefined => (name === "HOST" ? "box" : undefined);

describe("a line of an env file", () => {
  const cases: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
    ["A=1", { A: "1" }],
    ["export A=1", { A: "1" }],
    ["A = spaced out  ", { A: "spaced out" }],
    ["A=", { A: "" }],
    ["A=1 # why", { A: "1" }],
    ["A=1#2", { A: "1#2" }],
    ["A= # only why", { A: "" }],
    ["# A=1\n\n  \nB=2\n", { B: "2" }],
    ["A='raw $HOST # x' # why", { A: "raw $HOST # x" }],
    ['A="on $HOST\\n\\"x\\" \\$HOST"', { A: 'on box\n"x" $HOST' }],
    ['A="two\nlines"\nB=3', { A: "two\nlines", B: "3" }],
    ["A=1\nB=${A}${C:-3}", { A: "1", B: "13" }],
    ["HOST", { HOST: "box" }],
    ["NONE", {}],
    ["A=1\r\nB=2\r\n", { A: "1", B: "2" }],
    ["A=a=b", { A: "a=b" }],
  ];
  for (const [text, expected] of cases)
    test(JSON.stringify(text), () => assert.deepEqual(parseEnvFile(text, lookup), expected));
});

describe("what is refused, with its line", () => {
  const cases: readonly (readonly [string, number, RegExp])[] = [
    ["A=1\n=2", 2, /not KEY=value/],
    ["A=1\n\nB='x", 3, /quotes are not closed/],
    ['A="x\ny"\nB=${C:?no C}', 3, /C is required: no C/],
  ];
  for (const [text, line, message] of cases) {
    test(JSON.stringify(text), () =>
      assert.throws(
        () => parseEnvFile(text, lookup),
        (error: Error & { line?: number }) => error.line === line && message.test(error.message),
      ),
    );
  }
});
