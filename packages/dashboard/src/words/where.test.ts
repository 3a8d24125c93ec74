import assert from "node:assert/strict";
import { test } from "node:test";
import { isUnderWay } from "./where.ts";

test("a cluster is under way between waiting and its verdict, and not when the release ended before it", () => {
  const table: readonly (readonly [verdict: string, step: string, isUnderWay: boolean])[] = [
    ["not-started", "pending", false],
    ["not-started", "applying", true],
    ["not-started", "judging", true],
    ["not-started", "done", false],
    ["healthy", "done", false],
    ["failed", "rolling-back", false],
  ];
  for (const [verdict, step, expected] of table)
    assert.equal(isUnderWay({ verdict, step }), expected, `${verdict}, ${step}`);
});
