/**
 * A scheduled report in Slack: a table as text and, with a bot token and the scope `files:write`, a picture. An incoming
 * webhook takes no files, so there it is text alone; so it is without that scope, and the text says so. Three attempts,
 * as Slack asks; then it rejects with Slack's word.
 */
import { type Clock, SlipwayError } from "@slipway/base";
import { boundedFetch, outcomeOf } from "./request.ts";

export interface SlackReport {
  readonly title: string;
  /** Plain text; shown with letters of one width. */
  readonly text: string;
  readonly png: Uint8Array | undefined;
}

export interface ReportChannel {
  readonly token?: string | undefined;
  readonly webhookUrl?: string | undefined;
  readonly channel: string;
  /** For tests and proxies; ends with a slash. */
  readonly apiUrl?: string | undefined;
}

const ATTEMPTS = 3;
const PAUSE_MS = 2_000;
const ATTEMPT_MS = 15_000;
/** Slack cuts longer messages. */
const TEXT_MAX = 3_500;

export async function sendReport(to: ReportChannel, report: SlackReport, clock: Clock): Promise<void> {
  const text = textOf(report);
  if (to.token === undefined) {
    if (to.webhookUrl === undefined) throw refusedBy("neither a bot token nor a webhook is configured");
    return tried(clock, () => postToHook(to.webhookUrl as string, text, clock));
  }
  const call = caller(to, clock);
  if (report.png === undefined) return tried(clock, () => postText(call, to.channel, text));
  const png = report.png;
  try {
    await tried(clock, () => upload(call, to, { ...report, png }, text, clock));
  } catch (error) {
    if (wordOf(error) !== "missing_scope") throw error;
    await tried(clock, () =>
      postText(call, to.channel, `${text}\n(Without its picture: the app lacks files:write.)`),
    );
  }
}

function textOf({ title, text }: SlackReport): string {
  const body = text.length <= TEXT_MAX ? text : `${text.slice(0, TEXT_MAX)}\n…`;
  const escaped = (plain: string): string =>
    plain.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  return `*${escaped(title)}*\n\`\`\`\n${escaped(body).replaceAll("```", "'''")}\n\`\`\``;
}

type Call = (method: string, body: Record<string, unknown>) => Promise<Readonly<Record<string, unknown>>>;

function caller(to: ReportChannel, clock: Clock): Call {
  return async (method, body) => {
    const { LogLevel, WebClient } = await import("@slack/web-api");
    const client = new WebClient(to.token, {
      ...(to.apiUrl === undefined ? {} : { slackApiUrl: to.apiUrl }),
      retryConfig: { retries: 0 },
      rejectRateLimitedCalls: true,
      logLevel: LogLevel.ERROR,
      logger: {
        debug() {},
        info() {},
        warn() {},
        error() {},
        setLevel() {},
        getLevel: () => LogLevel.ERROR,
        setName() {},
      },
      fetch: boundedFetch(clock, ATTEMPT_MS),
    });
    return (await client.apiCall(method, body)) as unknown as Readonly<Record<string, unknown>>;
  };
}

async function postText(call: Call, channel: string, text: string): Promise<void> {
  await call("chat.postMessage", { channel, text, unfurl_links: false, unfurl_media: false });
}

/** Slack's three steps of an upload; the message comes with the last one, so either both are there or neither. */
async function upload(
  call: Call,
  to: ReportChannel,
  { title, png }: { readonly title: string; readonly png: Uint8Array },
  text: string,
  clock: Clock,
): Promise<void> {
  const { upload_url: url, file_id: id } = await call("files.getUploadURLExternal", {
    filename: "report.png",
    length: png.byteLength,
  });
  // The address is not Slack's API: it takes the bytes and no token.
  const answer = await boundedFetch(clock, ATTEMPT_MS)(String(url), { method: "POST", body: formOf(png) });
  if (!answer.ok) throw refusedBy(`the upload was answered with HTTP ${answer.status}`);
  await call("files.completeUploadExternal", {
    files: [{ id, title }],
    channel_id: await channelIdOf(call, to.channel),
    initial_comment: text,
  });
}

function formOf(png: Uint8Array): FormData {
  const form = new FormData();
  form.append("filename", new Blob([new Uint8Array(png)], { type: "image/png" }), "report.png");
  return form;
}

/** A file is shared by the channel's id; a configuration may give its name. */
async function channelIdOf(call: Call, channel: string): Promise<string> {
  const name = channel.replace(/^#/, "");
  if (/^[CG][A-Z0-9]{6,}$/.test(name)) return name;
  let cursor = "";
  do {
    const answer = await call("conversations.list", {
      types: "public_channel,private_channel",
      exclude_archived: true,
      limit: 200,
      ...(cursor === "" ? {} : { cursor }),
    });
    const channels = (answer["channels"] ?? []) as readonly { readonly id: string; readonly name: string }[];
    const found = channels.find((one) => one.name === name);
    if (found !== undefined) return found.id;
    cursor =
      (answer["response_metadata"] as { readonly next_cursor?: string } | undefined)?.next_cursor ?? "";
  } while (cursor !== "");
  throw refusedBy(`there is no channel ${channel} that the app sees`);
}

async function postToHook(url: string, text: string, clock: Clock): Promise<void> {
  const answer = await boundedFetch(clock, ATTEMPT_MS)(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ text }),
  });
  if (!answer.ok) throw refusedBy(`the webhook answered with HTTP ${answer.status}`);
}

async function tried(clock: Clock, work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const outcome = outcomeOf(error);
      if (attempt >= ATTEMPTS || outcome.kind === "refused")
        throw error instanceof SlipwayError ? error : asError(error);
      await clock.sleep(outcome.kind === "limited" ? outcome.retryAfterMs : PAUSE_MS * attempt);
    }
  }
}

/** Slack's own word, like `missing_scope`. */
function wordOf(error: unknown): string | undefined {
  const cause = error instanceof SlipwayError ? error.cause : error;
  return (cause as { readonly data?: { readonly error?: string } } | undefined)?.data?.error;
}

function asError(cause: unknown): SlipwayError {
  const outcome = outcomeOf(cause);
  return refusedBy("reason" in outcome ? outcome.reason : outcome.kind, cause);
}

function refusedBy(message: string, cause?: unknown): SlipwayError {
  return new SlipwayError({
    code: "SLACK_REPORT",
    where: "notify/slack",
    message: `the report was not sent: ${message}`,
    cause,
  });
}
