/**
 * Slack by incoming webhook, which can neither edit nor thread nor look: one message when the release is over, and one
 * with the details of each cluster that failed. The start is not posted; it would stay there as a message that is never
 * corrected. Of an incident the beginning is posted, and what follows as messages of their own. When the answer to a post is lost it is posted again and says that it may be there twice.
 */
import type { Clock } from "@slipway/base";
import type { AnyPart } from "../outbox/thread.ts";
import type { Transport } from "../outbox/transport.ts";
import { blocksOf } from "./blocks.ts";
import { boundedFetch, outcomeOf } from "./request.ts";

export interface SlackWebhookOptions {
  /** A secret: never shown. */
  readonly url: string;
  readonly clock: Clock;
  readonly attemptMs?: number;
  readonly mentions?: Readonly<Record<string, string>> | undefined;
}

export function createSlackWebhook(options: SlackWebhookOptions): Transport {
  const mentionOf = ({ content: { author } }: AnyPart): string | undefined => {
    const { mentions = {} } = options;
    if (author === undefined) return undefined;
    return (author.email === undefined ? undefined : mentions[author.email]) ?? mentions[author.name];
  };
  return {
    name: "slack webhook",
    to: "slack webhook",
    can: { edits: false, finds: false },
    async post(_thread, part, note) {
      let retryAfter: string | undefined;
      const bounded = boundedFetch(options.clock, options.attemptMs ?? 5_000);
      try {
        const { IncomingWebhook } = await import("@slack/webhook");
        const webhook = new IncomingWebhook(options.url, {
          retryConfig: { retries: 0 },
          fetch: async (url: string | URL, init?: Parameters<typeof bounded>[1]) => {
            const response = await bounded(url, init);
            retryAfter = response.headers.get("retry-after") ?? undefined;
            return response;
          },
        });
        const blockOptions = { note, mention: mentionOf(part) };
        const { text, blocks } = blocksOf(part.content, blockOptions);
        await webhook.send({ text, ...(part.plain === true ? {} : { blocks: blocks as never }) });
        return { kind: "shown", channel: "webhook", ts: "" };
      } catch (error) {
        // The library's error does not have the answer's headers.
        const headers = retryAfter === undefined ? undefined : { "retry-after": retryAfter };
        return outcomeOf(Object.assign(Object.create(error as object) as object, { headers }));
      }
    },
    edit: async () => ({ kind: "refused", because: "frozen", reason: "a webhook cannot edit" }),
    find: async () => ({ kind: "cannot-find", reason: "a webhook cannot look" }),
  };
}
