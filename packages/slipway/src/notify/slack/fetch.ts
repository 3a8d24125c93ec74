/**
 * `fetch` with the patience Slack asks for: after a 429 wait what `Retry-After` says, after a 5xx or a broken
 * connection wait a little, and give up when the whole call has lasted too long. Both Slack libraries take it as
 * their transport, with their own retries off, so that there is one rule and one clock.
 */
import { type Clock, SlipwayError } from "@slipway/base";

export interface PatientFetchOptions {
  readonly clock: Clock;
  /** One attempt may take this long. */
  readonly attemptMs: number;
  /** All attempts and pauses together. */
  readonly totalMs: number;
  readonly fetch?: typeof globalThis.fetch;
}

const PAUSES_MS = [250, 1_000, 3_000] as const;

/** What both libraries pass; their types are narrower than the global ones. */
export interface FetchRequest {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | FormData;
  readonly redirect?: "error" | "follow" | "manual";
  readonly signal?: AbortSignal;
}

export function patientFetch(
  options: PatientFetchOptions,
): (url: string | URL, init?: FetchRequest) => Promise<Response> {
  const { clock } = options;
  return async (url, init) => {
    const deadline = clock.monotonic() + options.totalMs;
    for (let attempt = 0; ; attempt += 1) {
      const result = await once(options, url, init);
      const pauseMs = pauseAfter(result, attempt);
      if (pauseMs === undefined || clock.monotonic() + pauseMs > deadline) {
        if (result instanceof Error) throw result;
        return result;
      }
      if (!(result instanceof Error)) await result.body?.cancel();
      await clock.sleep(pauseMs, init?.signal);
    }
  };
}

async function once(
  options: PatientFetchOptions,
  url: string | URL,
  init: FetchRequest | undefined,
): Promise<Response | Error> {
  const limit = new AbortController();
  const timer = new AbortController();
  const timeout = options.clock.sleep(options.attemptMs, timer.signal).then(
    () => limit.abort(new Error(`no answer within ${options.attemptMs} ms`)),
    () => undefined,
  );
  const signals = init?.signal === undefined ? [limit.signal] : [limit.signal, init.signal];
  try {
    return await (options.fetch ?? fetch)(url, { ...init, signal: AbortSignal.any(signals) });
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  } finally {
    timer.abort();
    await timeout;
  }
}

/** How long to wait before the next attempt; undefined when there should be none. */
function pauseAfter(result: Response | Error, attempt: number): number | undefined {
  const pause = PAUSES_MS[attempt];
  if (result instanceof Error) return pause;
  if (result.status === 429) {
    const seconds = Number.parseFloat(result.headers.get("retry-after") ?? "");
    return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : pause;
  }
  return result.status >= 500 ? pause : undefined;
}

/** Slack's answer as an error; the URL of a webhook is a secret and is never part of it. */
export function slackError(what: string, error: unknown): SlipwayError {
  const facts = error as { data?: { error?: string }; statusCode?: number; body?: string; original?: Error };
  const reason =
    facts.data?.error ??
    (facts.statusCode === undefined ? undefined : `HTTP ${facts.statusCode} ${facts.body ?? ""}`.trim()) ??
    (facts.original ?? (error as Error)).message;
  return new SlipwayError({
    code: "SLACK_FAILED",
    where: "notify/slack",
    message: `${what}: ${reason}`,
    hint: HINTS[reason] ?? "The release is not affected.",
    cause: error,
  });
}

const HINTS: Readonly<Record<string, string>> = {
  invalid_auth: "SLACK_BOT_TOKEN is not valid.",
  not_authed: "Set SLACK_BOT_TOKEN.",
  channel_not_found: "Correct notify.slack.channel, or invite the bot to the channel.",
  not_in_channel: "Invite the bot to the channel.",
  missing_scope: "Give the bot the scope chat:write.",
};
