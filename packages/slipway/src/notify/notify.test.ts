import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "@slipway/base";
import type { SlackConfig } from "../config/types.ts";
import { createTelling } from "./notify.ts";
import { createFileStore } from "./outbox/store.ts";

const noToken = "neither SLACK_BOT_TOKEN nor SLACK_WEBHOOK_URL is set";
const noChannel = "SLACK_BOT_TOKEN is set, but notify.slack.channel is not";
const cases: readonly (readonly [
  what: string,
  slack: SlackConfig | undefined,
  kind: string,
  missing: string | undefined,
])[] = [
  ["nothing is set", undefined, "printed", undefined],
  ["a channel without a token", { channel: "#deploys" }, "printed", noToken],
  ["a token without a channel", { botToken: "xoxb-1" }, "printed", noChannel],
  ["both", { botToken: "xoxb-1", channel: "#deploys" }, "bot", undefined],
  ["a webhook", { webhookUrl: "https://hooks.test/1" }, "webhook", undefined],
  [
    "a webhook and half a bot",
    { webhookUrl: "https://hooks.test/1", botToken: "xoxb-1" },
    "webhook",
    undefined,
  ],
];
for (const [what, slack, kind, missing] of cases) {
  test(`who is told: ${what}`, () => {
    const telling = createTelling({
      slack,
      clock: new VirtualClock(0),
      store: createFileStore({
        folder: "/nothing/is/told/here",
        self: { host: "laptop", pid: 1, startTicks: "1" },
        isAlive: () => true,
        now: () => 0,
      }),
      write: () => undefined,
      onWarning: () => undefined,
    });
    assert.deepEqual(
      [telling.kind, telling.kind === "printed" ? telling.missing : undefined],
      [kind, missing],
    );
  });
}
