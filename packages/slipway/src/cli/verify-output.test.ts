import assert from "node:assert/strict";
import { test } from "node:test";
import type { CheckResult } from "../verify/report/result.ts";
import type { CliContext } from "./command.ts";
import type { StepOutput } from "./steps.ts";
import { liveLine } from "./verify-output.ts";

const result = (verdict: CheckResult["verdict"], subject: string): CheckResult =>
  ({ verdict, target: "image web", subject }) as CheckResult;

/** What is written, one entry for each write. */
function written(isTerminal: boolean, isJson: boolean): readonly string[] {
  const writes: string[] = [];
  const context = { isTerminal, columns: 40, write: (text: string) => writes.push(text) };
  const output: StepOutput = { isJson, say: () => {}, emit: () => {} };
  const live = liveLine(context as unknown as CliContext, output);
  live.onResult(result("pass", "port 80"));
  live.onResult(result("fail", "file /etc/a-name-that-is-too-long-for-the-line"));
  live.onResult(result("unknown", "log"));
  live.end();
  return writes;
}

test("on a terminal one line says how far it is and what failed, is never wrapped, and is gone at the end", () => {
  const writes = written(true, false);
  assert.equal(writes[0], "\r  1 passed · image web › port 80\x1b[K");
  assert.equal(writes[1], "\r  1 passed, 1 failed · image web › file\x1b[K");
  assert.equal(writes[2], "\r  1 passed, 1 failed, 1 unknown · image\x1b[K");
  assert.equal(writes[3], "\r\x1b[K");
  for (const text of writes) assert.ok(text.replace(/^\r|\x1b\[K$/g, "").length < 40);
});

test("where nobody watches, and with --json, there is no such line", () => {
  assert.deepEqual(written(false, false), []);
  assert.deepEqual(written(true, true), []);
});
