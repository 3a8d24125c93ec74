import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { type Clock, SlipwayError, systemClock } from "@slipway/base";
import { sendReport } from "./report.ts";
import { type FakeSlack, startFakeSlack } from "./testing.ts";

let slack: FakeSlack;
const clock: Clock = {
  ...systemClock,
  sleep: (ms, signal) => systemClock.sleep(ms > 10_000 ? ms : 1, signal),
};
beforeEach(async () => {
  slack = await startFakeSlack();
});
afterEach(() => slack.close());

const png = new Uint8Array([0x89, 0x50, 0x4e, 0x47]);
const report = { title: "Slowest <routes>", text: "route  p95\n/a     900", png };
const bot = () => ({ token: "xoxb-1", channel: "#deploys", apiUrl: slack.url });

test("text and picture come together", async () => {
  await sendReport(bot(), report, clock);
  assert.deepEqual(
    slack.calls.map(({ method }) => method),
    ["files.getUploadURLExternal", "upload", "conversations.list", "files.completeUploadExternal"],
  );
  assert.equal(slack.calls[1]?.authorization, "", "the token stays with Slack's API");
  assert.equal(slack.messages.length, 1);
  assert.equal(slack.messages[0]?.text, "*Slowest &lt;routes&gt;*\n```\nroute  p95\n/a     900\n```");
});

test("without the scope it is text, and says so", async () => {
  slack.scopes.delete("files:write");
  await sendReport(bot(), report, clock);
  assert.equal(slack.messages.length, 1);
  assert.match(slack.messages[0]?.text ?? "", /lacks files:write/);
});

test("a webhook takes the text", async () => {
  await sendReport({ webhookUrl: slack.webhookUrl, channel: "" }, report, clock);
  assert.equal(slack.messages.length, 1);
});

test("what passes by is tried again; what is refused is not", async () => {
  slack.fail("files.completeUploadExternal", "reset", { status: 429, headers: { "retry-after": "0" } });
  await sendReport(bot(), report, clock);
  assert.equal(slack.messages.length, 1);
  await assert.rejects(
    sendReport({ ...bot(), channel: "#nowhere" }, report, clock),
    (error) =>
      error instanceof SlipwayError && error.code === "SLACK_REPORT" && /#nowhere/.test(error.message),
  );
  slack.failAll({ status: 500 });
  await assert.rejects(sendReport(bot(), { ...report, png: undefined }, clock), { code: "SLACK_REPORT" });
});
