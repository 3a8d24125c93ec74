/**
 * Slack with a bot token: one message that is edited as the release goes on, details in its thread. Every post carries
 * our id in its metadata (event types `slipway_release` and `slipway_incident`), by which it is found again when the answer
 * to it was lost.
 *
 * Scopes: `chat:write`; to find posts again `channels:history` (`groups:history` in a private channel), and
 * `channels:read` (`groups:read`) where the configuration names the channel instead of giving its id; to mention the
 * author by mail address `users:read.email`.
 */
import type { Clock } from "@slipway/base";
import { type Author, isIncident, type Message, standing } from "../message.ts";
import type { Outcome } from "../outbox/decide.ts";
import type { AnyPart, Thread } from "../outbox/thread.ts";
import type { Transport } from "../outbox/transport.ts";
import { type BlockOptions, blocksOf, type SlackMessage } from "./blocks.ts";
import { boundedFetch, outcomeOf } from "./request.ts";

export interface SlackBotOptions {
  readonly token: string;
  /** `#deploys` or the channel's id. */
  readonly channel: string;
  readonly clock: Clock;
  /** For tests and proxies; ends with a slash. */
  readonly apiUrl?: string | undefined;
  readonly attemptMs?: number;
  /** Mail address or git name → Slack's id of the user. */
  readonly mentions?: Readonly<Record<string, string>> | undefined;
  /** True when somebody listens to them. */
  readonly buttons?: boolean | undefined;
}

/** A message of ours as it stands in the channel. */
export interface PostedMessage {
  readonly id: string;
  readonly channel: string;
  readonly ts: string;
  readonly version: number;
  /** State and buttons; see `standing`. */
  readonly standing: string;
}

export interface SlackBot extends Transport {
  /** Messages of releases on top level since then, newest first. Throws with Slack's word when it cannot be looked. */
  posted(sinceMs: number): Promise<readonly PostedMessage[]>;
  /** Is this user a member of our channel? Throws as `posted`. */
  isMember(user: string): Promise<boolean>;
  channelId(): Promise<string>;
}

const EVENT_TYPES = { release: "slipway_release", incident: "slipway_incident" } as const;
const PAGE = 200;
/** 4,000 messages since it was sent: then it is as good as not there. */
const MOST_PAGES = 20;
/** Slack's clock and ours may differ. */
const SKEW_MS = 10 * 60_000;

type Answer = Readonly<Record<string, unknown>>;

export function createSlackBot(options: SlackBotOptions): SlackBot {
  const client = lazily(async () => {
    const { LogLevel, WebClient } = await import("@slack/web-api");
    return new WebClient(options.token, {
      ...(options.apiUrl === undefined ? {} : { slackApiUrl: options.apiUrl }),
      retryConfig: { retries: 0 },
      rejectRateLimitedCalls: true,
      logLevel: LogLevel.ERROR,
      logger: silentLogger,
      fetch: boundedFetch(options.clock, options.attemptMs ?? 5_000),
    });
  });
  const call = async (method: string, body: Record<string, unknown>): Promise<Answer> =>
    (await (await client()).apiCall(method, body)) as unknown as Answer;

  const send = async (
    method: "chat.postMessage" | "chat.update",
    body: Record<string, unknown>,
    message: SlackMessage,
    isPlain: boolean,
  ): Promise<Outcome> => {
    try {
      const answer = await call(method, {
        ...body,
        text: message.text,
        ...(isPlain ? {} : { blocks: message.blocks }),
        unfurl_links: false,
        unfurl_media: false,
      });
      // An edit needs the channel's id, which only the first answer gives.
      const channel = String(answer["channel"] ?? body["channel"]);
      if (channel !== body["channel"]) channelId = Promise.resolve(channel);
      return { kind: "shown", channel, ts: String(answer["ts"] ?? body["ts"] ?? "") };
    } catch (error) {
      return outcomeOf(error);
    }
  };

  const people = new Map<string, Promise<string | undefined>>();
  const idOf = async (author: Author | undefined): Promise<string | undefined> => {
    if (author === undefined) return undefined;
    const { mentions = {} } = options;
    const written =
      (author.email === undefined ? undefined : mentions[author.email]) ?? mentions[author.name];
    if (written !== undefined || author.email === undefined) return written;
    const { email } = author;
    // Asked once; without the scope, or for an unknown address, the name stands in plain text.
    const known =
      people.get(email) ??
      call("users.lookupByEmail", { email }).then(
        ({ user }) => (user as { readonly id?: string } | undefined)?.id,
        () => undefined,
      );
    people.set(email, known);
    return known;
  };

  let channelId: Promise<string> | undefined;
  const resolveChannel = async (): Promise<string> => {
    if (/^[CGD][A-Z0-9]{6,}$/.test(options.channel)) return options.channel;
    const wanted = options.channel.replace(/^#/, "");
    for (let [cursor, page] = ["", 0]; page < MOST_PAGES; page += 1) {
      const answer = await call("conversations.list", {
        types: "public_channel,private_channel",
        exclude_archived: true,
        limit: 1000,
        ...(cursor === "" ? {} : { cursor }),
      });
      const channels = (answer["channels"] ?? []) as readonly {
        readonly id: string;
        readonly name: string;
      }[];
      const found = channels.find(({ name }) => name === wanted);
      if (found !== undefined) return found.id;
      cursor = nextOf(answer);
      if (cursor === "") break;
    }
    throw new Error(`no channel ${options.channel} among those the bot can see`);
  };
  const channelIdOf = (thread?: Thread): Promise<string> => {
    const known = thread?.message.shown?.channel;
    if (known !== undefined) return Promise.resolve(known);
    channelId ??= resolveChannel().catch((error: unknown) => {
      channelId = undefined;
      throw error;
    });
    return channelId;
  };
  /** Pages of a history, newest first, until `isEnough` says so. */
  const read = async (
    method: "conversations.history" | "conversations.replies",
    query: Record<string, unknown>,
    take: (message: RawMessage) => boolean,
  ): Promise<void> => {
    for (let [cursor, page] = ["", 0]; page < MOST_PAGES; page += 1) {
      const answer = await call(method, {
        ...query,
        limit: PAGE,
        include_all_metadata: true,
        ...(cursor === "" ? {} : { cursor }),
      });
      for (const message of (answer["messages"] ?? []) as readonly RawMessage[]) if (take(message)) return;
      cursor = nextOf(answer);
      if (cursor === "") return;
    }
  };

  return {
    name: `slack ${options.channel}`,
    to: `slack bot ${options.channel}`,
    can: { edits: true, finds: true },
    async post(thread, part, note) {
      const parent = part.key === "message" ? undefined : thread.message.shown;
      const message = blocksOf(part.content, { ...(await shared(part, idOf, options)), note });
      const body = {
        channel: parent?.channel ?? options.channel,
        ...(parent === undefined ? {} : { thread_ts: parent.ts }),
        metadata: metadataOf(thread, part),
      };
      return send("chat.postMessage", body, message, part.plain === true);
    },
    async edit(thread, part) {
      const { channel, ts } = part.shown as NonNullable<AnyPart["shown"]>;
      const message = blocksOf(part.content, await shared(part, idOf, options));
      // Blocks that are left out of an edit stay as they were; an empty list takes them away.
      const plain = part.plain === true ? { blocks: [] } : {};
      return send(
        "chat.update",
        { channel, ts, metadata: metadataOf(thread, part), ...plain },
        message,
        part.plain === true,
      );
    },
    async find(thread, part) {
      const parent = part.key === "message" ? undefined : thread.message.shown;
      let found: Outcome = { kind: "not-found" };
      try {
        const channel = await channelIdOf(thread);
        const oldest = String(((part.doubtSince ?? part.saidAt) - SKEW_MS) / 1000);
        await read(
          parent === undefined ? "conversations.history" : "conversations.replies",
          { channel, oldest, ...(parent === undefined ? {} : { ts: parent.ts }) },
          (message) => {
            const ours = oursIn(message);
            if (ours === undefined || ours.id !== thread.id || ours.key !== part.key) return false;
            found = { kind: "found", channel, ts: String(message.ts), version: ours.version };
            return true;
          },
        );
        return found;
      } catch (error) {
        const outcome = outcomeOf(error);
        // What passes is waited for; what does not pass by itself must not keep the message back.
        if (outcome.kind === "refused")
          return { kind: "cannot-find", reason: `cannot look for what was posted: ${outcome.reason}` };
        if (outcome.kind === "unknown" && !isOfSlack(error))
          return { kind: "cannot-find", reason: outcome.reason };
        return outcome;
      }
    },
    async posted(sinceMs) {
      const channel = await channelIdOf();
      const messages: PostedMessage[] = [];
      await read("conversations.history", { channel, oldest: String(sinceMs / 1000) }, (message) => {
        const ours = oursIn(message);
        if (ours?.key === "message" && ours.type === EVENT_TYPES.release)
          messages.push({ ...ours, channel, ts: String(message.ts) });
        return false;
      });
      return messages;
    },
    channelId: () => channelIdOf(),
    async isMember(user) {
      const channel = await channelIdOf();
      for (let [cursor, page] = ["", 0]; page < MOST_PAGES; page += 1) {
        const answer = await call("conversations.members", {
          channel,
          limit: 1000,
          ...(cursor === "" ? {} : { cursor }),
        });
        if (((answer["members"] ?? []) as readonly string[]).includes(user)) return true;
        cursor = nextOf(answer);
        if (cursor === "") return false;
      }
      return false;
    },
  };
}

async function shared(
  part: AnyPart,
  idOf: (author: Author | undefined) => Promise<string | undefined>,
  options: SlackBotOptions,
): Promise<BlockOptions> {
  return { mention: await idOf(part.content.author), buttons: options.buttons };
}

function metadataOf(thread: Thread, part: AnyPart): unknown {
  return {
    event_type: isIncident(thread.message.content) ? EVENT_TYPES.incident : EVENT_TYPES.release,
    event_payload: {
      id: thread.id,
      key: part.key,
      version: part.version,
      standing: part.key === "message" ? standing(part.content as Message) : "",
    },
  };
}

interface RawMessage {
  readonly ts?: string;
  readonly metadata?: {
    readonly event_type?: string;
    readonly event_payload?: Readonly<Record<string, unknown>>;
  };
}

interface Ours {
  readonly type: string;
  readonly id: string;
  readonly key: string;
  readonly version: number;
  readonly standing: string;
}

function oursIn(message: RawMessage): Ours | undefined {
  const { metadata } = message;
  const type = Object.values(EVENT_TYPES).find((one) => one === metadata?.event_type);
  if (metadata === undefined || type === undefined) return undefined;
  const { id, key, version, standing: shows } = metadata.event_payload ?? {};
  return { type, id: String(id), key: String(key), version: Number(version), standing: String(shows) };
}

function nextOf(answer: Answer): string {
  return (answer["response_metadata"] as { readonly next_cursor?: string } | undefined)?.next_cursor ?? "";
}

function isOfSlack(error: unknown): boolean {
  return String((error as { readonly code?: unknown }).code).startsWith("slack_");
}

/** What the library would print goes into the outcome instead. */
export const silentLogger = {
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
