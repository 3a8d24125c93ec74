/** From a line in a log file to a message in Slack, with every real part between but Slack itself. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { seededRandom, systemClock, until } from "@slipway/base";
import { type FakeSlack, startFakeSlack } from "../../notify/slack/testing.ts";
import { lineOf, type WatchedLog, watchLog } from "./testing.ts";

let slack: FakeSlack;
let folder: string;
let watched: WatchedLog | undefined;
beforeEach(async () => {
  slack = await startFakeSlack();
  folder = await mkdtemp(join(tmpdir(), "slipway-alerts-"));
});
afterEach(async () => {
  await watched?.close();
  watched = undefined;
  await slack.close();
  await rm(folder, { recursive: true });
});
const bot = () => ({ botToken: "xoxb-1", channel: "#deploys", apiUrl: slack.url });

test("a 5xx in a log is a message with its route and its redacted line; a test arrives; a mute is known", async () => {
  watched = await watchLog({ folder, slack: bot() });
  await watched.append([200, 502]);
  await until("the message", () => slack.messages.length === 1);
  const told = JSON.stringify(slack.messages[0]?.blocks);
  assert.match(slack.messages[0]?.text ?? "", /first 5xx of a release that is not known/);
  assert.match(told, /GET \/pay\?token=\S+ → 502 in 31 ms/);
  assert.doesNotMatch(told, /secret/);
  assert.match(told, /top route\* {2}\/pay \(1\)/);
  const { open } = await watched.running.port.list();
  assert.equal(open.length, 1);
  await watched.running.port.mute({ id: open[0]?.id ?? "", forMs: 60_000, reason: "known" }, "aki");
  assert.equal((await watched.running.port.list()).muted[0]?.mutedUntil !== undefined, true);
  assert.deepEqual(await watched.running.alerts.test(60_000), {
    delivered: true,
    text: "slack #deploys: it arrived",
  });
});

test("after a start counts go on where the warehouse is: nothing twice, nothing missing, and no second message", async () => {
  watched = await watchLog({ folder, slack: bot() });
  await watched.append([...Array<number>(30).fill(200), 500, 500]);
  await until("the message", () => slack.messages.length === 1);
  await watched.close();
  watched = await watchLog({ folder, slack: bot() });
  await watched.append([500]);
  const five = async () =>
    (await watched?.running.port.list())?.open[0]?.facts.find(({ name }) => name === "5xx")?.value;
  await until("all of them", async () => (await five()) === "3 of 33 requests in 5 min", {
    describe: () => slack.messages.map(({ text }) => text).join(" | "),
  });
  // Three failures of so few requests are more than the first of a release: that is said below the message.
  await until("what it has grown to", () => slack.messages.length > 1);
  const [message, ...others] = slack.messages;
  assert.deepEqual(
    others.map(({ thread, text }) => [thread === message?.ts, text]),
    [[true, "now a page: web-1: 9.09 % of requests fail (5xx)"]],
  );
});

test("kill -9 at any moment: one message in the end, and every failure counted once", async () => {
  const random = seededRandom(11);
  const path = join(folder, "access.log");
  let written = 0;
  for (let round = 0; round < 3; round += 1) {
    // The answer to a post is lost, now and then, too.
    if (round === 0) slack.fail("chat.postMessage", "lose-reply");
    const child = spawn(
      process.execPath,
      [
        "--disable-warning=ExperimentalWarning",
        join(import.meta.dirname, "killed.testing.ts"),
        folder,
        slack.url,
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    await once(child.stdout, "data");
    const lines = 1 + random.int(20);
    await appendFile(path, lineOf(502, systemClock.now()).repeat(lines));
    written += lines;
    // From before the line is seen to after it is told; the first one mostly before, whatever the machine does beside.
    if (round > 0) await until("something to be told", () => slack.messages.length > 0);
    await systemClock.sleep(random.int(1_500));
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  watched = await watchLog({ folder, slack: bot() });
  const counted = async () =>
    (await watched?.running.port.list())?.open.map(
      ({ facts }) => facts.find(({ name }) => name === "5xx")?.value,
    );
  await until("all of them", async () => (await counted())?.[0]?.startsWith(`${written} of ${written} `));
  await until("the message", () => slack.messages.length > 0);
  const messages = slack.messages.filter(({ thread }) => thread === undefined);
  assert.equal(messages.length, 1, messages.map(({ text }) => text).join(" | "));
});
