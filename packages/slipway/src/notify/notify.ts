/** Chooses what the configuration asks for: a bot token wins over a webhook, because it can edit. */
import type { Clock } from "@slipway/base";
import type { SlackConfig } from "../config/types.ts";
import type { Notifier } from "./notifier.ts";
import { createOutbox, type Outbox } from "./outbox/outbox.ts";
import type { OutboxStore } from "./outbox/store.ts";
import { createPrinted } from "./printed.ts";
import { createSlackBot, type SlackBot } from "./slack/bot.ts";
import { createSlackWebhook } from "./slack/webhook.ts";

export type Telling =
  | { readonly kind: "bot"; readonly notifier: Outbox; readonly bot: SlackBot }
  | { readonly kind: "webhook"; readonly notifier: Outbox }
  /** Written to the terminal. Details are left out there: whoever reads it has just seen them. */
  | {
      readonly kind: "printed";
      readonly notifier: Notifier;
      /** What Slack would need, where something is set for it and that is not enough. */
      readonly missing: string | undefined;
    };

/** What is missing for Slack to be told, as a sentence; undefined when it is told. */
export function missingForSlack(slack: SlackConfig | undefined): string | undefined {
  if (slack?.webhookUrl !== undefined) return undefined;
  if (slack?.botToken === undefined) return "neither SLACK_BOT_TOKEN nor SLACK_WEBHOOK_URL is set";
  return slack.channel === undefined ? "SLACK_BOT_TOKEN is set, but notify.slack.channel is not" : undefined;
}

export function createTelling(options: {
  readonly slack: SlackConfig | undefined;
  readonly store: OutboxStore;
  readonly clock: Clock;
  readonly write: (text: string) => void;
  readonly onWarning: (message: string) => void;
}): Telling {
  const { slack, store, clock, onWarning } = options;
  if (slack?.botToken !== undefined && slack.channel !== undefined) {
    const { botToken: token, channel, apiUrl, mentions } = slack;
    const buttons = slack.signingSecret !== undefined || slack.appToken !== undefined;
    const bot = createSlackBot({ token, channel, apiUrl, clock, mentions, buttons });
    return { kind: "bot", bot, notifier: createOutbox({ transport: bot, store, clock, onWarning }) };
  }
  if (slack?.webhookUrl !== undefined) {
    const transport = createSlackWebhook({ url: slack.webhookUrl, clock, mentions: slack.mentions });
    return { kind: "webhook", notifier: createOutbox({ transport, store, clock, onWarning }) };
  }
  return {
    kind: "printed",
    notifier: createPrinted(options.write, { printDetails: false }),
    missing: slack === undefined ? undefined : missingForSlack(slack),
  };
}
