import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryOf, ticksOf, useOf } from "./process-use.ts";

test("times are found behind a name that looks like fields", () => {
  const stat = "42 (a) R 1 (b) S 1 42 42 0 -1 4194560 500 90 0 0 7 3 20 11 20 0 1 0 100 1000000 200";
  assert.equal(ticksOf(stat), 7 + 3 + 20 + 11);
});

test("memory of a process, and of one that has ended and is not waited for", () => {
  const status =
    "Name:\tnode\nVmRSS:\t  9000 kB\nRssAnon:\t  4000 kB\nRssFile:\t  4500 kB\nRssShmem:\t   500 kB\n";
  assert.deepEqual(memoryOf(status), { own: 4500 * 1024, files: 4500 * 1024 });
  assert.deepEqual(memoryOf("Name:\tnode\nState:\tZ (zombie)\n"), { own: 0, files: 0 });
});

test("this process's namespace has used something, and one that is gone has not", () => {
  const measured = useOf([process.pid, 2 ** 30]);
  assert.deepEqual([...measured.keys()], [process.pid]);
  assert.ok((measured.get(process.pid)?.memoryBytes ?? 0) > 1_000_000);
});
