/**
 * `slipway serve`: listens to buttons, sends what the outbox holds, and keeps messages true to what the clusters
 * remember. It has no state of its own that matters: kill it, and the next one goes on.
 *
 * A press is entered in the ledger, acknowledged, and then done, one after the other: is the person allowed, does the
 * button still mean what it says, do it, and tell in the thread what came of it.
 */
import type { AddressInfo } from "node:net";
import type { Clock } from "@slipway/base";
import { SlipwayError } from "@slipway/base";
import type { SlackConfig } from "../config/types.ts";
import { type IncidentMessage, type Message, type Subject, subjectId } from "../notify/message.ts";
import type { Telling } from "../notify/notify.ts";
import { catchUp } from "../release/announce/catch-up.ts";
import { messageOf } from "../release/announce/message.ts";
import type { Deeds } from "./deeds.ts";
import { createInteractionServer, INTERACTIONS_PATH } from "./http.ts";
import type { Ledger } from "./ledger.ts";
import { type Press, parsePress } from "./press.ts";
import { followSocketMode } from "./socket-mode.ts";

export interface ServeLog {
  readonly event:
    | "listening"
    | "missing"
    | "socket"
    | "press"
    | "refused"
    | "done"
    | "failed"
    | "outbox"
    | "warning"
    | "stopped";
  readonly message: string;
  readonly [detail: string]: unknown;
}

export interface ServeOptions {
  readonly service: string;
  readonly environment: string;
  readonly slack: SlackConfig;
  readonly telling: Exclude<Telling, { readonly kind: "printed" }>;
  readonly deeds: Deeds;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly host: string;
  readonly port: number;
  readonly log: (entry: ServeLog) => void;
}

export interface Serving {
  readonly port: number;
  /** Takes nothing new, lets what was begun end, at most `patienceMs`, then interrupts it. */
  stop(patienceMs?: number): Promise<void>;
}

const DRAIN_EVERY_MS = 5_000;
const CATCH_UP_EVERY_MS = 60_000;
const STOP_PATIENCE_MS = 20_000;

export async function serve(options: ServeOptions): Promise<Serving> {
  const { slack, telling, ledger, clock, log } = options;
  const stop = new AbortController();
  const interrupt = new AbortController();
  let queue: Promise<void> = Promise.resolve();

  const onPayload = async (payload: unknown): Promise<void> => {
    const press = parsePress(payload);
    if ("ignored" in press) return log({ event: "refused", message: press.ignored });
    if (!(await ledger.take(press))) {
      return log({ event: "refused", message: "this press was taken before", user: press.user.id });
    }
    log({ event: "press", message: describePress(press), user: press.user.id, release: press.on.number });
    queue = queue
      .then(() => answerPress(options, press, interrupt.signal))
      .catch((error: unknown) => {
        log({ event: "failed", message: sentenceOf(error) });
      });
  };

  const http = createInteractionServer({
    signingSecret: telling.kind === "bot" ? slack.signingSecret : undefined,
    now: () => clock.now(),
    onPayload,
    onRefused: (message) => log({ event: "refused", message }),
  });
  await new Promise<void>((resolve, reject) => {
    http.once("error", (error: NodeJS.ErrnoException) => reject(cannotListen(options, error)));
    http.listen(options.port, options.host, resolve);
  });
  const { port } = http.address() as AddressInfo;
  for (const entry of announcement(options, port)) log(entry);

  for (const press of await ledger.cutOff(clock.now())) {
    // It may have been half done, and whoever pressed it may have gone on otherwise: a person decides.
    await tellInThread(
      options,
      press,
      `${describePress(press)}: cut off when slipway serve ended. See slipway status.`,
    );
    await ledger.finish(press);
  }

  const ends: Promise<unknown>[] = [
    every(clock, DRAIN_EVERY_MS, stop.signal, () => telling.notifier.drain()),
    every(clock, CATCH_UP_EVERY_MS, stop.signal, async () => {
      const problem = await catchUp(telling, await options.deeds.records(), { now: clock.now() });
      if (problem !== undefined) warnOnce(problem);
    }),
  ];
  const told = new Set<string>();
  const warnOnce = (message: string): void => {
    if (told.has(message)) return;
    told.add(message);
    log({ event: "warning", message });
  };
  if (telling.kind === "bot" && slack.appToken !== undefined) {
    ends.push(
      followSocketMode({
        appToken: slack.appToken,
        apiUrl: slack.apiUrl,
        clock,
        signal: stop.signal,
        onPayload,
        onState: ({ isConnected, reason }) =>
          log({ event: "socket", message: isConnected ? "connected to Slack" : `not connected: ${reason}` }),
      }),
    );
  }

  async function every(
    each: Clock,
    ms: number,
    signal: AbortSignal,
    work: () => Promise<void>,
  ): Promise<void> {
    while (!signal.aborted) {
      await work().catch((error: unknown) => warnOnce(sentenceOf(error)));
      await each.sleep(ms, signal).catch(() => undefined);
    }
  }

  return {
    port,
    async stop(patienceMs = STOP_PATIENCE_MS) {
      stop.abort();
      http.close();
      http.closeIdleConnections();
      const timer = new AbortController();
      const limit = clock.sleep(patienceMs, timer.signal).then(
        () =>
          interrupt.abort(new SlipwayError({ code: "INTERRUPTED", message: "terminated", exitCode: 130 })),
        () => undefined,
      );
      await queue;
      timer.abort();
      await limit;
      http.closeAllConnections();
      await Promise.allSettled(ends);
      await telling.notifier.settle(5_000);
      log({ event: "stopped", message: "stopped" });
    },
  };
}

/** What is listened to, and what is missing for the rest. */
export function announcement(
  options: Pick<ServeOptions, "service" | "environment" | "slack" | "telling" | "host">,
  port: number,
): readonly ServeLog[] {
  const { slack, telling, host } = options;
  const who = telling.kind === "bot" ? "the members of its channel" : "";
  const allowed = Array.isArray(slack.allow) ? `${slack.allow.length} listed users` : who;
  const lines: ServeLog[] = [
    {
      event: "listening",
      message: `${options.service} (${options.environment}): sends the outbox; health at http://${host}:${port}/healthz`,
      host,
      port,
    },
  ];
  if (telling.kind === "webhook") {
    lines.push({
      event: "missing",
      message: "no buttons: a webhook cannot have them; set SLACK_BOT_TOKEN and notify.slack.channel",
    });
    return lines;
  }
  if (slack.signingSecret !== undefined) {
    lines.push({
      event: "listening",
      message: `buttons at http://${host}:${port}${INTERACTIONS_PATH}, which a public https URL must lead to; for ${allowed}`,
    });
  }
  if (slack.appToken !== undefined) {
    lines.push({ event: "listening", message: `buttons over Socket Mode; for ${allowed}` });
  }
  if (slack.signingSecret === undefined && slack.appToken === undefined) {
    lines.push({
      event: "missing",
      message:
        "no buttons: set SLACK_APP_TOKEN (Socket Mode), or SLACK_SIGNING_SECRET and give Slack a public URL of this",
    });
  }
  return lines;
}

async function answerPress(options: ServeOptions, press: Press, signal: AbortSignal): Promise<void> {
  const { log, deeds, ledger } = options;
  let sentence: string;
  try {
    const reason = await reasonAgainstPress(options, press);
    if (reason !== undefined) {
      log({ event: "refused", message: reason, user: press.user.id });
      sentence = `not done: ${reason}`;
    } else {
      const who = `${press.user.name} (${press.user.id})`;
      sentence = await (press.kind === "roll-back"
        ? deeds.rollBack(press, who, signal)
        : deeds.hold(press, who));
      log({ event: "done", message: sentence, user: press.user.id, release: press.on.number });
    }
  } catch (error) {
    sentence = `not done: ${sentenceOf(error)}`;
    log({ event: "failed", message: sentence, user: press.user.id, release: press.on.number });
  }
  await tellInThread(options, press, `${describePress(press)}: ${sentence}`);
  await ledger.finish(press);
  const records = await deeds.records().catch(() => []);
  await catchUp(options.telling, records, { now: options.clock.now() });
}

/** Why this person may not do this here; undefined when it may be done. What cannot be checked is refused. */
async function reasonAgainstPress(options: ServeOptions, press: Press): Promise<string | undefined> {
  const { telling, slack, service, environment } = options;
  if (telling.kind !== "bot") return "there is no bot token to check who may do this";
  if (press.on.service !== service || press.on.environment !== environment) {
    return `this slipway serve is of ${service} (${environment}), not of ${press.on.service} (${press.on.environment})`;
  }
  const { allow } = slack;
  if (allow !== undefined && allow !== "channel") {
    return allow.includes(press.user.id) ? undefined : `${press.user.name} is not in notify.slack.allow`;
  }
  try {
    if (press.channel !== (await telling.bot.channelId()))
      return "the button is in another channel than ours";
    if (await telling.bot.isMember(press.user.id)) return undefined;
    return `${press.user.name} is not a member of the channel`;
  } catch (error) {
    const data = (error as { readonly data?: { readonly error?: string; readonly needed?: string } }).data;
    const needed = data?.needed === undefined ? "" : ` (scope ${data.needed})`;
    return `it cannot be checked who is in the channel: ${data?.error ?? sentenceOf(error)}${needed}`;
  }
}

async function tellInThread(options: ServeOptions, press: Press, title: string): Promise<void> {
  const { telling, deeds, clock } = options;
  const { notifier } = telling;
  const key = `press-${press.key.slice(0, 12)}`;
  if (press.incident !== undefined) {
    const { service, environment } = press.on;
    const about = { service, environment, incident: press.incident };
    // Posted from another machine: to answer below it, its place is enough. It is that machine's to edit.
    if ((await notifier.known(about)) === undefined) {
      await notifier.adopt(threadAt(press, about, incidentElsewhere(press), telling, clock.now()));
    }
    notifier.add(about, key, { title, text: "", code: undefined });
    return;
  }
  if ((await notifier.known(press.on)) === undefined) {
    // Posted from another machine: its place is known from the press, its content from the record.
    const records = await deeds.records().catch(() => []);
    const record = records.find(({ number }) => number === press.on.number);
    if (record !== undefined) {
      await notifier.adopt(threadAt(press, press.on, messageOf(record, records), telling, clock.now()));
    }
  }
  notifier.add(press.on, key, { title, text: "", code: undefined });
}

function threadAt(
  press: Press,
  about: Subject,
  content: Message,
  telling: ServeOptions["telling"],
  now: number,
): Parameters<typeof telling.notifier.adopt>[0] {
  const to = telling.kind === "bot" ? telling.bot.to : "slack webhook";
  const shown = { channel: press.channel, ts: press.ts, version: 1, at: 0 };
  const message = { key: "message", content, version: 1, saidAt: now, shown, failures: 0, notBefore: 0 };
  return { id: subjectId(about), to, createdAt: now, message, details: [] };
}

/** What is not known here of an incident that another process watches; never shown, because it is never edited. */
function incidentElsewhere({ on }: Press): IncidentMessage {
  return {
    kind: "incident",
    state: "firing",
    severity: "info",
    title: `${on.service}: an incident`,
    since: undefined,
    facts: [],
    samples: [],
    link: undefined,
    command: undefined,
  };
}

function describePress({ kind, on, to, user }: Pick<Press, "kind" | "on" | "to" | "user">): string {
  const what = kind === "roll-back" ? `roll release ${on.number} back to ${to}` : `hold release ${on.number}`;
  return `${user.name} asked to ${what}`;
}

function sentenceOf(error: unknown): string {
  if (error instanceof SlipwayError) {
    const where = error.where === undefined ? "" : `${error.where}: `;
    return `${where}${error.message}${error.hint === undefined ? "" : `. ${error.hint}`}`;
  }
  return error instanceof Error ? error.message : String(error);
}

function cannotListen({ host, port }: ServeOptions, error: NodeJS.ErrnoException): SlipwayError {
  return new SlipwayError({
    code: "SERVE_PORT",
    where: `serve/${host}:${port}`,
    message: error.code === "EADDRINUSE" ? "is in use by another process" : error.message,
    hint: "Choose another with --port, or 0 for a free one.",
    cause: error,
    exitCode: 3,
  });
}
