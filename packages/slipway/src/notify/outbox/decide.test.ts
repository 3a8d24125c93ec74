/** What is sent next, and what an answer means: tables. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ReleaseMessage } from "../message.ts";
import {
  type Abilities,
  begun,
  decide,
  type How,
  isDone,
  type Outcome,
  type Step,
  settled,
} from "./decide.ts";
import { type AnyPart, recovered, type Thread, withDetail, withMessage } from "./thread.ts";

const bot: Abilities = { edits: true, finds: true };
const webhook: Abilities = { edits: false, finds: false };
const release = { service: "shop", environment: "production", number: 7 };

const running: ReleaseMessage = {
  state: "running",
  title: "shop: release 7",
  cause: undefined,
  facts: [],
  clusters: [],
};
const healthy: ReleaseMessage = { ...running, state: "healthy" };

const thread = (content: ReleaseMessage, part: Partial<AnyPart> = {}, details: number = 0): Thread => {
  let made = withMessage(undefined, release, "slack", content, 1_000);
  for (let index = 0; index < details; index += 1) {
    made = withDetail(made, `why-${index}`, { title: "Why", text: "", code: undefined }, 1_000);
  }
  return { ...made, message: { ...made.message, ...(part as object) } };
};
const shown = { channel: "C1", ts: "1.1", version: 1, at: 1_000 };
const send = (how: How, key = "message"): Step => ({ kind: "send", key, how });
const rest: Step = { kind: "rest" };

const steps: readonly (readonly [name: string, thread: Thread, now: number, can: Abilities, step: Step])[] = [
  ["a new message is posted", thread(running), 1_000, bot, send("post")],
  ["a webhook says nothing while it runs", thread(running), 1_000, webhook, rest],
  ["a webhook posts the end", thread(healthy), 1_000, webhook, send("post")],
  ["what is shown rests", thread(running, { shown }), 5_000, bot, rest],
  ["progress is an edit", thread(running, { shown, version: 2 }), 2_000, bot, send("edit")],
  [
    "but not twice in a second",
    thread(running, { shown, version: 2 }),
    1_400,
    bot,
    { kind: "wait", untilMs: 2_000 },
  ],
  ["the end does not wait for that", thread(healthy, { shown, version: 2 }), 1_400, bot, send("edit")],
  [
    "but for a 429",
    thread(healthy, { shown, version: 2, notBefore: 9_000 }),
    1_400,
    bot,
    { kind: "wait", untilMs: 9_000 },
  ],
  ["a webhook never edits", thread(healthy, { shown, version: 2 }), 5_000, webhook, rest],
  [
    "a request under way is waited for",
    thread(running, { sending: { version: 1, at: 1_000 } }),
    5_000,
    bot,
    rest,
  ],
  [
    "details wait for the message",
    thread(running, { notBefore: 9_000 }, 1),
    1_000,
    bot,
    { kind: "wait", untilMs: 9_000 },
  ],
  ["and come after it", thread(running, { shown }, 1), 5_000, bot, send("post", "why-0")],
  ["without a message there are none", thread(running, { givenUp: "deleted" }, 1), 5_000, bot, rest],
  ["a post in doubt is looked for", thread(running, { doubtSince: 500 }), 1_000, bot, send("find")],
  [
    "where that is not possible it is repeated",
    thread(healthy, { doubtSince: 500 }),
    1_000,
    webhook,
    send("repeat"),
  ],
  [
    "as without the scope to look",
    thread(running, { doubtSince: 500, blind: true }),
    1_000,
    bot,
    send("repeat"),
  ],
];
for (const [name, given, now, can, step] of steps) {
  test(`next: ${name}`, () => assert.deepEqual(decide(given, now, can), step));
}

const answers: readonly (readonly [
  name: string,
  before: Partial<AnyPart>,
  how: How,
  outcome: Outcome,
  after: Partial<AnyPart>,
])[] = [
  [
    "shown",
    { failures: 3 },
    "post",
    { kind: "shown", channel: "C1", ts: "1.1" },
    { shown: { channel: "C1", ts: "1.1", version: 1, at: 5_000 }, failures: 0, notBefore: 0 },
  ],
  [
    "429 waits as long as it says",
    {},
    "post",
    { kind: "limited", retryAfterMs: 7_000 },
    { notBefore: 12_000, failures: 0 },
  ],
  ["not connected: a second", {}, "post", { kind: "unsent", reason: "x" }, { notBefore: 6_000, failures: 1 }],
  [
    "then two, four, eight",
    { failures: 3 },
    "post",
    { kind: "unsent", reason: "x" },
    { notBefore: 13_000, failures: 4 },
  ],
  ["a minute at most", { failures: 30 }, "post", { kind: "unsent", reason: "x" }, { notBefore: 65_000 }],
  [
    "a lost answer to a post is a doubt",
    {},
    "post",
    { kind: "unknown", reason: "x" },
    { doubtSince: 4_900, notBefore: 6_000 },
  ],
  [
    "the first doubt counts",
    { doubtSince: 100 },
    "find",
    { kind: "unknown", reason: "x" },
    { doubtSince: 100 },
  ],
  [
    "found: nothing is posted",
    { doubtSince: 100 },
    "find",
    { kind: "found", channel: "C1", ts: "1.1", version: 1 },
    { shown: { channel: "C1", ts: "1.1", version: 1, at: 0 }, notBefore: 0 },
  ],
  [
    "a person must help",
    {},
    "post",
    { kind: "refused", because: "person", reason: "x" },
    { notBefore: 305_000 },
  ],
  [
    "refused blocks are left out",
    {},
    "post",
    { kind: "refused", because: "content", reason: "x" },
    { plain: true, notBefore: 5_000 },
  ],
  [
    "and then it is given up",
    { plain: true },
    "post",
    { kind: "refused", because: "content", reason: "x" },
    { givenUp: "x" },
  ],
  [
    "a deleted message stays deleted",
    { shown },
    "edit",
    { kind: "refused", because: "gone", reason: "x" },
    { givenUp: "somebody deleted it (x)" },
  ],
];
for (const [name, before, how, outcome, after] of answers) {
  test(`answer: ${name}`, () => {
    const part = begun({ ...thread(healthy).message, ...(before as object) }, 4_900);
    const result = settled(part, how, outcome, 5_000) as AnyPart;
    assert.equal(result.sending, undefined);
    assert.deepEqual({ ...result, ...after }, result);
  });
}

test("a lost answer to an edit is no doubt: the edit is made again", () => {
  const part = begun({ ...thread(healthy, { shown, version: 2 }).message }, 4_900);
  const after = settled(part, "edit", { kind: "unknown", reason: "x" }, 5_000);
  assert.equal(after.doubtSince, undefined);
  assert.equal(after.shown?.version, 1);
});

test("looked for and not there: posted as if for the first time", () => {
  const part = begun({ ...thread(healthy, { doubtSince: 100 }).message }, 4_900);
  const after = settled(part, "find", { kind: "not-found" }, 5_000);
  assert.equal(after.doubtSince, undefined);
  assert.deepEqual(decide({ ...thread(healthy), message: after }, 5_000, bot), send("post"));
});

test("looked for and not there: the next failure's pause goes on doubling", () => {
  const part = begun({ ...thread(healthy, { doubtSince: 100, failures: 2 }).message }, 4_900);
  const after = begun(settled(part, "find", { kind: "not-found" }, 5_000), 5_000);
  assert.equal(
    settled(after, "post", { kind: "unknown", reason: "HTTP 503" }, 5_000).notBefore,
    5_000 + 4_000,
  );
});

test("what can no longer be edited is said anew", () => {
  const part = begun({ ...thread(healthy, { shown, version: 2 }).message }, 4_900);
  const after = settled(part, "edit", { kind: "refused", because: "frozen", reason: "x" }, 5_000);
  assert.deepEqual(decide({ ...thread(healthy), message: after }, 5_000, bot), send("post"));
});

test("what was sent counts as shown, not what the content has become meanwhile", () => {
  const sent = begun(thread(running).message, 4_900);
  const newer = { ...sent, content: healthy, version: 4 };
  const after = settled(newer, "post", { kind: "shown", channel: "C1", ts: "1.1" }, 5_000);
  assert.equal(after.shown?.version, 1);
  assert.deepEqual(decide({ ...thread(healthy), message: after }, 5_000, bot), send("edit"));
});

test("a file of a process that died in the send window: a post is in doubt, an edit is not", () => {
  const sending = { version: 1, at: 4_900 };
  assert.equal(recovered(thread(running, { sending })).message.doubtSince, 4_900);
  const edited = recovered(thread(running, { sending, shown, version: 2 })).message;
  assert.deepEqual([edited.doubtSince, edited.sending], [undefined, undefined]);
});

test("edits that pile up are one edit, to the newest; the same content is none", () => {
  let one = thread(running, { shown });
  for (let index = 0; index < 50; index += 1) {
    one = withMessage(one, release, "slack", { ...running, title: `${index}` }, 2_000);
  }
  assert.equal(one.message.version, 51);
  assert.equal(withMessage(one, release, "slack", { ...running, title: "49" }, 9_000), one);
  const after = settled(
    begun(one.message, 3_000),
    "edit",
    { kind: "shown", channel: "C1", ts: "1.1" },
    3_100,
  );
  assert.deepEqual(decide({ ...one, message: after }, 3_100, bot), rest);
  assert.ok(isDone({ ...one, message: after }, bot));
});
