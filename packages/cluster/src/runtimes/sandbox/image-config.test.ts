import assert from "node:assert/strict";
import { test } from "node:test";
import { programOf, stopSignalOf } from "./image-config.ts";

const silent = { command: undefined, args: undefined, env: [], workingDir: undefined };

test("a pod's args replace CMD, its command replaces both", () => {
  const image = { Entrypoint: ["/entry"], Cmd: ["serve"] };
  const argv = (pod: { command?: readonly string[]; args?: readonly string[] }): readonly string[] =>
    programOf(image, { ...silent, ...pod }).argv;
  assert.deepEqual(argv({}), ["/entry", "serve"]);
  assert.deepEqual(argv({ args: ["check"] }), ["/entry", "check"]);
  assert.deepEqual(argv({ command: ["sh"] }), ["sh"]);
  assert.deepEqual(argv({ command: ["sh"], args: ["-c", "true"] }), ["sh", "-c", "true"]);
});

test("a pod's variables replace the image's in their place, and others follow", () => {
  const env = [
    { name: "B", value: "pod" },
    { name: "C", value: "a=b" },
  ];
  assert.deepEqual(programOf({ Env: ["A=1", "B=2", "NOTHING", "D="] }, { ...silent, env }).env, [
    ["A", "1"],
    ["B", "pod"],
    ["D", ""],
    ["C", "a=b"],
  ]);
});

test("stop signals as images write them; one that is not known is SIGTERM", () => {
  const written = [undefined, "", "SIGQUIT", "QUIT", "3", "SIGKILL", "9", "SIGWINCH", "42"];
  assert.deepEqual(written.map(stopSignalOf), [
    "SIGTERM",
    "SIGTERM",
    "SIGQUIT",
    "SIGQUIT",
    "SIGQUIT",
    "SIGKILL",
    "SIGKILL",
    "SIGTERM",
    "SIGTERM",
  ]);
});
