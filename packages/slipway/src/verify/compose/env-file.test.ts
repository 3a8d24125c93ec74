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
    ["A=1\t# why", { A: "1\t# why" }],
    // Compose has eaten the space before it.
    ["A= # only why", { A: "# only why" }],
    ["A: 1", { A: "1" }],
    ["A : a=b:c", { A: "a=b:c" }],
    ["A:b=c", { A: "b=c" }],
    ["\tA\t=\tx", { A: "x" }],
    ["export\tA=1", { A: "1" }],
    ["exportA=1", { exportA: "1" }],
    ["a[1]=x\nb.c-d=y\nÁ=z\n1a=w", { "a[1]": "x", "b.c-d": "y", Á: "z", "1a": "w" }],
    ["# A=1\n\n  \nB=2\n", { B: "2" }],
    ["A='raw $HOST # x' # why", { A: "raw $HOST # x" }],
    ['A="on $HOST\\n\\"x\\" \\$HOST"', { A: 'on box\n"x" $HOST' }],
    ["A='it\\'s'", { A: "it's" }],
    ["A='a\\n\\\\b'", { A: "a\\n\\\\b" }],
    ['A="it\\\'s \\q \\t|\\\\n"', { A: "it\\'s \\q \t|\\n" }],
    ['A="\\0123\\0377\\0999\\x41"', { A: "S\u00ff\\0999\\x41" }],
    ['A="two\nlines"\nB=3', { A: "two\nlines", B: "3" }],
    ['A="two\r\nlines"\r\nB=3\r\n', { A: "two\r\nlines", B: "3" }],
    ['A="x"HOST\n', { A: "x", HOST: "box" }],
    ["A='x'B=2", { A: "x", B: "2" }],
    ["A=${NONE:-d}${HOST:+e}", { A: "de" }],
    ["\uFEFFA=1", { A: "1" }],
    ["A=1\nB=${A}${C:-3}", { A: "1", B: "13" }],
    ["HOST\n", { HOST: "box" }],
    ["export HOST \r\n", { HOST: "box" }],
    ["NONE\n", {}],
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
    ["A='x\\'", 1, /quotes are not closed/],
    ["A=1\nHOST", 2, /"HOST" needs an = or the end of the line/],
    ["A B=1", 1, /not KEY=value/],
    ["A=x$5", 1, /no variable/],
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
