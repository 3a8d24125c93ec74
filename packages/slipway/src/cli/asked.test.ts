import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { exec } from "@slipway/base";
import { asked } from "./asked.ts";

const known = { commands: { deploy: 1, logs: 1, "logs import": 1, "local up": 1 }, groups: { local: 1 } };

const TABLE: readonly (readonly [string, string])[] = [
  ["help", "--help"],
  ["help deploy", "deploy --help"],
  ["help local", "local --help"],
  ["help local up", "local up --help"],
  ["help logs import", "logs import --help"],
  ["local help", "local --help"],
  ["local help up", "local up --help"],
  ["version", "--version"],
  // Wrong words are told as wrong words.
  ["help nonsense", "nonsense"],
  ["help toString", "toString"],
  // A Deployment may be called so.
  ["logs help", "logs help"],
  ["logs version", "logs version"],
  ["deploy --env help", "deploy --env help"],
  ["", ""],
];

const split = (text: string): readonly string[] => text.split(" ").filter((word) => word !== "");

for (const [words, meant] of TABLE)
  test(`slipway ${words} is slipway ${meant}`, () => {
    assert.deepEqual(asked(split(words), known), split(meant));
  });

test("the command line answers them as it answers --help and --version", async () => {
  const bin = join(import.meta.dirname, "../../bin/slipway");
  const slipway = (words: string) => exec([bin, ...split(words)], { env: { ...process.env } });
  for (const [words, same] of [
    ["help", "--help"],
    ["-h", "--help"],
    ["help deploy", "deploy --help"],
    ["help local up", "local up -h"],
    ["version", "--version"],
  ] as const) {
    const [given, meant] = await Promise.all([slipway(words), slipway(same)]);
    assert.equal(meant.exitCode, 0, same);
    assert.deepEqual([given.exitCode, given.stdout, given.stderr], [0, meant.stdout, meant.stderr], words);
  }
  const wrong = await slipway("help nonsense");
  assert.equal(wrong.exitCode, 2);
  assert.match(wrong.stderr, /unknown command 'nonsense'/);
});

test("what --help says has lines of their own length, and no defaults that are none", async () => {
  const bin = join(import.meta.dirname, "../../bin/slipway");
  const { stdout } = await exec([bin, "queries", "run", "--help"], {
    env: { ...process.env, COLUMNS: "80" },
  });
  assert.doesNotMatch(stdout, /default: \[\]/);
  const about = stdout.slice(stdout.indexOf("\n\n") + 2, stdout.indexOf("\n\nArguments:"));
  // A line ends where the next word would not fit, or with a sentence.
  const lines = about.split("\n");
  for (const [at, line] of lines.slice(0, -1).entries()) {
    const next = lines[at + 1]?.split(" ")[0] ?? "";
    assert.ok(/[.:]$/.test(line) || line.length + 1 + next.length > 78, line);
  }
});
