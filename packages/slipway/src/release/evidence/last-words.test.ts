import assert from "node:assert/strict";
import { test } from "node:test";
import { errorLine } from "./last-words.ts";

const node = `file:///app/server.mjs:3
if (url === undefined) throw new Error("PAYMENT_URL is not set");
                             ^

Error: PAYMENT_URL is not set
    at file:///app/server.mjs:3:30
    at ModuleJob.run (node:internal/modules/esm/module_job:343:25)

Node.js v24.21.0`;

const python = `starting
Traceback (most recent call last):
  File "/app/main.py", line 3, in <module>
    connect()
ConnectionRefusedError: [Errno 111] Connection refused`;

const java = `Exception in thread "main" java.lang.IllegalStateException: no schema
\tat com.example.Main.main(Main.java:5)`;

const go = `2026/11/22 10:00:00 listening
panic: runtime error: index out of range [3] with length 3

goroutine 1 [running]:
main.main()
\t/src/main.go:8 +0x1d
exit status 2`;

const cases: readonly [what: string, log: string, said: string | undefined][] = [
  ["an uncaught error of Node", node, "Error: PAYMENT_URL is not set"],
  [
    "an error of Node with its code",
    "a\nTypeError [ERR_X]: bad\n    at f (x.js:1:1)",
    "TypeError [ERR_X]: bad",
  ],
  ["a traceback of Python", python, "ConnectionRefusedError: [Errno 111] Connection refused"],
  ["an exception of Java", java, 'Exception in thread "main" java.lang.IllegalStateException: no schema'],
  ["a panic of Go", go, "panic: runtime error: index out of range [3] with length 3"],
  [
    "nginx's emergency",
    "a\n[emerg] 1#1: host not found in upstream",
    "[emerg] 1#1: host not found in upstream",
  ],
  ["PostgreSQL's", "a\nFATAL:  data directory is missing", "FATAL:  data directory is missing"],
  ["no line that only has the word", "a\n0 fatal problems found, no panic\nb", undefined],
  ["the only line there is", "cannot find module ./db\n", "cannot find module ./db"],
  [
    "the last of two errors",
    `${node}\n${node.replaceAll("PAYMENT", "ORDER")}`,
    "Error: ORDER_URL is not set",
  ],
  ["no line of many that say nothing of an error", "listening\nready\nbye", undefined],
  ["no error that was only mentioned", "retrying after Error: refused\nTimeoutError: 3 of 5\nbye", undefined],
  ["no empty log", "", undefined],
];
for (const [what, log, said] of cases) {
  test(`what ended a program is ${what}`, () => {
    assert.equal(errorLine(undefined, { head: [], tail: log.split("\n") }), said);
  });
}

test("a termination message of one line is what the container itself says", () => {
  assert.equal(errorLine("disk is full\n", { head: [], tail: node.split("\n") }), "disk is full");
  assert.equal(errorLine(`a\nb`, { head: [], tail: node.split("\n") }), "Error: PAYMENT_URL is not set");
});

test("a long line is cut", () => {
  assert.equal(errorLine("x".repeat(500), undefined)?.length, 200);
});
