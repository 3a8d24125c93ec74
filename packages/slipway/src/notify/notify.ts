/** Chooses the notifier that the configuration asks for. */
import type { Clock } from "@slipway/base";
import type { SlackConfig } from "../config/types.ts";
import type { Notifier } from "./notifier.ts";
import { createPrinted } from "./printed.ts";
import { createSlackBot } from "./slack/bot.ts";
import { createSlackWebhook } from "./slack/webhook.ts";

/**
 * A bot token wins over a webhook, because it can edit; without either, messages are written to `write`. Details are
 * left out there: whoever reads that terminal has just seen them.
 */
export function createNotifier(options: {
  readonly slack: SlackConfig | undefined;
  readonly clock: Clock;
  readonly write: (text: string) => void;
}): Notifier {
  const { slack, clock } = options;
  if (slack?.botToken !== undefined && slack.channel !== undefined) {
    return createSlackBot({ token: slack.botToken, channel: slack.channel, apiUrl: slack.apiUrl, clock });
  }
  if (slack?.webhookUrl !== undefined) return createSlackWebhook({ url: slack.webhookUrl, clock });
  return { ...createPrinted(options.write), reply: () => Promise.resolve() };
}
