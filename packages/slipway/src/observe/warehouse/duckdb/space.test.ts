import assert from "node:assert/strict";
import { test } from "node:test";
import { isOutOfMemory } from "./space.ts";

// As DuckDB 1.5 says it.
const messages: readonly (readonly [text: string, isMemory: boolean])[] = [
  ["Out of Memory Error: failed to allocate data of size 16.0 KiB (388.6 MiB/381.4 MiB used)", true],
  ["TransactionContext Error: Failed to commit: Out of Memory Error: could not allocate block", true],
  [
    "Failed to append: failed to allocate data of size 16.0 KiB (388.6 MiB/381.4 MiB used)\n\nPossible solutions:",
    true,
  ],
  ["Failed to append: could not allocate block of size 256.0 KiB (381.4 MiB/381.4 MiB used)", true],
  ["Failed to append: Constraint Error: NOT NULL constraint failed: hot_access.ip", false],
  ['Parser Error: syntax error at or near "Out of Memory Error"', false],
];

for (const [text, isMemory] of messages)
  test(`${isMemory ? "memory" : "something else"}: ${text.slice(0, 60)}`, () =>
    assert.equal(isOutOfMemory(new Error(text)), isMemory));
