/** Both Slack notifiers against a server on this machine that answers as Slack does. */
import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, beforeEach, test } from "node:test";
import { type Clock, systemClock } from "@slipway/base";
import type { ReleaseMessage } from "../message.ts";
import { createSlackBot } from "./bot.ts";
import { createSlackWebhook } from "./webhook.ts";

interface Answer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body: string;
}

let server: Server;
let url = "";
let answers: Answer[] = [];
let requests: { path: string; token: string; body: Record<string, unknown> }[] = [];

before(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString();
      const isJson = request.headers["content-type"]?.includes("json") ?? false;
      const body = isJson ? JSON.parse(text) : Object.fromEntries(new URLSearchParams(text));
      requests.push({ path: request.url ?? "", token: request.headers.authorization ?? "", body });
      const answer = answers.shift() ?? {
        status: 200,
        body: JSON.stringify({ ok: true, channel: "C123", ts: "171.001" }),
      };
      if (answer.status === 0) return response.socket?.destroy();
      response.writeHead(answer.status, { "content-type": "application/json", ...answer.headers });
      response.end(answer.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
after(() => server.close());
beforeEach(() => {
  answers = [];
  requests = [];
});

/** Real time for the connection, but pauses pass at once and are remembered. */
function hurried(): Clock & { readonly pauses: number[] } {
  const pauses: number[] = [];
  return {
    ...systemClock,
    pauses,
    sleep: (ms, signal) => {
      // The limit of one attempt must not run out at once.
      if (ms === ATTEMPT_MS) return systemClock.sleep(ms, signal);
      pauses.push(ms);
      return Promise.resolve();
    },
  };
}

const ATTEMPT_MS = 4_321;

const message: ReleaseMessage = {
  state: "rolled-back",
  title: "shop: release 3 failed and was rolled back",
  cause: "tokyo: Deployment web, pod web-x, container web: crashed twice: exit code 1 (ContainerCrash)",
  facts: [{ label: "by", value: "aki <cli>" }],
  clusters: [
    { name: "tokyo", mark: "rolled-back", text: "back at release 2" },
    { name: "osaka", mark: "waiting", text: "not started" },
  ],
};

function bot(clock: Clock, totalMs = 60_000): ReturnType<typeof createSlackBot> {
  return createSlackBot({
    token: "xoxb-1",
    channel: "#deploys",
    apiUrl: url,
    clock,
    attemptMs: ATTEMPT_MS,
    totalMs,
  });
}

test("the bot posts one message, edits it by its id, and puts details in its thread", async () => {
  const notifier = bot(hurried());
  const handle = await notifier.post({ ...message, state: "running", cause: undefined });
  await notifier.update(handle, message);
  await notifier.reply(handle, { title: "Why", text: "Read the log.", code: "cannot find module" });
  assert.deepEqual(
    requests.map((request) => request.path),
    ["/chat.postMessage", "/chat.update", "/chat.postMessage"],
  );
  assert.ok(requests.every((request) => request.token === "Bearer xoxb-1"));
  assert.equal(requests[0]?.body["channel"], "#deploys");
  assert.deepEqual([requests[1]?.body["channel"], requests[1]?.body["ts"]], ["C123", "171.001"]);
  assert.deepEqual([requests[2]?.body["channel"], requests[2]?.body["thread_ts"]], ["C123", "171.001"]);
});

test("the blocks carry the cause on top, one line per cluster, and escape what Slack would read as markup", async () => {
  await bot(hurried()).post(message);
  assert.deepEqual(JSON.parse(String(requests[0]?.body["blocks"])), [
    { type: "header", text: { type: "plain_text", text: "↩️ shop: release 3 failed and was rolled back" } },
    {
      type: "section",
      text: {
        type: "mrkdwn",
        text: "*tokyo: Deployment web, pod web-x, container web: crashed twice: exit code 1 (ContainerCrash)*",
      },
    },
    {
      type: "section",
      text: { type: "mrkdwn", text: "↩️ *tokyo*  back at release 2\n⚪ *osaka*  not started" },
    },
    { type: "context", elements: [{ type: "mrkdwn", text: "by *aki &lt;cli&gt;*" }] },
  ]);
  assert.equal(requests[0]?.body["text"], `${message.title}: ${message.cause}`);
});

for (const kind of ["bot", "webhook"] as const) {
  const notifierOf = (clock: Clock, totalMs?: number) =>
    kind === "bot"
      ? bot(clock, totalMs)
      : createSlackWebhook({
          url: `${url}hook/secret`,
          clock,
          attemptMs: ATTEMPT_MS,
          ...(totalMs === undefined ? {} : { totalMs }),
        });

  test(`the ${kind} waits as long as Retry-After says and tries again`, async () => {
    const clock = hurried();
    answers = [{ status: 429, headers: { "retry-after": "7" }, body: "{}" }];
    await notifierOf(clock).post(message);
    assert.equal(requests.length, 2);
    assert.deepEqual(clock.pauses, [7_000]);
  });

  test(`the ${kind} tries again after a server error and after a broken connection`, async () => {
    const clock = hurried();
    answers = [
      { status: 503, body: "{}" },
      { status: 0, body: "" },
    ];
    await notifierOf(clock).post(message);
    assert.equal(requests.length, 3);
    assert.deepEqual(clock.pauses, [250, 1_000]);
  });

  test(`the ${kind} gives up when it is told to wait longer than a release would`, async () => {
    answers = [{ status: 429, headers: { "retry-after": "3600" }, body: "{}" }];
    await assert.rejects(notifierOf(hurried(), 5_000).post(message), { code: "SLACK_FAILED" });
    assert.equal(requests.length, 1);
  });
}

test("the bot's error carries Slack's own word and what to do", async () => {
  answers = [{ status: 200, body: JSON.stringify({ ok: false, error: "channel_not_found" }) }];
  await assert.rejects(bot(hurried()).post(message), {
    message: "chat.postMessage: channel_not_found",
    hint: "Correct notify.slack.channel, or invite the bot to the channel.",
  });
});

test("the webhook posts when the release is over, then its details, and its address is in no error", async () => {
  const notifier = createSlackWebhook({ url: `${url}hook/secret`, clock: hurried(), attemptMs: ATTEMPT_MS });
  const handle = await notifier.post({ ...message, state: "running" });
  await notifier.reply(handle, { title: "Why tokyo failed", text: "", code: undefined });
  assert.equal(requests.length, 0);
  await notifier.update(handle, message);
  assert.deepEqual(
    requests.map((request) => request.body["text"]),
    [`${message.title}: ${message.cause}`, "Why tokyo failed"],
  );
  answers = [{ status: 404, body: "no_service" }];
  await assert.rejects(notifier.post(message), (error: Error) => {
    assert.match(error.message, /HTTP 404 no_service/);
    assert.doesNotMatch(`${error.message} ${error.stack}`, /secret/);
    return true;
  });
});
