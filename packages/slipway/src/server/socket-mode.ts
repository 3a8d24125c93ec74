/**
 * Presses over Socket Mode: a WebSocket that we open, so nothing of ours need be reachable. Slack closes it about once
 * an hour and whenever it likes; it is opened again, after a pause that grows while that fails.
 */
import type { Clock } from "@slipway/base";
import { silentLogger } from "../notify/slack/bot.ts";
import { boundedFetch } from "../notify/slack/request.ts";

export interface SocketModeOptions {
  readonly appToken: string;
  readonly apiUrl: string | undefined;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Resolves once the press is safe; only then Slack is told that it was taken. */
  readonly onPayload: (payload: unknown) => Promise<void>;
  /** Connected, or why not. */
  readonly onState: (state: { readonly isConnected: boolean; readonly reason?: string }) => void;
}

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

interface Interactive {
  readonly ack: () => Promise<void>;
  readonly body: unknown;
}

/** Resolves when `signal` aborts. */
export async function followSocketMode(options: SocketModeOptions): Promise<void> {
  const { clock, signal } = options;
  const { SocketModeClient } = await import("@slack/socket-mode");
  for (let failures = 0; !signal.aborted; ) {
    // One client per connection: its own way to connect again gives up on a refused token as an unhandled rejection.
    const client = new SocketModeClient({
      appToken: options.appToken,
      autoReconnectEnabled: false,
      logger: silentLogger,
      clientOptions: {
        ...(options.apiUrl === undefined ? {} : { slackApiUrl: options.apiUrl }),
        retryConfig: { retries: 0 },
        rejectRateLimitedCalls: true,
        fetch: boundedFetch(clock, 10_000),
      },
    });
    client.on("interactive", ({ ack, body }: Interactive) => {
      // Not acknowledged, Slack delivers it again; the ledger knows it then.
      options
        .onPayload(body)
        .then(ack)
        .catch(() => undefined);
    });
    const closed = new Promise<void>((resolve) => client.once("disconnected", () => resolve()));
    const stop = (): void => void client.disconnect().catch(() => undefined);
    signal.addEventListener("abort", stop, { once: true });
    try {
      await client.start();
      failures = 0;
      options.onState({ isConnected: true });
      await closed;
      if (!signal.aborted) options.onState({ isConnected: false, reason: "Slack closed the connection" });
    } catch (error) {
      failures += 1;
      if (!signal.aborted) options.onState({ isConnected: false, reason: reasonOf(wordOf(error)) });
    } finally {
      signal.removeEventListener("abort", stop);
    }
    const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures, 10));
    await clock.sleep(pauseMs, signal).catch(() => undefined);
  }
}

/** The client gives no error at all when the connection ends before Slack has said hello. */
function wordOf(error: unknown): string {
  if (error === undefined) return "Slack closed the connection before it had begun";
  const { data, message } = error as {
    readonly data?: { readonly error?: string };
    readonly message?: string;
  };
  return data?.error ?? message ?? "no answer";
}

function reasonOf(word: string): string {
  const hint = HINTS[word];
  return hint === undefined ? word : `${word}. ${hint}`;
}

const HINTS: Readonly<Record<string, string>> = {
  invalid_auth: "SLACK_APP_TOKEN is not valid; it begins with xapp- and has the scope connections:write.",
  not_allowed_token_type: "SLACK_APP_TOKEN must be an app-level token (xapp-…), not the bot's.",
};
