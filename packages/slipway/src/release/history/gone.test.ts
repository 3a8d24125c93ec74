import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReleaseRecord } from "../model.ts";
import { recordOf } from "../testing.ts";
import { describeGone, goneClusters, goneWarnings } from "./gone.ts";

const healthyIn = (number: number, names: readonly string[]): ReleaseRecord =>
  recordOf(number, {
    clusters: Object.fromEntries(
      names.map((name) => [name, { verdict: "healthy", step: "done", runs: number } as const]),
    ),
  });
const failedIn = (number: number, name: string): ReleaseRecord =>
  recordOf(number, {
    outcome: "failed",
    clusters: { [name]: { verdict: "failed", step: "done", runs: number } },
  });
const both = ["tokyo", "osaka"];

/** Newest first; `gone` is name, what runs there, and whether a release has been healthy without it since. */
const table: readonly [what: string, records: readonly ReleaseRecord[], gone: readonly unknown[]][] = [
  ["nothing is gone", [healthyIn(1, ["tokyo"])], []],
  ["one was in the last release", [healthyIn(2, both), healthyIn(1, both)], [["osaka", 2, false]]],
  ["a release failed since", [failedIn(3, "tokyo"), healthyIn(2, both)], [["osaka", 2, false]]],
  ["a release was healthy without it", [healthyIn(3, ["tokyo"]), healthyIn(2, both)], [["osaka", 2, true]]],
  [
    "it never ran anything",
    [
      recordOf(1, {
        outcome: "unknown",
        clusters: { ...healthyIn(1, ["tokyo"]).clusters, osaka: { verdict: "unknown", step: "done" } },
      }),
    ],
    [],
  ],
  ["the last release there went back", [undoneIn(2, "osaka", 1), healthyIn(1, both)], [["osaka", 1, false]]],
];

function undoneIn(number: number, name: string, runs: number): ReleaseRecord {
  return recordOf(number, {
    outcome: "rolled-back",
    clusters: { [name]: { verdict: "failed", step: "done", runs } },
  });
}

for (const [what, records, gone] of table) {
  test(`clusters that are not configured any more, when ${what}`, () => {
    const found = goneClusters(records, ["tokyo"]);
    assert.deepEqual(
      found.map(({ name, runs, isSettled }) => [name, runs, isSettled]),
      gone,
    );
    const told = found.filter(({ isSettled }) => !isSettled).map(describeGone);
    assert.deepEqual(goneWarnings(records, ["tokyo"]), told);
  });
}
