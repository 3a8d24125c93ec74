/** A failing release as a Slack channel sees it, and a Slack that does not work. */
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { type FakeSlack, startFakeSlack } from "../packages/slipway/src/notify/slack/testing.ts";
import { commitRelease, type Project, smallShop } from "./testing.ts";

let slack: FakeSlack;
let project: Project;
before(async () => {
  slack = await startFakeSlack();
  project = await smallShop({ waves: 2 });
});
afterEach(() => {
  slack.calls.length = 0;
  slack.failAll(undefined);
  delete project.env["SLACK_BOT_TOKEN"];
  delete project.env["SLACK_WEBHOOK_URL"];
  delete project.env["SLACK_APP_TOKEN"];
});
after(async () => {
  await slack.close();
  await project.remove();
});

function useBot(): void {
  Object.assign(project.env, { SLACK_BOT_TOKEN: "xoxb-story", SLACK_API_URL: slack.url });
}
const messageOn = (number: number) => {
  const id = `"shop/local/${number}"`;
  const found = slack.messages.find(
    ({ metadata, thread }) => thread === undefined && JSON.stringify(metadata ?? {}).includes(id),
  );
  assert.ok(found, `a message of release ${number}`);
  return found;
};
const topLevel = (): readonly string[] =>
  slack.messages.filter(({ thread }) => thread === undefined).map(({ text }) => text);

test("a Slack that never answers neither fails nor delays a release", async () => {
  slack.failAll("hang");
  useBot();
  const { stdout } = await project.ok("ship", "--json");
  assert.match(stdout, /"outcome":"healthy"/);
  assert.ok(slack.calls.length > 0, "Slack was asked");
  // Two seconds for what is beside the release and five for its message; the rest is a slow machine's.
  const finished = /"type":"finished".*"at":(\d+)/.exec(stdout)?.[1];
  const tookMs = Date.now() - Number(finished);
  assert.ok(tookMs < 60_000, `the command went on for ${tookMs} ms after its release`);
  assert.deepEqual(topLevel(), []);
  const kept = await readdir(join(project.folder, ".slipway/outbox"));
  assert.ok(kept.includes("shop.local.1.json"));
});

test("the next command sends what was left, and waits out a 429 while its release goes on", async () => {
  await commitRelease(project, "v2");
  slack.fail("chat.postMessage", { status: 429, headers: { "retry-after": "1" } });
  useBot();
  await project.ok("ship");
  assert.deepEqual([...topLevel()].sort(), [
    "shop: release 1 is healthy everywhere",
    "shop: release 2 is healthy everywhere",
  ]);
});

test("a failing release is one message that is edited, with the evidence in its thread", async () => {
  const server = await project.read("web/server.mjs");
  await project.write("web/server.mjs", `throw new Error("PAYMENT_URL is not set");\n${server}`);
  await commitRelease(project, "v3");
  useBot();
  const { text } = await project.fails(1, "ship");
  assert.doesNotMatch(text, /xoxb/);

  const [message, ...others] = slack.messages.filter(({ metadata }) =>
    JSON.stringify(metadata).includes("shop/local/3"),
  );
  assert.match(message?.text ?? "", /release 3 failed and was rolled back: .*ContainerCrash/);
  assert.ok((message?.edits ?? 0) > 0);
  assert.match(JSON.stringify(message?.blocks), /tokyo.*back at release 2.*osaka.*not started/s);
  assert.ok(others.length > 0 && others.every(({ thread }) => thread === message?.ts));
  assert.match(JSON.stringify(others.map(({ blocks }) => blocks)), /PAYMENT_URL is not set/);
  assert.equal(topLevel().length, 3);
});

test("a webhook is told the end; its address is a secret", async () => {
  await project.git("revert", "--no-edit", "HEAD");
  project.env["SLACK_WEBHOOK_URL"] = slack.webhookUrl;
  const { text } = await project.ok("ship");
  assert.doesNotMatch(text, /very-secret/);
  assert.deepEqual(
    slack.calls.map(({ method, body }) => [method, body["text"]]),
    [["hook", "shop: release 4 is healthy everywhere"]],
  );
  const shown = (await project.ok("config", "show")).text;
  assert.doesNotMatch(shown, /very-secret/);
  assert.match(shown, /notify\.slack\.webhookUrl +\(set\) +SLACK_WEBHOOK_URL/);
});

test("a Slack that refuses the token is a warning with what to do", async () => {
  slack.failAll({ error: "invalid_auth" });
  useBot();
  const { stdout } = await project.ok("rollback", "1");
  assert.match(stdout, /warning: .*invalid_auth\. SLACK_BOT_TOKEN is not valid/);
  assert.match(stdout, /release 5 is healthy everywhere/);
});

test("slipway serve: Roll back is pressed over Socket Mode, and everything of it is told in the channel", async () => {
  await commitRelease(project, "v6");
  useBot();
  project.env["SLACK_APP_TOKEN"] = "xapp-story";
  slack.members.push("U0STORY");
  await project.ok("ship");
  const message = messageOn(6);
  const actions = message.blocks.find(({ type }) => type === "actions");
  const [button] = (actions?.["elements"] ?? []) as readonly { action_id: string; value: string }[];
  const server = project.start("serve", "--port", "0", "--json");
  await server.sees("connected to Slack");
  await slack.press({
    type: "block_actions",
    trigger_id: "1.2.3",
    user: { id: "U0STORY", username: "story" },
    channel: { id: "C0DEPLOYS" },
    message: { ts: message.ts },
    actions: [{ action_id: button?.action_id, action_ts: "1.1", value: button?.value }],
  });
  await server.sees(/"event":"done"/);
  server.child.kill("SIGTERM");
  const { code, text } = await server.ended;
  assert.equal(code, 0);
  assert.match(text, /"event":"stopped"/);
  assert.doesNotMatch(text, /xoxb|xapp/);
  const thread = slack.messages.filter((one) => one.thread === message.ts).map((one) => one.text);
  assert.deepEqual(thread, [
    `story asked to roll release 6 back to ${JSON.parse(button?.value ?? "{}").to}: release 7 is healthy everywhere`,
  ]);
  assert.match(
    (await project.ok("history", "--json")).stdout,
    /"number":7,.*"who":"story \(U0STORY\)","from":"slack"/,
  );
});
