/**
 * One request to Slack, bounded in time, and what its failure means. The outbox alone decides about trying again, so
 * the libraries' own retries are off. The address of a webhook and tokens are secrets and are in no outcome.
 */
import type { Clock } from "@slipway/base";
import type { Outcome, Refusal } from "../outbox/decide.ts";

/** What both libraries pass to `fetch`; their types are narrower than the global ones. */
export interface FetchRequest {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | FormData;
  readonly redirect?: "error" | "follow" | "manual";
  readonly signal?: AbortSignal;
}

/** A 429 without Retry-After. */
const DEFAULT_RETRY_AFTER_S = 5;

export function boundedFetch(
  clock: Clock,
  attemptMs: number,
): (url: string | URL, init?: FetchRequest) => Promise<Response> {
  return async (url, init) => {
    const limit = new AbortController();
    const timer = new AbortController();
    const timeout = clock.sleep(attemptMs, timer.signal).then(
      () => limit.abort(new Error(`no answer within ${attemptMs} ms`)),
      () => undefined,
    );
    const signals = init?.signal ? [limit.signal, init.signal] : [limit.signal];
    try {
      const response = await fetch(url, { ...init, signal: AbortSignal.any(signals) });
      // Read to its end here, so that the limit holds for the body too.
      const body = await response.arrayBuffer();
      const { status, statusText } = response;
      const headers = new Headers(response.headers);
      headers.delete("content-encoding");
      const seconds = Number.parseInt(headers.get("retry-after") ?? "", 10);
      if (status === 429)
        headers.set("retry-after", String(Number.isNaN(seconds) ? DEFAULT_RETRY_AFTER_S : seconds));
      return new Response(status === 204 || status === 304 ? null : body, { status, statusText, headers });
    } catch (error) {
      throw limit.signal.aborted ? limit.signal.reason : error;
    } finally {
      timer.abort();
      await timeout;
    }
  };
}

/** The errors of `@slack/web-api` and `@slack/webhook`, by their codes. */
export function outcomeOf(error: unknown): Outcome {
  const { code, data, retryAfter, statusCode, body, headers, original } = error as {
    readonly code?: string;
    readonly data?: { readonly error?: string; readonly needed?: string };
    readonly retryAfter?: number;
    readonly statusCode?: number;
    readonly body?: unknown;
    readonly headers?: Readonly<Record<string, string>>;
    readonly original?: Error;
  };
  if (code === "slack_webapi_rate_limited_error") {
    return { kind: "limited", retryAfterMs: (retryAfter ?? DEFAULT_RETRY_AFTER_S) * 1000 };
  }
  if (code === "slack_webapi_platform_error") return platformOutcome(data?.error ?? "", data?.needed);
  if (statusCode !== undefined) {
    if (statusCode === 429) {
      return {
        kind: "limited",
        retryAfterMs: Number(headers?.["retry-after"] ?? DEFAULT_RETRY_AFTER_S) * 1000,
      };
    }
    const reason = `HTTP ${statusCode} ${typeof body === "string" ? body.slice(0, 200) : ""}`.trim();
    // A webhook's refusal is a 4xx with a word in it; a 5xx says nothing about whether the message was taken.
    return statusCode >= 500
      ? { kind: "unknown", reason }
      : platformOutcome(webhookWord(body), undefined, reason);
  }
  const cause = original ?? error;
  const system = systemCodeOf(cause);
  const reason = cause instanceof Error ? cause.message : String(cause);
  return NEVER_CONNECTED.has(system ?? "")
    ? { kind: "unsent", reason: `Slack cannot be reached (${system})` }
    : { kind: "unknown", reason: system === undefined ? reason : `${reason} (${system})` };
}

const NEVER_CONNECTED = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ENETUNREACH",
  "EHOSTUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);

function systemCodeOf(error: unknown): string | undefined {
  for (let one: unknown = error; one instanceof Error; one = one.cause) {
    const { code } = one as NodeJS.ErrnoException;
    if (typeof code === "string" && !code.startsWith("slack_")) return code;
  }
  return undefined;
}

const webhookWord = (body: unknown): string => (typeof body === "string" ? body.trim() : "");

/** `fatal_error`: "it's possible some aspect of the operation succeeded before the error was raised" (Slack's own words). */
const UNDECIDED = new Set([
  "fatal_error",
  "internal_error",
  "service_unavailable",
  "request_timeout",
  "team_added_to_org",
]);

const REFUSALS: Readonly<Record<string, Refusal>> = {
  invalid_blocks: "content",
  invalid_blocks_format: "content",
  msg_too_long: "content",
  msg_blocks_too_long: "content",
  invalid_metadata_format: "content",
  invalid_payload: "content",
  message_not_found: "gone",
  thread_not_found: "gone",
  edit_window_closed: "frozen",
  cant_update_message: "frozen",
};

function platformOutcome(word: string, needed?: string, reason = word): Outcome {
  if (word === "ratelimited" || word === "rate_limited") {
    return { kind: "limited", retryAfterMs: DEFAULT_RETRY_AFTER_S * 1000 };
  }
  if (UNDECIDED.has(word)) return { kind: "unknown", reason };
  const hint =
    word === "missing_scope" && needed !== undefined ? `Give the bot the scope ${needed}.` : HINTS[word];
  return {
    kind: "refused",
    because: REFUSALS[word] ?? "person",
    reason: hint === undefined ? reason : `${reason}. ${hint}`,
  };
}

const HINTS: Readonly<Record<string, string>> = {
  invalid_auth: "SLACK_BOT_TOKEN is not valid.",
  not_authed: "Set SLACK_BOT_TOKEN.",
  token_revoked: "SLACK_BOT_TOKEN was revoked; set the new one.",
  account_inactive: "The bot was removed from the workspace; install it again.",
  channel_not_found: "Correct notify.slack.channel, or invite the bot to the channel.",
  not_in_channel: "Invite the bot to the channel.",
  is_archived: "The channel is archived; correct notify.slack.channel.",
  missing_scope: "Give the bot the scope chat:write.",
  no_service: "The webhook was removed; set SLACK_WEBHOOK_URL to a new one.",
};
