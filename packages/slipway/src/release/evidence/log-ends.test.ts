import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeClient } from "@slipway/kube";
import { type LogEnds, readLogEnds } from "./log-ends.ts";

/** A log as a kubelet sends it: the last lines are chosen first, and the bytes are counted from there. */
function logOf(lines: readonly string[]): Pick<KubeClient, "logs"> {
  return {
    async *logs(_pod, { tailLines, limitBytes } = {}) {
      const chosen = tailLines === undefined ? lines : lines.slice(-tailLines);
      const bytes = Buffer.from(chosen.map((line) => `${line}\n`).join(""));
      const sent = bytes.subarray(0, limitBytes);
      // In pieces that no line ends with.
      for (let at = 0; at < sent.length; at += 1_000) yield sent.subarray(at, at + 1_000);
    },
  };
}

const numbered = (count: number, width = 4): string[] =>
  Array.from({ length: count }, (_, index) => `${index + 1}`.padStart(width, "."));

function endsOf(lines: readonly string[], maxBytes = 10_000): Promise<LogEnds> {
  const options = { container: "web", previous: true, maxBytes };
  return readLogEnds(logOf(lines), { namespace: "default", name: "web-1" }, options);
}

test("a short log is there as a whole", async () => {
  assert.deepEqual(await endsOf(numbered(37)), { head: [], omittedLines: 0, tail: numbered(37) });
  assert.deepEqual(await endsOf([]), { head: [], omittedLines: 0, tail: [] });
});

test("of a longer one both ends are there, and how much is not", async () => {
  const lines = numbered(100);
  assert.deepEqual(await endsOf(lines), {
    head: lines.slice(0, 12),
    omittedLines: 63,
    tail: lines.slice(-25),
  });
});

test("of one that is too long to be read whole both ends are its own first and last lines", async () => {
  const lines = numbered(5_000, 200);
  const { head, omittedLines, tail } = await endsOf(lines);
  assert.deepEqual([head, omittedLines, tail], [lines.slice(0, 12), undefined, lines.slice(-25)]);
});

test("of a few endless lines the end is kept", async () => {
  const lines = ["a".repeat(30_000), "b".repeat(30_000), "Error: no database"];
  const { head, tail } = await endsOf(lines);
  assert.deepEqual(head, []);
  assert.equal(tail.at(-1), "Error: no database");
  assert.ok(tail.join("").length <= 10_000);
});

test("what a program that dies says of its secrets is not kept", async () => {
  const { tail } = await endsOf([
    "cannot reach postgres://web:pa55w0rd@db:5432/shop",
    'config: {"apiKey":"0123456789","port":8080}',
    "FATAL: password authentication failed for user web",
  ]);
  assert.deepEqual(tail, [
    "cannot reach postgres://web:REDACTED@db:5432/shop",
    'config: {"apiKey":"REDACTED","port":8080}',
    "FATAL: password authentication failed for user web",
  ]);
});
