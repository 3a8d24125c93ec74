/** The outbox against a Slack on this machine that fails in every way a network and Slack itself can. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { type Clock, type ProcessIdentity, systemClock, until } from "@slipway/base";
import type { DetailMessage, ReleaseMessage } from "../message.ts";
import { createOutbox, type Outbox } from "../outbox/outbox.ts";
import { createFileStore, type OutboxStore } from "../outbox/store.ts";
import { createSlackBot, type SlackBotOptions } from "./bot.ts";
import { type FakeSlack, startFakeSlack } from "./testing.ts";
import { createSlackWebhook } from "./webhook.ts";

let slack: FakeSlack;
let folder: string;
let warnings: string[];
const opened: Outbox[] = [];
beforeEach(async () => {
  slack = await startFakeSlack();
  folder = await mkdtemp(join(tmpdir(), "slipway-outbox-"));
  warnings = [];
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.settle(0)));
  await slack.close();
  await rm(folder, { recursive: true });
});

/** How long a request may take: as long as Slack is about to answer, whatever the machine does beside it. */
const ATTEMPT_MS = 300;
/** How long an end is waited for: the only time that really passes. */
const SETTLE_MS = 60_000;

/**
 * Pauses pass at once and are remembered, and nothing else moves the time on: so they are exact. `meanwhile`: what happens
 * in each.
 */
function hurried(meanwhile: () => void = () => undefined): Clock & { readonly pauses: number[] } {
  const pauses: number[] = [];
  const start = systemClock.now();
  let passed = 0;
  return {
    pauses,
    now: () => start + passed,
    monotonic: () => passed,
    sleep: async (ms, signal) => {
      if (ms === ATTEMPT_MS) return slack.hangs(signal);
      if (ms === SETTLE_MS) return systemClock.sleep(ms, signal);
      if (signal?.aborted) throw signal.reason;
      pauses.push(ms);
      passed += ms;
      meanwhile();
      // The network gets its turn.
      await systemClock.sleep(1);
    },
  };
}

const self: ProcessIdentity = { host: "laptop", pid: 1, startTicks: "1" };
const storeOf = (
  sender: ProcessIdentity = self,
  isAlive: (other: ProcessIdentity) => boolean | undefined = () => true,
): OutboxStore => createFileStore({ folder, self: sender, isAlive, now: () => Date.now() });

function bot(
  options: Partial<SlackBotOptions> & { readonly store?: OutboxStore; readonly meanwhile?: () => void } = {},
): Outbox & { clock: ReturnType<typeof hurried> } {
  const clock = hurried(options.meanwhile);
  const transport = createSlackBot({
    token: "xoxb-1",
    channel: "#deploys",
    apiUrl: slack.url,
    clock,
    attemptMs: ATTEMPT_MS,
    ...options,
  });
  const outbox = createOutbox({
    transport,
    store: options.store ?? storeOf(),
    clock,
    onWarning: (message) => warnings.push(message),
  });
  opened.push(outbox);
  return Object.assign(outbox, { clock });
}

function webhook(store = storeOf()): Outbox & { clock: ReturnType<typeof hurried> } {
  const clock = hurried();
  const transport = createSlackWebhook({ url: slack.webhookUrl, clock, attemptMs: ATTEMPT_MS });
  const outbox = createOutbox({ transport, store, clock, onWarning: (message) => warnings.push(message) });
  opened.push(outbox);
  return Object.assign(outbox, { clock });
}

const release = { service: "shop", environment: "production", number: 7 };
const running: ReleaseMessage = {
  state: "running",
  title: "shop: release 7, shipping 3f2a91b",
  cause: undefined,
  facts: [{ label: "author", value: "Mika" }],
  clusters: [{ name: "tokyo", wave: 0, mark: "running", text: "1/2 new pods ready" }],
  author: { name: "Mika", email: "mika@example.com" },
};
const failed: ReleaseMessage = {
  ...running,
  state: "rolled-back",
  title: "shop: release 7 failed and was rolled back",
  cause: "tokyo: crashed twice: exit code 1 (ContainerCrash)",
};
const why: DetailMessage = { title: "Why tokyo failed", text: "Read the log.", code: "no module ./db" };

const methods = (): string[] => slack.calls.map(({ method }) => method);
const texts = (): string[] => slack.messages.map(({ text }) => text);
const END = `${failed.title}: ${failed.cause}`;

/** Where nobody listens: a port that the system gives to nobody who asks for any. */
const NOBODY = "http://127.0.0.1:2/api/";

test("one message, edited by its id, with details in its thread and our id in its metadata", async () => {
  const outbox = bot();
  outbox.show(release, running);
  await until("the post", () => slack.messages.length === 1);
  outbox.show(release, failed);
  outbox.add(release, "why-tokyo", why);
  outbox.add(release, "why-tokyo", why);
  await outbox.settle(SETTLE_MS);
  assert.deepEqual(texts(), [END, "Why tokyo failed"]);
  const [message, detail] = slack.messages;
  assert.equal(detail?.thread, message?.ts);
  assert.deepEqual(message?.metadata, {
    event_type: "slipway_release",
    event_payload: { id: "shop/production/7", key: "message", version: 2, standing: "rolled-back" },
  });
  assert.ok(slack.calls.every(({ authorization }) => authorization === "Bearer xoxb-1"));
  assert.deepEqual(warnings, []);
});

test("a hundred edits while one is under way are one more, to the newest", async () => {
  const outbox = bot();
  outbox.show(release, running);
  for (let index = 0; index < 100; index += 1) {
    outbox.show(release, { ...running, title: `edit ${index}` });
  }
  outbox.show(release, failed);
  await outbox.settle(SETTLE_MS);
  assert.deepEqual(texts(), [END]);
  assert.ok(slack.calls.length <= 3, `${slack.calls.length} calls`);
});

test("429: what Retry-After says is waited for, then it is sent", async () => {
  slack.fail("chat.postMessage", { status: 429, headers: { "retry-after": "7" } });
  const outbox = bot();
  outbox.show(release, failed);
  await outbox.settle(SETTLE_MS);
  assert.deepEqual(outbox.clock.pauses, [7_000]);
  assert.equal(methods().filter((method) => method === "chat.postMessage").length, 2);
  assert.deepEqual(texts(), [END]);
});

test("a server error: after a pause it is looked for, and posted when it is not there", async () => {
  slack.fail("chat.postMessage", { status: 503 }, { error: "fatal_error" });
  const outbox = bot();
  outbox.show(release, failed);
  await outbox.settle(SETTLE_MS);
  const ofPosts = methods().filter((method) => /^(chat|conversations\.history)/.test(method));
  assert.deepEqual(ofPosts, [
    "chat.postMessage",
    "conversations.history",
    "chat.postMessage",
    "conversations.history",
    "chat.postMessage",
  ]);
  assert.deepEqual(outbox.clock.pauses, [1_000, 2_000]);
  assert.deepEqual(texts(), [END]);
});

for (const fault of ["lose-reply", "hang-after"] as const) {
  test(`taken, but the answer is lost (${fault}): found by its id, not doubled, and edited from then on`, async () => {
    slack.fail("chat.postMessage", fault);
    const outbox = bot();
    outbox.show(release, running);
    await until("the post", () => slack.messages.length === 1);
    outbox.show(release, failed);
    outbox.add(release, "why-tokyo", why);
    await outbox.settle(SETTLE_MS);
    assert.deepEqual(texts(), [END, "Why tokyo failed"]);
    assert.equal(slack.messages[0]?.edits, 1);
  });
}

test("a lost answer to a detail is looked for in the thread", async () => {
  const outbox = bot();
  outbox.show(release, failed);
  await until("the post", () => slack.messages.length === 1);
  slack.fail("chat.postMessage", "lose-reply");
  outbox.add(release, "why-tokyo", why);
  await outbox.settle(SETTLE_MS);
  assert.deepEqual(texts(), [END, "Why tokyo failed"]);
  assert.ok(methods().includes("conversations.replies"));
});

test("ours is found though others have written much since", async () => {
  slack.fail("chat.postMessage", "lose-reply");
  // In the pause between the lost answer and the look for it.
  const write = (): void => {
    if (texts().includes("hi")) return;
    for (let index = 0; index < 10; index += 1) {
      slack.messages.push({
        ts: `${4_100_000_000 + index}.0`,
        thread: undefined,
        text: "hi",
        blocks: [],
        metadata: undefined,
        edits: 0,
      });
    }
  };
  const outbox = bot({ meanwhile: write });
  outbox.show(release, failed);
  await outbox.settle(SETTLE_MS);
  assert.deepEqual(
    texts().filter((text) => text !== "hi"),
    [END],
  );
  assert.equal(texts().length, 11);
  assert.equal(methods().filter((method) => method === "conversations.history").length, 4, "pages of three");
});

test("not taken and no answer (hang, reset): posted once", async () => {
  slack.fail("chat.postMessage", "hang", "reset");
  const outbox = bot();
  outbox.show(release, failed);
  await outbox.settle(SETTLE_MS);
  assert.deepEqual(texts(), [END]);
});

test("without the scope to look, what may be there is sent again and says so", async () => {
  slack.scopes.delete("channels:history");
  slack.fail("chat.postMessage", "lose-reply");
  const outbox = bot({ channel: "C0DEPLOYS" });
  outbox.show(release, failed);
  await outbox.settle(SETTLE_MS);
  assert.equal(slack.messages.length, 2);
  assert.doesNotMatch(JSON.stringify(slack.messages[0]?.blocks), /repeated/);
  assert.match(JSON.stringify(slack.messages[1]?.blocks), /\(repeated: /);
  assert.match(warnings.join("\n"), /missing_scope. Give the bot the scope channels:history/);
});

test("a webhook tells the end and its details; a repeated one is marked; its address is in nothing", async () => {
  const outbox = webhook();
  outbox.show(release, running);
  slack.fail("hook", "lose-reply", { status: 429, headers: { "retry-after": "3" } });
  outbox.show(release, failed);
  outbox.add(release, "why-tokyo", why);
  await outbox.settle(SETTLE_MS);
  assert.deepEqual(texts(), [END, END, "Why tokyo failed"]);
  assert.match(JSON.stringify(slack.messages[1]?.blocks), /\(repeated: /);
  // After the lost answer a second, then what Slack asked for.
  assert.deepEqual(outbox.clock.pauses, [1_000, 3_000]);
  const [file] = (await readdir(folder)).filter((name) => name.endsWith(".json"));
  assert.doesNotMatch(`${warnings}${await readFile(join(folder, file ?? ""), "utf8")}`, /very-secret/);
});

test("a webhook's refusal is told in its own word, with what to do", async () => {
  slack.fail("hook", { status: 404, body: "no_service" });
  const outbox = webhook();
  outbox.show(release, failed);
  await outbox.settle(SETTLE_MS);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? "", /HTTP 404 no_service. The webhook was removed/);
});

test("Slack away for the whole release: nothing is lost, the next command sends it and says that it is late", async () => {
  const first = bot({ apiUrl: NOBODY, store: storeOf() });
  first.show(release, running);
  first.show(release, failed);
  first.add(release, "why-tokyo", why);
  await until("the warning", () => warnings.some((text) => /cannot be reached \(ECONNREFUSED\)/.test(text)));
  await first.settle(0);
  const second = bot({ store: storeOf({ ...self, pid: 2 }, () => false) });
  // Later than any pause that the first may have come to: nobody knows how often it has tried.
  await second.clock.sleep(24 * 3_600_000);
  await second.drain();
  assert.deepEqual(texts(), [END, "Why tokyo failed"]);
  assert.match(
    JSON.stringify(slack.messages[0]?.blocks),
    /\(late: this was to be told at \d{4}-\d\d-\d\d \d\d:\d\d UTC\)/,
  );
  assert.equal(await second.waiting(), 0);
});

test("news of last week is none: it is dropped with a warning, and what was told is forgotten without one", async () => {
  const first = bot();
  first.show(release, failed);
  await first.settle(SETTLE_MS);
  const second = bot({ apiUrl: NOBODY });
  second.show({ ...release, number: 8 }, failed);
  await until("the warning", () => warnings.some((text) => /cannot be reached \(ECONNREFUSED\)/.test(text)));
  await second.settle(0);
  slack.messages.length = 0;
  warnings = [];
  const third = bot({ store: storeOf({ ...self, pid: 2 }, () => false) });
  await third.clock.sleep(8 * 24 * 3_600_000);
  await third.drain();
  assert.deepEqual(texts(), []);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? "", /shop\/production\/8 was never delivered .* dropped after a week/);
  assert.deepEqual(await readdir(folder), []);
});

test("blocks that Slack refuses are left out rather than the message", async () => {
  slack.fail("chat.postMessage", { error: "invalid_blocks" });
  const outbox = bot();
  outbox.show(release, failed);
  await outbox.settle(SETTLE_MS);
  assert.deepEqual(texts(), [END]);
  assert.deepEqual(slack.messages[0]?.blocks, []);
});

test("a message that somebody deletes is not posted again", async () => {
  const outbox = bot();
  outbox.show(release, running);
  await until("the post", () => slack.messages.length === 1);
  slack.messages.length = 0;
  outbox.show(release, failed);
  await outbox.settle(SETTLE_MS);
  assert.deepEqual(texts(), []);
});

test("the author is mentioned by the configured id, else by mail address, else named", async () => {
  const mentions: (string | undefined)[] = [];
  const post = async (options: Partial<SlackBotOptions>): Promise<void> => {
    const outbox = bot({
      ...options,
      store: createFileStore({
        folder: join(folder, `${mentions.length}`),
        self,
        isAlive: () => true,
        now: Date.now,
      }),
    });
    outbox.show(release, failed);
    await outbox.settle(SETTLE_MS);
    mentions.push(/author (<@\w+>|\*\w+\*)/.exec(JSON.stringify(slack.messages.at(-1)?.blocks))?.[1]);
  };
  await post({ mentions: { "mika@example.com": "U0MAIL" } });
  await post({ mentions: { Mika: "U0NAME" } });
  slack.users.set("mika@example.com", "U0FOUND");
  await post({});
  slack.scopes.delete("users:read.email");
  await post({});
  assert.deepEqual(mentions, ["<@U0MAIL>", "<@U0NAME>", "<@U0FOUND>", "*Mika*"]);
  assert.deepEqual(warnings, []);
});

test("the bot's refusal carries Slack's own word and what to do, and is told once", async () => {
  slack.fail("chat.postMessage", ...Array.from({ length: 3 }, () => ({ error: "not_in_channel" })));
  const outbox = bot();
  outbox.show(release, failed);
  await outbox.settle(SETTLE_MS);
  assert.deepEqual(warnings, ["slack #deploys: not_in_channel. Invite the bot to the channel."]);
  assert.deepEqual(outbox.clock.pauses, [300_000, 300_000, 300_000]);
  assert.deepEqual(texts(), [END]);
});

/** A command that dies at one moment: its code is written below, it is killed here. */
async function killedWhile(moment: () => boolean): Promise<void> {
  const child = spawn(
    process.execPath,
    [
      "--disable-warning=ExperimentalWarning",
      join(import.meta.dirname, "killed.testing.ts"),
      folder,
      slack.url,
    ],
    { stdio: ["ignore", "inherit", "inherit"] },
  );
  const ended = once(child, "exit");
  try {
    // What it has to tell last is on disk, and the request is where the test wants it.
    const isWritten = async (): Promise<boolean> => {
      const names = (await readdir(folder)).filter((name) => name.endsWith(".json"));
      const files = await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")));
      return files.some((text) => text.includes("rolled-back"));
    };
    await until("the moment to kill", async () => moment() && (await isWritten()));
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
}
const hasCalled = (method: string, times: number): boolean =>
  slack.calls.filter((call) => call.method === method).length >= times;

for (const [name, fault, moment] of [
  ["after Slack took the post, before its answer", "hang-after", () => slack.messages.length === 1],
  ["after the request, before Slack took it", "hang", () => hasCalled("chat.postMessage", 1)],
] as const) {
  test(`kill -9 in the send window, ${name}: one message in the end`, async () => {
    slack.fail("chat.postMessage", fault);
    await killedWhile(moment);
    const next = bot({ store: storeOf({ ...self, pid: 2 }, () => false) });
    await next.drain();
    assert.deepEqual(texts(), [END]);
    assert.equal(await next.waiting(), 0);
  });
}

test("kill -9 while an edit is under way: the edit is made again", async () => {
  slack.fail("chat.update", "hang");
  await killedWhile(() => hasCalled("chat.update", 1));
  const next = bot({ store: storeOf({ ...self, pid: 2 }, () => false) });
  await next.drain();
  assert.deepEqual(texts(), [END]);
});

test("what another living process sends is left to it, and taken over when that one is gone", async () => {
  slack.fail("chat.postMessage", "hang");
  const first = bot({ attemptMs: SETTLE_MS });
  first.show(release, failed);
  await until("the request", () => hasCalled("chat.postMessage", 1));
  let isFirstAlive = true;
  const second = bot({ store: storeOf({ ...self, pid: 2 }, ({ pid }) => (pid === 1 ? isFirstAlive : true)) });
  await second.drain();
  assert.equal(methods().filter((method) => method === "chat.postMessage").length, 1);
  isFirstAlive = false;
  await second.drain();
  assert.deepEqual(texts(), [END]);
});
