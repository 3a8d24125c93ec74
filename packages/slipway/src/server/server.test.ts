/** Buttons from Slack against a real release engine on a cluster in this process, and a Slack on this machine. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { type Clock, systemClock, until } from "@slipway/base";
import { type Cluster, startCluster } from "@slipway/cluster";
import type { SlackConfig } from "../config/types.ts";
import { createTelling, type Telling } from "../notify/notify.ts";
import { createFileStore } from "../notify/outbox/store.ts";
import { type FakeMessage, type FakeSlack, startFakeSlack } from "../notify/slack/testing.ts";
import { announceWith } from "../release/announce/announce-release.ts";
import type { ReleaseContext, ReleaseRecord } from "../release/model.ts";
import { deploy, history } from "../release/release.ts";
import { behaviours, contextOf, rendered, targetsOf } from "../release/testing.ts";
import { createDeeds } from "./deeds.ts";
import { MAX_BODY_BYTES } from "./http.ts";
import { openLedger } from "./ledger.ts";
import { parsePress } from "./press.ts";
import { type ServeLog, type Serving, serve } from "./server.ts";
import { signatureOf } from "./signature.ts";

const SECRET = "8f742231b10e8888abcd99yyyzzz85a5";

let cluster: Cluster;
before(async () => {
  cluster = await startCluster({ name: "tokyo", runtime: "simulated", behaviours });
});
after(() => cluster.stop());

let slack: FakeSlack;
let folder: string;
let context: ReleaseContext;
let logs: ServeLog[];
let running: Serving[];
let count = 0;
beforeEach(async () => {
  slack = await startFakeSlack();
  slack.members.push("U0AKI");
  folder = await mkdtemp(join(tmpdir(), "slipway-serve-"));
  logs = [];
  running = [];
  count += 1;
  context = contextOf(targetsOf([cluster]), { service: `shop${count}`, environment: "production" });
});
afterEach(async () => {
  await Promise.all(running.map((one) => one.stop()));
  await slack.close();
  await rm(folder, { recursive: true });
});

const configOf = (changes: Partial<SlackConfig> = {}): SlackConfig => ({
  botToken: "xoxb-1",
  channel: "#deploys",
  apiUrl: slack.url,
  signingSecret: SECRET,
  ...changes,
});

/** On a busy machine an answer may come late: the 5 s for a request and for the end, and the 2 s beside it, are a minute. */
const patient: Clock = {
  ...systemClock,
  sleep: (ms, signal) => systemClock.sleep(ms === 2_000 || ms === 5_000 ? 60_000 : ms, signal),
};

function telling(
  config = configOf(),
  outbox = "outbox",
  clock = patient,
): Exclude<Telling, { kind: "printed" }> {
  const made = createTelling({
    slack: config,
    clock,
    store: createFileStore({
      folder: join(folder, outbox),
      self: { host: "laptop", pid: process.pid, startTicks: "1" },
      isAlive: () => true,
      now: Date.now,
    }),
    write: () => assert.fail("printed"),
    onWarning: (message) => logs.push({ event: "warning", message }),
  });
  assert.ok(made.kind !== "printed");
  return made;
}

/** Over a minute: what a look at the records missed, a later one finds. */
const PATIENT = { timeoutMs: 90_000, describe: () => JSON.stringify([logs, slack.calls]).slice(-4000) };

async function serving(changes: Partial<SlackConfig> = {}, outbox = "outbox"): Promise<Serving> {
  const config = configOf(changes);
  const one = await serve({
    service: context.service,
    environment: context.environment,
    slack: config,
    telling: telling(config, outbox),
    ledger: openLedger(join(folder, "presses")),
    clock: systemClock,
    host: "127.0.0.1",
    port: 0,
    log: (entry) => logs.push(entry),
    deeds: createDeeds({
      withRelease: (work) => work(context),
      telling: () => telling(config, outbox),
      from: "slack",
      clock: patient,
      log: () => undefined,
    }),
  });
  running.push(one);
  return one;
}

/** A release as `slipway deploy` makes it, told to Slack. */
async function ship(tag: string, outbox = "outbox", clock = patient): Promise<ReleaseRecord> {
  const announced = announceWith(telling(configOf(), outbox, clock), clock, context);
  const { service } = context;
  // A setting of its own: the same content would be the same ConfigMap, and that is another service's.
  const mine = { service, name: `${service}-web`, setting: service };
  const result = await deploy(context, rendered(tag, mine), {
    onEvent: announced.onEvent,
  });
  await announced.settle();
  return result.record;
}

const messageOn = (number: number): FakeMessage => {
  const id = `"${context.service}/production/${number}"`;
  const found = slack.messages.find(
    ({ metadata, thread }) => thread === undefined && JSON.stringify(metadata).includes(id),
  );
  assert.ok(
    found,
    `a message of release ${number} among ${slack.messages.map(({ text }) => text).join(" | ")}`,
  );
  return found;
};
type Button = {
  readonly action_id: string;
  readonly value: string;
  readonly text: { readonly text: string };
};
const buttonsOf = (message: FakeMessage): readonly Button[] =>
  (message.blocks.find(({ type }) => type === "actions")?.["elements"] ?? []) as readonly Button[];
const thread = (message: FakeMessage): readonly string[] =>
  slack.messages.filter((one) => one.thread === message.ts).map(({ text }) => text);

let triggers = 0;
function pressed(message: FakeMessage, button: Button | undefined, user = "U0AKI"): unknown {
  assert.ok(button, "there is such a button");
  triggers += 1;
  return {
    type: "block_actions",
    user: { id: user, username: user === "U0AKI" ? "aki" : "mallory" },
    trigger_id: `13345224609.738474920.${triggers}`,
    channel: { id: "C0DEPLOYS", name: "deploys" },
    message: { ts: message.ts, text: message.text },
    actions: [{ action_id: button.action_id, value: button.value, action_ts: `1548426417.84018${triggers}` }],
  };
}

interface Sent {
  readonly status: number;
  readonly text: string;
}
function send(
  port: number,
  body: string,
  changes: { headers?: Record<string, string>; path?: string; method?: string } = {},
): Promise<Sent> {
  const timestamp = String(Math.floor(Date.now() / 1000));
  const headers = {
    "content-type": "application/x-www-form-urlencoded",
    "x-slack-request-timestamp": timestamp,
    "x-slack-signature": signatureOf(timestamp, Buffer.from(body), SECRET),
    ...changes.headers,
  };
  return new Promise((resolve, reject) => {
    const { path = "/slack/interactions", method = "POST" } = changes;
    const call = request({ host: "127.0.0.1", port, path, method, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => {
        text += piece;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      response.on("error", reject);
    });
    call.on("error", reject);
    call.end(body);
  });
}
const formOf = (payload: unknown): string =>
  new URLSearchParams({ payload: JSON.stringify(payload) }).toString();
const logged = (event: ServeLog["event"]): readonly string[] =>
  logs.filter((one) => one.event === event).map(({ message }) => message);

test("Roll back over HTTP: acknowledged, done by the same rollback, told in the thread, and the buttons go", async () => {
  await ship("v1");
  await ship("v2");
  const message = messageOn(2);
  assert.deepEqual(
    buttonsOf(message).map(({ text }) => text.text),
    ["Roll back to 1", "Hold"],
  );
  assert.deepEqual(buttonsOf(messageOn(1)), [], "the older release has none any more");
  const { port } = await serving();
  const answer = await send(port, formOf(pressed(message, buttonsOf(message)[0])));
  assert.deepEqual(answer, { status: 200, text: "" });
  await until("the answer in the thread", () => thread(message).length > 0, PATIENT);
  assert.deepEqual(thread(message), [
    "aki asked to roll release 2 back to 1: release 3 is healthy everywhere",
  ]);
  const [newest] = await history(context);
  assert.deepEqual(
    [newest?.number, newest?.kind, newest?.restores, newest?.leaves, newest?.who, newest?.from],
    [3, "rollback", 1, 2, "aki (U0AKI)", "slack"],
  );
  assert.match(messageOn(3).text, /release 2 was taken back to 1 \(release 3\)/);
  await until("the buttons to go", () => buttonsOf(message).length === 0, PATIENT);
});

for (const outbox of ["outbox", "elsewhere"]) {
  test(`Roll back on an incident (${outbox}): the same rollback, told below the incident`, async () => {
    await ship("v1");
    await ship("v2");
    const { service, environment } = context;
    const about = { service, environment, incident: "3fe91c" };
    const teller = telling(configOf(), outbox).notifier;
    teller.show(about, {
      kind: "incident",
      state: "firing",
      severity: "page",
      title: "web: 98 % of requests fail (5xx)",
      since: undefined,
      facts: [],
      samples: [],
      link: undefined,
      command: "slipway rollback 1",
      actions: [
        { kind: "roll-back", on: { service, environment, number: 2 }, to: 1, incident: about.incident },
      ],
    });
    await teller.settle(20_000);
    const message = slack.messages.find(({ text }) => text.startsWith("web: 98 %"));
    assert.ok(message);
    const { port } = await serving();
    await send(port, formOf(pressed(message, buttonsOf(message)[0])));
    await until("the answer in the thread", () => thread(message).length > 0, PATIENT);
    assert.deepEqual(thread(message), [
      "aki asked to roll release 2 back to 1: release 3 is healthy everywhere",
    ]);
    assert.equal(message.edits, 0, "what the incident says is for whoever watches it");
    assert.match(messageOn(2).text, /release 2/);
  });
}

test("the same request twice, also after a restart, is done once; a second press of an old button is refused", async () => {
  await ship("v1");
  await ship("v2");
  const message = messageOn(2);
  const [button] = buttonsOf(message);
  const first = await serving();
  const body = formOf(pressed(message, button));
  const timestamp = String(Math.floor(Date.now() / 1000));
  const recorded = {
    headers: {
      "x-slack-request-timestamp": timestamp,
      "x-slack-signature": signatureOf(timestamp, Buffer.from(body), SECRET),
    },
  };
  const answers = await Promise.all([send(first.port, body, recorded), send(first.port, body, recorded)]);
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200],
  );
  await until("it to be done", () => logged("done").length === 1, PATIENT);
  await first.stop();
  const second = await serving();
  assert.equal((await send(second.port, body, recorded)).status, 200);
  assert.deepEqual(logged("refused"), ["this press was taken before", "this press was taken before"]);
  await ship("v3");
  await send(second.port, formOf(pressed(message, button)));
  await until("the refusal in the thread", () => thread(message).length === 2, PATIENT);
  assert.match(thread(message)[1] ?? "", /not done: .*release 4 is what would be left now, not 2/);
  assert.deepEqual(
    (await history(context)).map(({ number, kind }) => [number, kind]),
    [
      [4, "deploy"],
      [3, "rollback"],
      [2, "deploy"],
      [1, "deploy"],
    ],
  );
});

test("Hold over Socket Mode: acknowledged over the socket, held in the clusters; the connection is made again", async () => {
  await ship("v1");
  const { content } = await ship("v2");
  const message = messageOn(2);
  await serving({ signingSecret: undefined as never, appToken: "xapp-1" });
  // Not as Slack sees it: one that ends before its client knows of it never counts as connected.
  const connected = () => logged("socket").filter((text) => text === "connected to Slack").length;
  await until("the connection", () => connected() === 1, PATIENT);
  for (const socket of slack.sockets) socket.terminate();
  await until("the next connection", () => connected() === 2, PATIENT);
  await slack.press(pressed(message, buttonsOf(message)[1]));
  await until("the answer in the thread", () => thread(message).length > 0, PATIENT);
  assert.match(thread(message)[0] ?? "", /aki asked to hold release 2: release 2 is held/);
  const [newest] = await history(context);
  assert.ok(newest?.held.includes(content));
  assert.match(newest?.heldByHand?.[0]?.who ?? "", /^aki \(U/);
  await until("the button to go", () => buttonsOf(message).length === 1, PATIENT);
  const opened = slack.calls.filter(({ method }) => method === "apps.connections.open");
  assert.ok(opened.every(({ authorization }) => authorization === "Bearer xapp-1"));
});

test("who may press: members of the channel or the listed ones; what cannot be checked is refused", async () => {
  await ship("v1");
  await ship("v2");
  const message = messageOn(2);
  const [rollBack] = buttonsOf(message);
  const pressAndSee = async (one: Serving, user: string): Promise<string> => {
    const before = thread(message).length;
    await send(one.port, formOf(pressed(message, rollBack, user)));
    await until("the answer", () => thread(message).length > before, PATIENT);
    return thread(message).at(-1) ?? "";
  };
  const members = await serving();
  assert.match(await pressAndSee(members, "U0EVE"), /not done: mallory is not a member of the channel/);
  slack.scopes.delete("channels:read");
  const blind = await serving({ channel: "C0DEPLOYS" }, "outbox-2");
  assert.match(
    await pressAndSee(blind, "U0AKI"),
    /not done: it cannot be checked .*missing_scope \(scope channels:read\)/,
  );
  await Promise.all([members.stop(), blind.stop()]);
  const listed = await serving({ allow: ["U0SOMEBODY"] });
  assert.match(await pressAndSee(listed, "U0AKI"), /not done: aki is not in notify.slack.allow/);
  assert.equal((await history(context))[0]?.number, 2);
});

test("a button of another service or environment is refused", async () => {
  await ship("v1");
  const message = messageOn(1);
  const [hold] = buttonsOf(message);
  const one = await serving();
  const value = JSON.stringify({ service: context.service, environment: "staging", release: 1 });
  await send(one.port, formOf(pressed(message, { ...(hold as Button), value })));
  await until("the refusal", () => logged("refused").length > 0, PATIENT);
  assert.match(logged("refused")[0] ?? "", /is of shop\d+ \(production\), not of shop\d+ \(staging\)/);
});

test("HTTP: only Slack's signed interactions, bounded, and a health check", async () => {
  const one = await serving();
  const body = formOf({ type: "block_actions" });
  const old = String(Math.floor(Date.now() / 1000) - 301);
  const cases: readonly (readonly [name: string, sent: Promise<Sent>, status: number])[] = [
    ["health", send(one.port, "", { path: "/healthz", method: "GET" }), 200],
    ["another path", send(one.port, body, { path: "/" }), 404],
    ["another path below", send(one.port, body, { path: "/slack/interactions/x" }), 404],
    ["another method", send(one.port, "", { method: "GET" }), 405],
    ["no signature", send(one.port, body, { headers: { "x-slack-signature": "" } }), 401],
    ["a wrong one", send(one.port, body, { headers: { "x-slack-signature": `v0=${"0".repeat(64)}` } }), 401],
    [
      "an old one",
      send(one.port, body, {
        headers: {
          "x-slack-request-timestamp": old,
          "x-slack-signature": signatureOf(old, Buffer.from(body), SECRET),
        },
      }),
      401,
    ],
    ["a signed body without payload", send(one.port, "a=b"), 400],
    ["a payload that is no JSON", send(one.port, "payload=%7B"), 400],
    ["a payload that is nothing of ours", send(one.port, body), 200],
    [
      "too long",
      send(one.port, "a".repeat(MAX_BODY_BYTES + 1)).catch(() => ({ status: 413, text: "" })),
      413,
    ],
  ];
  for (const [name, sent, status] of cases) assert.equal((await sent).status, status, name);
  assert.ok(logged("refused").every((text) => !text.includes(SECRET)));
  await one.stop();
  const without = await serving({ signingSecret: undefined as never });
  assert.equal((await send(without.port, body)).status, 404);
  assert.match(logged("missing").join(), /no buttons: set SLACK_APP_TOKEN/);
});

test("a machine that is gone: its message is made again from the record, and its outdated one corrected", async () => {
  await ship("v1", "gone");
  const message = messageOn(1);
  assert.equal(buttonsOf(message).length, 1);
  slack.failAll({ status: 429, headers: { "retry-after": "3600" } });
  await ship("v2", "gone-too", systemClock);
  assert.equal(slack.messages.length, 1, "nothing of the second release arrived");
  slack.failAll(undefined);
  await serving({}, "fresh");
  await until("the missing message", () => slack.messages.length === 2, PATIENT);
  assert.match(messageOn(2).text, /release 2 is healthy everywhere/);
  assert.deepEqual(
    buttonsOf(messageOn(2)).map(({ text }) => text.text),
    ["Roll back to 1", "Hold"],
  );
  await until("the button of the first to go", () => buttonsOf(message).length === 0, PATIENT);
});

test("a press that was cut off is reported at the next start, and not done again", async () => {
  await ship("v1");
  await ship("v2");
  const message = messageOn(2);
  const press = parsePress(pressed(message, buttonsOf(message)[0]));
  assert.ok(!("ignored" in press));
  await openLedger(join(folder, "presses")).take(press);
  const first = await serving();
  await until("the report", () => thread(message).length === 1, PATIENT);
  assert.match(thread(message)[0] ?? "", /aki asked to roll release 2 back to 1: cut off/);
  await first.stop();
  await serving();
  assert.equal((await history(context))[0]?.number, 2);
  assert.equal(thread(message).length, 1);
});
