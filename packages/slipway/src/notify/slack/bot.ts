/** Slack with a bot token: one message that is edited as the release goes on, details in its thread. */
import type { Clock } from "@slipway/base";
import type { MessageHandle, Notifier } from "../notifier.ts";
import { detailBlocks, releaseBlocks, type SlackMessage } from "./blocks.ts";
import { patientFetch, slackError } from "./fetch.ts";

export interface SlackBotOptions {
  readonly token: string;
  readonly channel: string;
  readonly clock: Clock;
  /** For tests and proxies; ends with a slash. */
  readonly apiUrl?: string | undefined;
  readonly attemptMs?: number;
  readonly totalMs?: number;
}

export function createSlackBot(options: SlackBotOptions): Notifier {
  const client = lazily(async () => {
    const { LogLevel, WebClient } = await import("@slack/web-api");
    return new WebClient(options.token, {
      ...(options.apiUrl === undefined ? {} : { slackApiUrl: options.apiUrl }),
      retryConfig: { retries: 0 },
      rejectRateLimitedCalls: true,
      logLevel: LogLevel.ERROR,
      logger: silentLogger,
      fetch: patientFetch({
        clock: options.clock,
        attemptMs: options.attemptMs ?? 5_000,
        totalMs: options.totalMs ?? 60_000,
      }),
    });
  });
  const call = async (
    method: "chat.postMessage" | "chat.update",
    body: Record<string, unknown>,
    message: SlackMessage,
  ): Promise<MessageHandle> => {
    try {
      const answer = (await (
        await client()
      ).apiCall(method, {
        ...body,
        text: message.text,
        blocks: message.blocks,
        unfurl_links: false,
      })) as { channel?: unknown; ts?: unknown };
      // An update needs the channel's id, which only the first answer gives.
      return {
        channel: String(answer.channel ?? body["channel"]),
        id: String(answer.ts ?? body["ts"] ?? ""),
      };
    } catch (error) {
      throw slackError(method, error);
    }
  };
  return {
    name: `slack ${options.channel}`,
    post: (message) => call("chat.postMessage", { channel: options.channel }, releaseBlocks(message)),
    update: async (handle, message) => {
      await call("chat.update", { channel: handle.channel, ts: handle.id }, releaseBlocks(message));
    },
    reply: async (handle, detail) => {
      await call("chat.postMessage", { channel: handle.channel, thread_ts: handle.id }, detailBlocks(detail));
    },
  };
}

/** What the library would print goes into the error instead. */
const silentLogger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  setLevel: () => undefined,
  getLevel: () => "error" as never,
  setName: () => undefined,
};

function lazily<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
