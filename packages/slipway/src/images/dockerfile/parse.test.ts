import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDockerfile } from "./parse.ts";
import { commandOf } from "./run.ts";
import { parseMount, unsupportedRun } from "./run-flags.ts";

const SHELL = ["/bin/sh", "-c"];

/** [what stands after FROM, the text of the first instruction, its heredocs as name:content] */
const HEREDOCS: readonly (readonly [string, string, readonly string[]])[] = [
  ["RUN <<EOF\na\n# b\n\nEOF", "<<EOF", ["EOF:a\n# b\n\n"]],
  ["RUN <<EOF\nEOF", "<<EOF", ["EOF:"]],
  ["RUN cat <<A <<-B && true\n1\nA\n\t2\n\tB\nUSER x", "cat <<A <<-B && true", ["A:1\n", "B:2\n"]],
  ["RUN one \\\n  # a comment\n  <<EOF\nx\nEOF", "one   <<EOF", ["EOF:x\n"]],
  [
    "COPY <<\"a.txt\" <<'b.txt' /d/\nA\na.txt\nB\nb.txt",
    "<<\"a.txt\" <<'b.txt' /d/",
    ["a.txt:A\n", "b.txt:B\n"],
  ],
  ["RUN cat <<<here", "cat <<<here", []],
  ['RUN echo "no <<A" <<EOF\nx\nEOF', 'echo "no <<A" <<EOF', ["EOF:x\n"]],
  ["ENV A=<<EOF", "A=<<EOF", []],
];

for (const [source, text, heredocs] of HEREDOCS) {
  test(`heredocs: ${JSON.stringify(source)}`, () => {
    const [stage] = parseDockerfile(`FROM x\n${source}\n`, "Dockerfile").stages;
    const instruction = stage?.instructions[0];
    assert.equal(instruction?.text, text);
    assert.deepEqual(
      instruction?.heredocs.map(({ name, content }) => `${name}:${content}`),
      heredocs,
    );
  });
}

test("what stands in quotes is no heredoc, and the lines after it stay instructions", () => {
  const { stages } = parseDockerfile('FROM x\nRUN echo "no <<A"\nUSER y\n', "Dockerfile");
  assert.deepEqual(
    stages[0]?.instructions.map(({ keyword, text, heredocs }) => [keyword, text, heredocs]),
    [
      ["RUN", 'echo "no <<A"', []],
      ["USER", "y", []],
    ],
  );
});

test("a heredoc whose end is missing is a mistake with its line", () => {
  assert.throws(() => parseDockerfile("FROM x\nRUN cat <<A <<B\nA\n", "Dockerfile"), /<<A|<<B/);
});

/** [instruction, the words that run] */
const COMMANDS: readonly (readonly [string, readonly string[]])[] = [
  ["RUN a  b | c", [...SHELL, "a  b | c"]],
  ['RUN ["a", "b c"]', ["a", "b c"]],
  ["RUN [ -e x ]", [...SHELL, "[ -e x ]"]],
  ["RUN a && \\\n# no\n\n  b", [...SHELL, "a &&   b"]],
  ["RUN <<EOF\na\nb\nEOF", [...SHELL, "a\nb\n"]],
  ["RUN cat <<EOF >/x\na\nEOF", [...SHELL, "cat <<EOF >/x\na\nEOF\n"]],
];

for (const [source, argv] of COMMANDS) {
  test(`command: ${JSON.stringify(source)}`, () => {
    const instruction = parseDockerfile(`FROM x\n${source}\n`, "Dockerfile").stages[0]?.instructions[0];
    assert.deepEqual(instruction && commandOf(instruction, SHELL), argv);
  });
}

const run = (value: string, name = "mount"): string | undefined =>
  unsupportedRun({ keyword: "RUN", flags: [{ name, value }] });

test("flags of RUN: what is carried out, and what is refused with its reason", () => {
  for (const fine of [
    "type=cache,target=/c",
    "type=cache,id=a,target=/c,sharing=locked,mode=0700,uid=1,gid=2,ro",
    "target=/in,source=x",
    "type=bind,from=build,src=/x,dst=/y,ro",
    "type=secret,id=a,required",
    "type=tmpfs,target=/t,size=64m",
  ]) {
    assert.equal(run(fine), undefined, fine);
  }
  assert.equal(run("type=ssh"), "has a mount of type ssh");
  assert.equal(run("type=secret,id=a,env=A"), "has a secret mount with env");
  assert.equal(run("type=cache,target=/c,from=x"), "has a cache mount with from");
  assert.equal(run("target=/x,rw"), "has a bind mount with rw");
  assert.equal(run("target=/x,ro=false"), "has a bind mount that may be written to");
  assert.equal(run("none", "network"), undefined);
  assert.equal(run("lan", "network"), "has --network=lan");
  assert.equal(run("insecure", "security"), "has the flag --security");
});

test("mounts as data", () => {
  const fail = (message: string): Error => new Error(message);
  const parse = (value: string): unknown => parseMount(value, "/app", fail);
  assert.deepEqual(parse("type=cache,target=.npm,sharing=private"), {
    type: "cache",
    id: "/app/.npm",
    target: "/app/.npm",
    isReadOnly: false,
    isLocked: true,
    mode: 0o755,
    uid: 0,
    gid: 0,
  });
  assert.deepEqual(parse("type=secret,id=npmrc,mode=0440,uid=1000"), {
    type: "secret",
    id: "npmrc",
    target: "/run/secrets/npmrc",
    isRequired: false,
    mode: 0o440,
    uid: 1000,
    gid: 0,
  });
  assert.deepEqual(parse("target=/x"), { type: "bind", from: undefined, source: ".", target: "/x" });
  assert.deepEqual(parse("type=tmpfs,dst=/t,size=1k"), { type: "tmpfs", target: "/t", sizeBytes: 1024 });
  assert.throws(() => parse("type=cache"), /needs a target/);
  assert.throws(() => parse("type=cache,target=/"), /cannot cover the root/);
  assert.throws(() => parse("type=secret"), /needs an id/);
  assert.throws(() => parse("type=cache,target=/x,mode=rwx"), /mode must be a number/);
  assert.throws(() => parse("type=cache,target=/x,sharing=never"), /sharing=never/);
});
