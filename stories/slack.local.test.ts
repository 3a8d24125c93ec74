/** A failing release as a Slack channel sees it, and a Slack that does not work. */
import assert from "node:assert/strict";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, afterEach, before, test } from "node:test";
import { commitRelease, type Project, smallShop } from "./testing.ts";

interface Call {
  readonly path: string;
  readonly at: number;
  readonly body: Readonly<Record<string, string>>;
}

/** Takes what the Web API and incoming webhooks take; `behave` may answer first. */
let calls: Call[] = [];
let behave: (call: Call, response: ServerResponse) => boolean = () => false;
const slack = createServer((request, response) => {
  let text = "";
  request.setEncoding("utf8").on("data", (piece: string) => {
    text += piece;
  });
  request.on("end", () => {
    const isJson = request.headers["content-type"]?.includes("json") ?? false;
    const body = (isJson ? JSON.parse(text) : Object.fromEntries(new URLSearchParams(text))) as Call["body"];
    const call = { path: request.url ?? "", at: performance.now(), body };
    calls.push(call);
    if (behave(call, response)) return;
    if (call.path.startsWith("/hook/")) response.end("ok");
    else
      response
        .writeHead(200, { "content-type": "application/json" })
        .end(JSON.stringify({ ok: true, channel: "C1", ts: "171.1" }));
  });
});

let project: Project;
let url: string;
before(async () => {
  await new Promise<void>((resolve) => slack.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(slack.address() as AddressInfo).port}/`;
  project = await smallShop({ waves: 2 });
});
afterEach(() => {
  calls = [];
  behave = () => false;
  delete project.env["SLACK_BOT_TOKEN"];
  delete project.env["SLACK_WEBHOOK_URL"];
});
after(async () => {
  slack.closeAllConnections();
  slack.close();
  await project.remove();
});

function useBot(): void {
  Object.assign(project.env, { SLACK_BOT_TOKEN: "xoxb-story", SLACK_API_URL: url });
}

test("a Slack that never answers neither fails nor delays a release", async () => {
  behave = () => true; // the connection stays open, without an answer
  useBot();
  const startedAt = performance.now();
  const { stdout } = await project.ok("ship", "--json");
  const tookMs = performance.now() - startedAt;
  assert.match(stdout, /"outcome":"healthy"/);
  assert.ok(calls.length > 0, "Slack was asked");
  assert.ok(tookMs < 20_000, `the command took ${Math.round(tookMs)} ms`);
});

test("Slack's 429 is waited out while the release goes on", async () => {
  await commitRelease(project, "v2");
  let refusals = 0;
  behave = (_, response) => {
    if (refusals > 0) return false;
    refusals += 1;
    response.writeHead(429, { "retry-after": "1" }).end();
    return true;
  };
  useBot();
  await project.ok("ship");
  const [refused, second] = calls;
  assert.equal(second?.path, "/chat.postMessage");
  assert.ok((second?.at ?? 0) - (refused?.at ?? 0) >= 950, "Retry-After was kept to");
  assert.match(calls.at(-1)?.body["text"] ?? "", /release 2 is healthy everywhere/);
});

test("a failing release is one message that is edited, with the evidence in its thread", async () => {
  const server = await project.read("web/server.mjs");
  await project.write("web/server.mjs", `throw new Error("PAYMENT_URL is not set");\n${server}`);
  await commitRelease(project, "v3");
  useBot();
  const { text } = await project.fails(1, "ship");
  assert.doesNotMatch(text, /xoxb/);

  const posted = calls.filter(
    ({ path, body }) => path === "/chat.postMessage" && body["thread_ts"] === undefined,
  );
  assert.equal(posted.length, 1, "one message");
  assert.equal(posted[0]?.body["channel"], "#deploys");
  assert.match(posted[0]?.body["text"] ?? "", /shop: release 3, shipping/);
  const edits = calls.filter(({ path }) => path === "/chat.update");
  assert.ok(
    edits.length > 0 && edits.every(({ body }) => body["ts"] === "171.1" && body["channel"] === "C1"),
  );
  const last = edits.at(-1)?.body;
  assert.match(last?.["text"] ?? "", /release 3 failed and was rolled back: .*ContainerCrash/);
  assert.match(last?.["blocks"] ?? "", /tokyo.*back at release 2.*osaka.*not started/s);
  const thread = calls.filter(({ body }) => body["thread_ts"] === "171.1");
  assert.match(thread.map(({ body }) => body["blocks"]).join("\n"), /PAYMENT_URL is not set/);
});

test("a webhook is told the start and the end; its address is a secret", async () => {
  await project.git("revert", "--no-edit", "HEAD");
  project.env["SLACK_WEBHOOK_URL"] = `${url}hook/very-secret`;
  const { text } = await project.ok("ship");
  assert.doesNotMatch(text, /very-secret/);
  assert.ok(calls.every(({ path }) => path === "/hook/very-secret"));
  assert.match(calls.at(-1)?.body["text"] ?? "", /release 4 is healthy everywhere/);
  const shown = (await project.ok("config", "show")).text;
  assert.doesNotMatch(shown, /very-secret/);
  assert.match(shown, /notify\.slack\.webhookUrl +\(set\) +SLACK_WEBHOOK_URL/);
});

test("a Slack that refuses the token is a warning with what to do", async () => {
  behave = (_, response) => {
    response
      .writeHead(200, { "content-type": "application/json" })
      .end('{"ok":false,"error":"invalid_auth"}');
    return true;
  };
  useBot();
  const { stdout } = await project.ok("rollback", "1");
  assert.match(stdout, /warning: .*invalid_auth/);
  assert.match(stdout, /release 5 is healthy everywhere/);
});
