import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClusterRecord, ReleaseRecord } from "../model.ts";
import { chooseTarget } from "../rollback.ts";
import { recordOf } from "../testing.ts";
import { renderHistory } from "../text.ts";
import { expired, heldBy, mayBeIn, runningIn } from "./history.ts";

const names = ["tokyo", "osaka"];

function record(number: number, changes: Partial<ReleaseRecord> = {}): ReleaseRecord {
  const healthy: ClusterRecord = { verdict: "healthy", step: "done", runs: number };
  return recordOf(number, {
    content: `content-${number}`,
    images: [{ name: "web", digest: `digest-${number}`, reference: `web@digest-${number}` }],
    waves: [names],
    clusters: { tokyo: healthy, osaka: healthy },
    ...changes,
  });
}

test("what runs in a cluster is what the newest release that touched it left there", () => {
  const records = [
    record(3, {
      outcome: "rolled-back",
      clusters: {
        tokyo: { verdict: "failed", step: "done", runs: 2 },
        osaka: { verdict: "not-started", step: "done" },
      },
    }),
    record(2),
    record(1),
  ];
  assert.deepEqual(
    names.map((name) => runningIn(records, name)?.number),
    [2, 2],
  );
});

test("what may still be in a cluster goes back to the newest release after which all was pruned", () => {
  const there = (verdict: "healthy" | "failed", runs: number) => ({ verdict, step: "done", runs }) as const;
  const away = { verdict: "not-started", step: "done" } as const;
  const records = [
    record(5, { outcome: "interrupted", clusters: { tokyo: there("failed", 5), osaka: away } }),
    // Taken back in tokyo, where it runs release 3 again.
    record(4, { outcome: "rolled-back", clusters: { tokyo: there("failed", 3), osaka: away } }),
    // Nobody pruned: osaka did not answer.
    record(3, { outcome: "unknown", clusters: { tokyo: there("healthy", 3), osaka: away } }),
    record(2),
    record(1),
  ];
  assert.deepEqual(
    names.map((name) => mayBeIn(records, name).map(({ number }) => number)),
    [[5, 4, 3, 2], [2]],
  );
  assert.deepEqual(mayBeIn(records, "kyoto"), []);
});

const failed = (number: number): ReleaseRecord =>
  record(number, {
    outcome: "failed",
    clusters: {
      tokyo: { verdict: "failed", step: "done", runs: number },
      osaka: { verdict: "not-started", step: "done" },
    },
  });

/** Release `number` took the service back from `leaves` to `restores`. */
const back = (
  number: number,
  leaves: number,
  restores: number,
  changes: Partial<ReleaseRecord> = {},
): ReleaseRecord =>
  record(number, {
    kind: "rollback",
    leaves,
    restores,
    content: `content-${restores}`,
    images: [{ name: "web", digest: `digest-${restores}`, reference: `web@digest-${restores}` }],
    held: [`content-${leaves}`, `digest-${leaves}`],
    ...changes,
  });

const cutOff = (number: number, leaves: number, restores: number): ReleaseRecord =>
  back(number, leaves, restores, {
    outcome: "interrupted",
    clusters: {
      tokyo: { verdict: "healthy", step: "done", runs: number },
      osaka: { verdict: "not-started", step: "pending" },
    },
  });

const judging: ReleaseRecord["clusters"] = {
  tokyo: { verdict: "healthy", step: "done", runs: 4 },
  osaka: { verdict: "unknown", step: "judging", runs: 4 },
};

const targets: readonly [what: string, records: readonly ReleaseRecord[], target: number | RegExp][] = [
  ["the end of a rollback that was cut off", [cutOff(4, 3, 1), record(3), record(2), record(1)], 1],
  [
    "the end of a rollback that was cut off while it was judged",
    [back(4, 3, 2, { outcome: "interrupted", clusters: judging }), record(3), record(2), record(1)],
    2,
  ],
  [
    "what a later release left, when that one was healthy after a rollback",
    [record(4), back(3, 2, 1), record(2), record(1)],
    3,
  ],
  [
    "nothing by itself after a rollback",
    [back(4, 3, 2), record(3), record(2), record(1)],
    /is a rollback already/,
  ],
  [
    "nothing by itself after a rollback whose hold was lifted",
    [back(3, 2, 1, { held: [] }), record(2), record(1)],
    /is a rollback already \(release 3, of 2 to 1\)/,
  ],
  [
    "the same release for the clusters that a rollback of one cluster left out",
    [
      back(3, 2, 1, { only: ["osaka"], clusters: { osaka: { verdict: "healthy", step: "done", runs: 3 } } }),
      record(2),
      record(1),
    ],
    1,
  ],
  ["the release before", [record(2), record(1)], 1],
  ["not one that failed", [record(3), failed(2), record(1)], 1],
  ["the last healthy one when the newest failed and stayed", [failed(3), record(2), record(1)], 2],
  ["not one with the same content", [record(3), record(2, { content: "content-3" }), record(1)], 1],
  ["not one that is held", [record(4, { held: ["digest-3"] }), record(3), record(2), record(1)], 2],
  ["none when there is only one release", [record(1)], /release 1 is what runs now/],
  ["none when all others are bad", [record(3), failed(2)], /release 2 was not healthy everywhere \(failed\)/],
  ["none when nothing was ever released", [], /nothing was released here yet/],
];
for (const [what, records, target] of targets) {
  test(`a rollback goes to ${what}`, () => {
    if (typeof target === "number")
      assert.equal(chooseTarget(records, { clusters: names }).target.number, target);
    else {
      assert.throws(() => chooseTarget(records, { clusters: names }), {
        code: /^ROLLBACK_(NO_TARGET|OF_ROLLBACK)$/,
        message: target,
      });
    }
  });
}

test("after a rollback the refusal names both ways on", () => {
  const records = [back(4, 3, 2), record(3), record(2), record(1)];
  assert.throws(() => chooseTarget(records, { clusters: names }), {
    hint: "Further back: slipway rollback 1. Forward to what was left: slipway rollback 3. Best: ship a corrected version.",
  });
  assert.equal(chooseTarget(records, { clusters: names, to: 3 }).target.number, 3);
  assert.equal(chooseTarget(records, { clusters: names, to: 1 }).leaves.number, 4);
});

test("one cluster goes back to what was good there, whatever the others said", () => {
  const osakaOnly = record(2, {
    outcome: "unknown",
    clusters: {
      osaka: { verdict: "healthy", step: "done", runs: 2 },
      tokyo: { verdict: "unknown", step: "done" },
    },
  });
  const records = [record(3), osakaOnly, record(1)];
  assert.equal(chooseTarget(records, { clusters: ["osaka"] }).target.number, 2);
  assert.equal(chooseTarget(records, { clusters: ["tokyo"] }).target.number, 1);
  assert.equal(chooseTarget(records, { clusters: names }).target.number, 1);
});

test("a release that cannot be read may be what runs, so going to the one before is something to do", () => {
  const records = [record(1)];
  assert.throws(() => chooseTarget(records, { clusters: names }), { code: "ROLLBACK_NO_TARGET" });
  assert.equal(chooseTarget(records, { clusters: names, unreadable: [2] }).target.number, 1);
  assert.throws(() => chooseTarget(records, { clusters: names, unreadable: [2], to: 2 }), {
    message: "the record of release 2 is damaged in every cluster",
  });
});

const ofCommit = (number: number, commit: string): ReleaseRecord =>
  record(number, { version: { commit, message: "", author: "", dirty: false } });

test("a commit names its newest good release; one that names two commits, or none, is refused", () => {
  const records = [ofCommit(4, "ffff0"), ofCommit(3, "abcd1"), ofCommit(2, "abcd1"), ofCommit(1, "abce2")];
  const choose = (toCommit: string): number =>
    chooseTarget(records, { clusters: names, toCommit }).target.number;
  assert.equal(choose("abcd"), 3);
  assert.equal(choose("abce2"), 1);
  assert.throws(() => choose("abc"), { message: "abc is the beginning of several commits: abcd1, abce2" });
  assert.throws(() => choose("0000"), { message: "no release of a commit 0000" });
  assert.throws(() => choose("ffff"), { message: "release 4 is what runs now" });
});

test("a commit may be named whole, and means itself rather than a work tree with changes on top of it", () => {
  const whole = "0123456789abcdef0123456789abcdef01234567";
  const short = whole.slice(0, 12);
  const records = [
    ofCommit(5, "ffff0"),
    ofCommit(4, `${short}-dirty`),
    ofCommit(3, short),
    ofCommit(2, "0123aaaaaaaa-dirty"),
    ofCommit(1, "uncommitted"),
  ];
  const choose = (toCommit: string): number =>
    chooseTarget(records, { clusters: names, toCommit }).target.number;
  assert.equal(choose(whole), 3);
  assert.equal(choose(short), 3);
  assert.equal(choose("01234"), 3);
  assert.equal(choose(`${short}-dirty`), 4);
  assert.equal(choose("0123aaaaaaaa"), 2);
  assert.throws(() => choose("0123"), {
    message: `0123 is the beginning of several commits: ${short}, 0123aaaaaaaa`,
  });
});

test("the list says which releases had changes that were not committed", () => {
  const of = (number: number, commit: string, dirty: boolean): ReleaseRecord =>
    record(number, { version: { commit, message: "", author: "", dirty } });
  const lines = renderHistory(
    [of(3, "0123456789ab-dirty", true), of(2, "0123456789ab", false), of(1, "uncommitted", true)],
    0,
  );
  const commits = lines
    .split("\n")
    .map((line) => /[0-9a-f]{12}( \(dirty\))?|uncommitted( \(dirty\))?/.exec(line)?.[0]);
  assert.deepEqual(commits.slice(1), ["0123456789ab (dirty)", "0123456789ab", "uncommitted"]);
});

test("a later release that is healthy everywhere lifts the hold on what it carries", () => {
  const bad = record(2, { held: ["digest-9", "digest-8"], outcome: "rolled-back" });
  const again = record(3, { images: [{ name: "web", digest: "digest-9", reference: "web@digest-9" }] });
  assert.deepEqual([...heldBy([again, bad, record(1)])], [["digest-8", 2]]);
});

test("records leave the history beyond `keep`, but never what runs somewhere, the newest healthy one or the way back from it", () => {
  const same = record(2, { content: "content-3" });
  const records = [failed(6), failed(5), failed(4), record(3), same, record(1), record(0)];
  assert.deepEqual(
    expired(records, 2, names).map((one) => one.number),
    [4, 2, 0],
  );
});
