import assert from "node:assert/strict";
import { test } from "node:test";
import { paceText, type usualDuration } from "./pace.ts";

type Timed = Parameters<typeof usualDuration>[0];

const took = (number: number, ms: number, changes: Partial<Timed> = {}): Timed => ({
  number,
  kind: "deploy",
  outcome: "healthy",
  environment: "production",
  startedAt: 1_000,
  finishedAt: 1_000 + ms,
  ...changes,
});

const table: readonly (readonly [name: string, past: readonly Timed[], text: string])[] = [
  ["the first release has nothing to compare with", [], "3 min 12 s"],
  ["one before it", [took(1, 100_000)], "3 min 12 s, the last one: 1 min 40 s"],
  [
    "an even number: the middle of the two in the middle",
    [took(1, 100_000), took(2, 300_000), took(3, 160_000), took(4, 160_000)],
    "3 min 12 s, median of the last 4: 2 min 40 s",
  ],
  [
    "only the newest ten count",
    [
      ...Array.from({ length: 10 }, (_, index) => took(11 + index, 160_000)),
      took(1, 1),
      took(2, 1),
      took(3, 1),
    ],
    "3 min 12 s, median of the last 10: 2 min 40 s",
  ],
  [
    "failed ones, rollbacks, other environments, unfinished and later ones do not",
    [
      took(1, 1, { outcome: "failed" }),
      took(2, 1, { kind: "rollback" }),
      took(3, 1, { environment: "staging" }),
      took(4, 1, { finishedAt: undefined, outcome: "interrupted" }),
      took(99, 1),
      took(5, 60_000),
    ],
    "3 min 12 s, the last one: 1 min 00 s",
  ],
];

for (const [name, past, text] of table) {
  test(`the pace of a release: ${name}`, () => {
    assert.equal(paceText(took(50, 192_000), past, 192_000), text);
  });
}
