import assert from "node:assert/strict";
import { test } from "node:test";
import { readOptions } from "./options.ts";

test("what the demo is asked for", () => {
  assert.deepEqual(readOptions([]), { keep: false, help: false, sabotage: undefined });
  assert.deepEqual(readOptions(["--keep", "--sabotage", "no-drain"]), {
    keep: true,
    help: false,
    sabotage: "no-drain",
  });
  assert.equal(readOptions(["--help"]).help, true);
});

test("what it does not know is refused in a line, not with a stack", () => {
  for (const [words, message] of [
    [["--sabotage", "nonsense"], 'no "nonsense"'],
    [["--sabotage"], /argument missing/],
    [["--foo"], /^Unknown option '--foo'/],
    [["--sabotage", "--keep"], /^Option '--sabotage\S*' argument is ambiguous$/],
    [["foo"], /^Unexpected argument 'foo'/],
  ] as const)
    assert.throws(() => readOptions(words), { name: "SlipwayError", where: "demo", message, exitCode: 2 });
});
