/** Incidents through the same outbox as releases: when they are edited, what they look like, and kill -9. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { type Clock, systemClock, until } from "@slipway/base";
import fc from "fast-check";
import type { IncidentMessage } from "./message.ts";
import { type Abilities, decide, INCIDENT_EDIT_EVERY_MS, type Step } from "./outbox/decide.ts";
import { createOutbox, type Outbox } from "./outbox/outbox.ts";
import { createFileStore } from "./outbox/store.ts";
import { type AnyPart, type Thread, withDetail, withMessage } from "./outbox/thread.ts";
import type { Transport } from "./outbox/transport.ts";
import { renderIncident } from "./printed.ts";
import { blocksOf, incidentBlocks } from "./slack/blocks.ts";
import { createSlackBot } from "./slack/bot.ts";
import { type FakeSlack, startFakeSlack } from "./slack/testing.ts";
import { createSlackWebhook } from "./slack/webhook.ts";

const about = { service: "shop", environment: "production", incident: "3fe91c" };
const firing: IncidentMessage = {
  kind: "incident",
  state: "firing",
  severity: "page",
  title: "web: 98 % of requests fail (5xx)",
  since: "since release 12, 4 min ago",
  facts: [
    { label: "5xx", value: "588 of 600 requests in 5 min" },
    { label: "top route", value: "/pay?x=<1> (588)" },
  ],
  samples: ["12:00:01 GET /pay → 502 in 31 ms (tokyo, web-1)"],
  link: "http://127.0.0.1:4000/#/alerts?a=1&b=2",
  command: "slipway rollback 11",
  actions: [
    {
      kind: "roll-back",
      on: { service: "shop", environment: "production", number: 12 },
      to: 11,
      incident: "3fe91c",
    },
  ],
};
const resolved: IncidentMessage = { ...firing, state: "resolved", actions: [] };
const detail = { title: "now a page", text: "", code: undefined };

const bot: Abilities = { edits: true, finds: true };
const webhook: Abilities = { edits: false, finds: false };
const thread = (content: IncidentMessage, part: Partial<AnyPart> = {}, details = 0): Thread => {
  let made = withMessage(undefined, about, "slack", content, 1_000);
  for (let index = 0; index < details; index += 1) made = withDetail(made, `${index}`, detail, 1_000);
  return { ...made, message: { ...made.message, ...(part as object) } };
};
const shown = { channel: "C1", ts: "1.1", version: 1, at: 1_000 };
const send = (how: "post" | "edit", key = "message"): Step => ({ kind: "send", key, how });
const waitFor = (untilMs: number): Step => ({ kind: "wait", untilMs });

const steps: readonly (readonly [name: string, thread: Thread, now: number, can: Abilities, step: Step])[] = [
  ["an incident is posted at once", thread(firing), 1_000, bot, send("post")],
  ["by a webhook too", thread(firing), 1_000, webhook, send("post")],
  ["and edited after half a minute", thread(firing, { shown, version: 2 }), 31_000, bot, send("edit")],
  ["but not before", thread(firing, { shown, version: 2 }), 30_999, bot, waitFor(31_000)],
  ["not even to say that it is over", thread(resolved, { shown, version: 2 }), 5_000, bot, waitFor(31_000)],
  [
    "details do not wait for an edit",
    thread(firing, { shown, version: 2 }, 1),
    5_000,
    bot,
    send("post", "0"),
  ],
  [
    "but for a 429 they do",
    thread(firing, { shown, version: 2, notBefore: 9_000 }, 1),
    5_000,
    bot,
    waitFor(31_000),
  ],
  ["and for the message itself", thread(firing, { notBefore: 9_000 }, 1), 5_000, bot, waitFor(9_000)],
  [
    "a webhook tells details only",
    thread(resolved, { shown, version: 2 }, 1),
    5_000,
    webhook,
    send("post", "0"),
  ],
];

for (const [name, given, now, can, step] of steps) {
  test(name, () => assert.deepEqual(decide(given, now, can), step));
}

test("golden: what is wrong on top, since when, the lines, and the button with its incident", () => {
  const { text, blocks } = incidentBlocks(firing, { buttons: true });
  assert.equal(text, "web: 98 % of requests fail (5xx) since release 12, 4 min ago");
  assert.deepEqual(blocks.slice(0, 4), [
    { type: "header", text: { type: "plain_text", text: "🔴 web: 98 % of requests fail (5xx)" } },
    {
      type: "section",
      text: {
        type: "mrkdwn",
        text: "*since release 12, 4 min ago*\n*5xx*  588 of 600 requests in 5 min\n*top route*  /pay?x=&lt;1&gt; (588)",
      },
    },
    {
      type: "section",
      text: { type: "mrkdwn", text: "```12:00:01 GET /pay → 502 in 31 ms (tokyo, web-1)```" },
    },
    {
      type: "context",
      elements: [
        {
          type: "mrkdwn",
          text: "page, firing  ·  <http://127.0.0.1:4000/#/alerts?a=1&amp;b=2|Dashboard>",
        },
      ],
    },
  ]);
  const elements = (blocks[4]?.["elements"] ?? []) as readonly { readonly value: string }[];
  assert.deepEqual(JSON.parse(elements[0]?.value ?? ""), {
    service: "shop",
    environment: "production",
    release: 12,
    to: 11,
    incident: "3fe91c",
  });
});

test("without buttons the command is shown; when it is over neither", () => {
  const context = (message: IncidentMessage, buttons: boolean): string =>
    JSON.stringify(incidentBlocks(message, { buttons }).blocks.at(-1));
  assert.match(context(firing, false), /`slipway rollback 11`/);
  assert.match(context(resolved, true), /page, resolved/);
  assert.doesNotMatch(context(resolved, false), /rollback/);
  assert.equal(incidentBlocks(resolved).text.slice(0, 10), "resolved: ");
});

test("printed: the same as text", () => {
  assert.equal(
    renderIncident(firing),
    [
      "┌ ! page · web: 98 % of requests fail (5xx)",
      "│   since release 12, 4 min ago",
      "│   5xx: 588 of 600 requests in 5 min",
      "│   top route: /pay?x=<1> (588)",
      "│     12:00:01 GET /pay → 502 in 31 ms (tokyo, web-1)",
      "│   http://127.0.0.1:4000/#/alerts?a=1&b=2",
      "│   slipway rollback 11",
    ].join("\n"),
  );
});

let slack: FakeSlack;
let folder: string;
const opened: Outbox[] = [];
beforeEach(async () => {
  slack = await startFakeSlack();
  folder = await mkdtemp(join(tmpdir(), "slipway-incident-"));
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.settle(0)));
  await slack.close();
  await rm(folder, { recursive: true });
});

test("Slack takes whatever an incident says", async () => {
  const text = fc.string({ unit: "binary", maxLength: 5_000 }).map((one) => one.replaceAll("\0", "·") || "x");
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        title: text,
        since: fc.option(text, { nil: undefined }),
        facts: fc.array(fc.record({ label: text, value: text }), { maxLength: 20 }),
        samples: fc.array(text, { maxLength: 5 }),
      }),
      async (content) => {
        const answer = await fetch(`${slack.url}chat.postMessage`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({
            channel: "#deploys",
            ...blocksOf({ ...firing, ...content }, { buttons: true, note: "late" }),
          }),
        });
        assert.deepEqual(await answer.json(), {
          ok: true,
          channel: "C0DEPLOYS",
          ts: slack.messages.at(-1)?.ts,
        });
      },
    ),
    { numRuns: 60 },
  );
});

/** The outbox asks again for a thread that it is just letting go of (outbox.ts). */
const SOON_MS = 250;
/** Never over, by a clock that stands still: what is under way is waited for, and with it the last use of the folder. */
const SETTLE_MS = 60_000;

/**
 * A clock that a test moves: `pass` lets everything happen that is due. What is tried again soon is not waited for by
 * anybody who would move it, and happens in true time.
 */
function outboxOf(transport: (clock: Clock) => Transport, pid = 1): Outbox & { pass(ms: number): void } {
  let passed = 0;
  const start = systemClock.now();
  const sleepers = new Set<{ at: number; wake: () => void }>();
  const clock: Clock = {
    now: () => start + passed,
    monotonic: () => passed,
    sleep: (ms, signal) =>
      new Promise((wake, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        if (ms <= 0) return wake();
        if (ms <= SOON_MS) return systemClock.sleep(ms, signal).then(wake, reject);
        const one = { at: passed + ms, wake };
        sleepers.add(one);
        signal?.addEventListener("abort", () => {
          sleepers.delete(one);
          reject(signal.reason);
        });
      }),
  };
  const outbox = createOutbox({
    transport: transport(clock),
    store: createFileStore({
      folder,
      self: { host: "laptop", pid, startTicks: "1" },
      isAlive: (other) => other.pid === pid,
      now: () => Date.now(),
    }),
    clock,
    onWarning: () => undefined,
  });
  opened.push(outbox);
  return Object.assign(outbox, {
    pass(ms: number) {
      passed += ms;
      for (const one of [...sleepers].filter(({ at }) => at <= passed)) {
        sleepers.delete(one);
        one.wake();
      }
    },
  });
}
const botOf = (clock: Clock): Transport =>
  createSlackBot({ token: "xoxb-1", channel: "#deploys", apiUrl: slack.url, clock, attemptMs: 20_000 });
const hookOf = (clock: Clock): Transport => createSlackWebhook({ url: slack.webhookUrl, clock });

test("a hundred changes in a minute: one message and at most one edit in 30 s", async () => {
  const outbox = outboxOf(botOf);
  outbox.show(about, firing);
  await until("the post", () => slack.messages.length === 1);
  await until("that it is known", async () => (await outbox.known(about))?.message.shown !== undefined);
  for (let second = 0; second < 60; second += 1) {
    outbox.show(about, { ...firing, title: `web: after ${second} s` });
    outbox.pass(1_000);
    const due = Math.floor(((second + 1) * 1_000) / INCIDENT_EDIT_EVERY_MS);
    if (((second + 1) * 1_000) % INCIDENT_EDIT_EVERY_MS !== 0) continue;
    await until(`edit ${due}`, () => slack.messages[0]?.edits === due);
    // The next 30 s begin with the answer.
    await until(`its answer`, async () => (await outbox.known(about))?.message.sending === undefined);
  }
  assert.equal(slack.messages.length, 1);
  assert.deepEqual(
    slack.calls.map(({ method }) => method),
    ["chat.postMessage", "chat.update", "chat.update"],
  );
  assert.match(JSON.stringify(slack.messages[0]?.metadata), /"event_type":"slipway_incident"/);
  await outbox.settle(SETTLE_MS);
});

test("a webhook: the beginning, and what follows as messages of their own", async () => {
  const outbox = outboxOf(hookOf);
  outbox.show(about, firing);
  await until("the post", () => slack.messages.length === 1);
  outbox.show(about, { ...firing, title: "web: 100 %" });
  outbox.add(about, "over", { title: "resolved: web", text: "", code: undefined });
  await until("the end", () => slack.messages.length === 2);
  assert.deepEqual(
    slack.messages.map(({ text }) => text),
    [`${firing.title} ${firing.since}`, "resolved: web"],
  );
  await outbox.settle(SETTLE_MS);
});

for (const [name, fault, moment] of [
  ["after Slack took it, before its answer", "hang-after", () => slack.messages.length === 1],
  ["before Slack took it", "hang", () => slack.calls.length === 1],
] as const) {
  test(`kill -9 while an incident is sent, ${name}: one message in the end`, async () => {
    slack.fail("chat.postMessage", fault);
    const child = spawn(
      process.execPath,
      [
        "--disable-warning=ExperimentalWarning",
        join(import.meta.dirname, "slack/killed.testing.ts"),
        folder,
        slack.url,
        "incident",
      ],
      { stdio: ["ignore", "inherit", "inherit"] },
    );
    const ended = once(child, "exit");
    try {
      const isWritten = async (): Promise<boolean> => {
        const names = (await readdir(folder)).filter((one) => one.endsWith(".json"));
        const files = await Promise.all(names.map((one) => readFile(join(folder, one), "utf8")));
        return files.some((text) => text.includes("resolved"));
      };
      await until("the moment to kill", async () => moment() && (await isWritten()));
    } finally {
      child.kill("SIGKILL");
      await ended;
    }
    const next = outboxOf(botOf, 2);
    await next.drain();
    // Found, it still shows the beginning; the edit to the end is paced.
    next.pass(INCIDENT_EDIT_EVERY_MS);
    await next.drain();
    assert.deepEqual(
      slack.messages.map(({ text }) => text.slice(0, 8)),
      ["resolved"],
    );
    assert.equal(await next.waiting(), 0);
  });
}
