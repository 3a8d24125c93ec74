import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReleaseRecord } from "../model.ts";
import { recordOf } from "../testing.ts";
import { describeHold, heldRefusals, holdsIn, holdsLost, keepingHolds, whatIsHeld } from "./held.ts";

const MINUTE = 60_000;
const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;

/** A deploy by aki that ended, one minute per number, and showed nothing. */
function ended(number: number, changes: Partial<ReleaseRecord> = {}): ReleaseRecord {
  return recordOf(number, {
    images: [{ name: "web", digest: digest("a"), reference: "registry.test/web" }],
    content: digest("c"),
    clusters: { tokyo: { verdict: "failed", step: "done" } },
    startedAt: number * MINUTE - 10_000,
    finishedAt: number * MINUTE,
    ...changes,
  });
}

const byHand = { what: [digest("a")], at: 4 * MINUTE, who: "mio", message: "loses payments" };

const rows: readonly {
  readonly what: string;
  readonly record: ReleaseRecord;
  readonly text: string;
  readonly hint: RegExp;
}[] = [
  {
    what: "a release that failed",
    record: ended(3, { outcome: "rolled-back", held: [digest("a")] }),
    text: "was found bad by release 3 7m ago and taken back",
    hint: /^Correct it and ship again, or pass --allow-held/,
  },
  {
    what: "a rollback",
    record: ended(3, { kind: "rollback", held: [digest("a")] }),
    text: "was left by release 3, a rollback by aki 7m ago",
    hint: /^Ask aki, lift it with slipway release unhold sha256:aaaaaaaaaaaa, or pass --allow-held/,
  },
  {
    what: "somebody, in the record of a release that went well",
    record: ended(3, { held: [digest("a")], heldByHand: [byHand] }),
    text: 'was put on hold by mio 6m ago: "loses payments"',
    hint: /^Ask mio, lift it with/,
  },
  {
    what: "somebody, in the record of a release that failed",
    record: ended(3, {
      outcome: "rolled-back",
      held: [digest("d"), digest("a")],
      heldByHand: [byHand],
    }),
    text: 'was put on hold by mio 6m ago: "loses payments"',
    hint: /^Ask mio/,
  },
  {
    what: "somebody, in the record of a rollback, without a word",
    record: ended(3, {
      kind: "rollback",
      held: [digest("a")],
      heldByHand: [{ ...byHand, message: "" }],
    }),
    text: "was put on hold by mio 6m ago",
    hint: /^Ask mio/,
  },
  {
    what: "somebody of whom nothing was kept",
    record: ended(3, { held: [digest("a")] }),
    text: "was put on hold",
    hint: /^Lift it with slipway release unhold/,
  },
];

for (const { what, record, text, hint } of rows) {
  test(`held by ${what}: ${text}`, () => {
    const now = 10 * MINUTE;
    const hold = holdsIn([record]).find((one) => one.what === digest("a"));
    assert.ok(hold !== undefined);
    assert.equal(describeHold(hold, now), text);
    const [refusal, ...others] = heldRefusals(record, [record], now);
    assert.deepEqual(others, []);
    assert.equal(refusal?.where, "images/web");
    assert.equal(refusal?.message, `this image (${digest("a")}) ${text}`);
    assert.match(refusal?.hint ?? "", hint);
  });
}

test("what was held again is told as it was held last, and what a later release proved good is free", () => {
  const failed = ended(5, { outcome: "rolled-back", held: [digest("a")] });
  const hand = ended(3, { held: [digest("a")], heldByHand: [byHand] });
  assert.deepEqual(
    holdsIn([failed, hand]).map(({ reason, by, at }) => [reason, by, at]),
    [["failed", 5, 5 * MINUTE]],
  );
  const good = ended(6, { clusters: { tokyo: { verdict: "healthy", step: "done" } } });
  assert.deepEqual(heldRefusals(good, [good, failed, hand], 10 * MINUTE), []);
});

test("what is held is told by what it is: an image by its name, a release by its number", () => {
  const sets = ended(4, {
    images: [],
    content: digest("d"),
    held: [digest("a"), digest("c"), digest("e"), digest("f")],
  });
  const both = ended(3, {
    images: [
      { name: "web", digest: digest("a"), reference: "registry.test/web" },
      { name: "jobs", digest: digest("a"), reference: "registry.test/jobs" },
    ],
    content: digest("f"),
  });
  const told = (records: readonly ReleaseRecord[]): readonly string[] => holdsIn(records).map(whatIsHeld);
  const all = ["images jobs, web (sha256:aaaaaaaaaaaa)", "release 2 as a whole (sha256:cccccccccccc)"];
  const more = ["sha256:eeeeeeeeeeee", "release 3 as a whole (sha256:ffffffffffff)"];
  assert.deepEqual(told([sets, both, ended(2)]), [...all, ...more]);
  // Also when the releases that carried them have left the history.
  const keeps = keepingHolds(ended(5, { images: [], content: digest("9") }), holdsIn([sets, both, ended(2)]));
  assert.deepEqual(told([keeps]), [...all, ...more]);
});

test("a release of which only the content is held is refused as a whole", () => {
  const record = ended(3, { outcome: "rolled-back", held: [digest("c")] });
  const [refusal] = heldRefusals(record, [record], 10 * MINUTE);
  assert.equal(refusal?.where, "manifests");
  assert.match(refusal?.message ?? "", /^exactly this release was found bad by release 3 7m ago/);
});

test("holds outlive the records that set them, with who set them and why, until they are lifted", () => {
  const failed = ended(3, { outcome: "rolled-back", held: [digest("a")] });
  const hand = ended(4, {
    outcome: "rolled-back",
    images: [],
    held: [digest("e")],
    heldByHand: [{ what: [digest("e")], at: 4 * MINUTE, who: "mio", message: "loses payments" }],
  });
  const lifted = ended(5, { outcome: "rolled-back", held: [digest("b")] });
  const good = ended(6, {
    images: [{ name: "web", digest: digest("b"), reference: "registry.test/web" }],
    clusters: { tokyo: { verdict: "healthy", step: "done" } },
  });
  const all = [good, lifted, hand, failed];
  const before = holdsIn(all);
  const lost = holdsLost(all, [lifted, hand, failed]);
  assert.deepEqual(lost, before, "what a healthy release has lifted is not among them");
  const now = [keepingHolds(good, lost)];
  assert.deepEqual(holdsIn(now), before);
  // And once more, when the record that took them on leaves as well.
  const next = ended(7, { images: [], content: digest("d") });
  const later = [keepingHolds(next, holdsLost([next, ...now], now))];
  assert.deepEqual(holdsIn(later), before);
  assert.deepEqual(holdsLost(all, []), []);
});
