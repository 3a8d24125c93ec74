import assert from "node:assert/strict";
import { test } from "node:test";
import { difference, readCommand, type StartedCommand } from "./same-command.ts";

const watching: StartedCommand = {
  program: "1",
  words: ["build", "--push", "--watch"],
  cwd: "/shop",
  env: new Map([
    ["HOME", "/home/me"],
    ["TERM", "xterm"],
  ]),
};
const asking: StartedCommand = { ...watching, words: ["build", "--push"] };
const withEnv = (...pairs: readonly (readonly [string, string])[]): StartedCommand => ({
  ...asking,
  env: new Map([...watching.env, ...pairs]),
});

test("the same command in another terminal, and what makes it another", () => {
  for (const [other, expected] of [
    [asking, undefined],
    [withEnv(["TERM", "linux"], ["SHLVL", "2"], ["TMUX_PANE", "%1"], ["TERM_PROGRAM", "x"]), undefined],
    [withEnv(["npm_lifecycle_event", "image"], ["VSCODE_PID", "1"], ["_", "/usr/bin/make"]), undefined],
    [
      withEnv(["MAKEFLAGS", "w"], ["MFLAGS", "-w"], ["MAKELEVEL", "1"], ["MAKE_TERMOUT", "/dev/pts/1"]),
      undefined,
    ],
    [withEnv(["npm_config_registry", "x"]), "its npm_config_registry differs"],
    [withEnv(["MY_TERM", "x"]), "its MY_TERM differs"],
    [{ ...asking, program: "2" }, "it runs another Slipway"],
    [{ ...asking, cwd: "/shop/web" }, "it runs in /shop/web"],
    [{ ...asking, words: ["build"] }, "its options differ"],
    [{ ...asking, words: ["build", "--push --json"] }, "its options differ"],
    [{ ...asking, words: watching.words }, "it watches, too"],
    [withEnv(["HOME", "/root"]), "its HOME differs"],
    [withEnv(["SLIPWAY_BUILDER", "docker"]), "its SLIPWAY_BUILDER differs"],
    [{ ...asking, env: new Map([["TERM", "xterm"]]) }, "its HOME differs"],
  ] as const)
    assert.equal(difference(watching, other), expected);
});

test("a process that is none of ours, or is not there, was started for nothing of ours", () => {
  assert.equal(readCommand("self"), undefined); // no start.mjs in it
  for (const pid of [0, -1, Number.NaN, 2 ** 31 - 1]) assert.equal(readCommand(pid), undefined, String(pid));
});
