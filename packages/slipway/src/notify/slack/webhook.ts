/**
 * Slack by incoming webhook, which can neither edit nor thread: one message when the release is over, and one with
 * the details when it failed. The start is not posted; it would stay there as a message that is never corrected.
 */
import type { Clock } from "@slipway/base";
import type { DetailMessage, ReleaseMessage } from "../message.ts";
import type { Notifier } from "../notifier.ts";
import { detailBlocks, releaseBlocks, type SlackMessage } from "./blocks.ts";
import { patientFetch, slackError } from "./fetch.ts";

export interface SlackWebhookOptions {
  /** A secret: never shown. */
  readonly url: string;
  readonly clock: Clock;
  readonly attemptMs?: number;
  readonly totalMs?: number;
}

export function createSlackWebhook(options: SlackWebhookOptions): Notifier {
  const send = async (message: SlackMessage): Promise<void> => {
    try {
      const { IncomingWebhook } = await import("@slack/webhook");
      const webhook = new IncomingWebhook(options.url, {
        retryConfig: { retries: 0 },
        fetch: patientFetch({
          clock: options.clock,
          attemptMs: options.attemptMs ?? 5_000,
          totalMs: options.totalMs ?? 60_000,
        }),
      });
      await webhook.send({ text: message.text, blocks: message.blocks as never });
    } catch (error) {
      throw slackError("incoming webhook", error);
    }
  };
  let details: DetailMessage[] = [];
  const whenOver = async (message: ReleaseMessage): Promise<void> => {
    if (message.state === "running") return;
    await send(releaseBlocks(message));
    const waiting = details;
    details = [];
    for (const detail of waiting) await send(detailBlocks(detail));
  };
  return {
    name: "slack webhook",
    post: async (message) => {
      await whenOver(message);
      return { channel: "webhook", id: "" };
    },
    update: (_handle, message) => whenOver(message),
    // Details come after the message that they belong to.
    reply: async (_handle, detail) => {
      details.push(detail);
    },
  };
}
