/**
 * A release or an incident as Block Kit blocks. Pure; the limits are Slack's: 50 blocks in a message, 150 characters in a header, 3000
 * in a section's text, 75 on a button, 100, 300 and 30 in a confirmation's title, text and buttons. Slack refuses a
 * whole message for one text that is too long, so everything is cut here, counted as it is sent, escapes included.
 */
import { assertNever } from "@slipway/base";
import {
  type ClusterMark,
  type DetailMessage,
  type IncidentMessage,
  isIncident,
  type Message,
  type ReleaseAction,
  type ReleaseMessage,
} from "../message.ts";

export type Block = Readonly<Record<string, unknown>> & { readonly type: string };

export interface SlackMessage {
  /** What notifications and screen readers show. */
  readonly text: string;
  readonly blocks: readonly Block[];
}

export interface BlockOptions {
  /** Slack's id of the author, `U…`; without it the name stands in plain text. */
  readonly mention?: string | undefined;
  /** Why it is late or may be there twice. */
  readonly note?: string | undefined;
  /** Buttons only where somebody listens to them. */
  readonly buttons?: boolean | undefined;
}

const HEADER_LIMIT = 150;
const TEXT_LIMIT = 3000;
/** Sections of cluster lines; 9 of them hold some 300 clusters. */
const MOST_CLUSTER_SECTIONS = 9;
const MOST_CODE_SECTIONS = 4;

export function blocksOf(content: Message | DetailMessage, options: BlockOptions = {}): SlackMessage {
  if (isIncident(content)) return incidentBlocks(content, options);
  return "state" in content ? releaseBlocks(content, options) : detailBlocks(content, options);
}

export function incidentBlocks(message: IncidentMessage, options: BlockOptions = {}): SlackMessage {
  const { state, title, since, facts, samples, link, command } = message;
  const heading = cut(`${incidentEmoji(message)} ${title}`, HEADER_LIMIT);
  const blocks: Block[] = [{ type: "header", text: { type: "plain_text", text: heading } }];
  const lines = facts.map(
    ({ label, value }) => `*${escapedWithin(label, 50)}*  ${escapedWithin(oneLine(value), 600)}`,
  );
  if (since !== undefined) lines.unshift(`*${escapedWithin(oneLine(since), 300)}*`);
  blocks.push(...sections(lines, 2, "more lines"));
  if (samples.length > 0) blocks.push(...codeSections(samples.join("\n")));
  const isOver = state === "resolved";
  const canPress = options.buttons === true && (message.actions ?? []).length > 0;
  const notes = [
    `${message.severity}, ${state === "no-data" ? "no requests: whether it is still so cannot be said" : state}`,
    ...(command === undefined || isOver || canPress ? [] : [`\`${escapedWithin(command, 200)}\``]),
    ...(link === undefined ? [] : [`<${escapedWithin(link, 1000)}|Dashboard>`]),
    ...(options.note === undefined ? [] : [escapedWithin(options.note, 300)]),
  ];
  blocks.push({ type: "context", elements: [{ type: "mrkdwn", text: cutAtLine(notes, "  ·  ") }] });
  if (canPress && !isOver) {
    blocks.push({ type: "actions", block_id: "slipway", elements: (message.actions ?? []).map(button) });
  }
  const text = since === undefined ? title : `${title} ${since}`;
  return { text: escapedWithin(isOver ? `resolved: ${text}` : text, TEXT_LIMIT), blocks };
}

export function releaseBlocks(message: ReleaseMessage, options: BlockOptions = {}): SlackMessage {
  const blocks: Block[] = [
    {
      type: "header",
      text: { type: "plain_text", text: cut(`${stateEmoji(message.state)} ${message.title}`, HEADER_LIMIT) },
    },
  ];
  // The cause on top: whoever reads only the first lines must have read it.
  if (message.cause !== undefined)
    blocks.push(section(`*${escapedWithin(oneLine(message.cause), TEXT_LIMIT - 2)}*`));
  const lines = [...message.clusters, ...(message.checks ?? [])].map(
    ({ name, mark, text }) =>
      `${markEmoji(mark)} *${escapedWithin(name, 100)}*  ${escapedWithin(oneLine(text), 600)}`,
  );
  blocks.push(...sections(lines, MOST_CLUSTER_SECTIONS, "more lines"));
  const facts = message.facts.map(({ label, value }) => {
    const isAuthor = label === "author" && options.mention !== undefined;
    return `${escapedWithin(label, 50)} ${isAuthor ? `<@${options.mention}>` : `*${escapedWithin(oneLine(value), 300)}*`}`;
  });
  const noted = [...facts, ...(options.note === undefined ? [] : [escapedWithin(options.note, 300)])];
  if (noted.length > 0) {
    const text = cutAtLine(noted, "  ·  ");
    blocks.push({ type: "context", elements: [{ type: "mrkdwn", text }] });
  }
  const actions = message.actions ?? [];
  if (options.buttons === true && actions.length > 0) {
    blocks.push({ type: "actions", block_id: "slipway", elements: actions.map(button) });
  }
  const text = message.cause === undefined ? message.title : `${message.title}: ${message.cause}`;
  return { text: escapedWithin(text, TEXT_LIMIT), blocks };
}

export function detailBlocks(detail: DetailMessage, options: BlockOptions = {}): SlackMessage {
  const call = detail.author === undefined || options.mention === undefined ? "" : `<@${options.mention}> `;
  const title = `${call}*${escapedWithin(detail.title, 500)}*`;
  const text = detail.text === "" ? "" : `\n${escapedWithin(detail.text, 2000)}`;
  const note = options.note === undefined ? "" : `\n_${escapedWithin(options.note, 300)}_`;
  const blocks: Block[] = [section(`${title}${text}${note}`)];
  if (detail.code !== undefined && detail.code !== "") blocks.push(...codeSections(detail.code));
  return { text: `${call}${escapedWithin(detail.title, TEXT_LIMIT - 50)}`, blocks };
}

/** What an action of ours looks like in Slack. Its `value` comes back when somebody presses it. */
export const ACTION_IDS = { "roll-back": "slipway_roll_back", hold: "slipway_hold" } as const;

export interface ActionValue {
  readonly service: string;
  readonly environment: string;
  readonly release: number;
  /** For a rollback: the release to go to, as it was promised. */
  readonly to?: number;
  /** On the message of an incident: its id. */
  readonly incident?: string;
}

function button(action: ReleaseAction): Block {
  const { service, environment, number } = action.on;
  const value: ActionValue = {
    service,
    environment,
    release: number,
    ...(action.kind === "roll-back" ? { to: action.to } : {}),
    ...(action.kind === "roll-back" && action.incident !== undefined ? { incident: action.incident } : {}),
  };
  const where = `${service} (${environment})`;
  const words =
    action.kind === "roll-back"
      ? {
          label: `Roll back to ${action.to}`,
          style: { style: "danger" },
          title: `Roll back ${where}?`,
          text: `This takes ${where} from release ${number} back to release ${action.to} in all clusters at once, and holds the images it leaves.`,
          yes: "Roll back",
        }
      : {
          label: "Hold",
          style: {},
          title: `Hold release ${number}?`,
          text: `The images of release ${number} of ${where} are not deployed again until slipway release unhold ${number}. What runs is not changed.`,
          yes: "Hold",
        };
  return {
    type: "button",
    action_id: ACTION_IDS[action.kind],
    text: plain(words.label, 75),
    ...words.style,
    value: JSON.stringify(value),
    confirm: {
      title: plain(words.title, 100),
      text: plain(words.text, 300),
      confirm: plain(words.yes, 30),
      deny: plain("Cancel", 30),
    },
  };
}

const plain = (text: string, limit: number) => ({ type: "plain_text", text: cut(text, limit) });

function section(text: string): Block {
  return { type: "section", text: { type: "mrkdwn", text } };
}

/** As many lines in each section as fit; what does not fit in all of them is counted. */
function sections(lines: readonly string[], most: number, rest: string): Block[] {
  const texts: string[] = [];
  for (const [index, line] of lines.entries()) {
    const last = texts.at(-1);
    // Room for the count that may have to follow.
    if (last !== undefined && last.length + line.length + 1 <= TEXT_LIMIT - 30) {
      texts[texts.length - 1] = `${last}\n${line}`;
    } else if (texts.length < most) texts.push(line);
    else {
      texts[texts.length - 1] = `${last}\n… ${lines.length - index} ${rest}`;
      break;
    }
  }
  return texts.map(section);
}

/** The beginning and the end of long code: the first lines say what ran, the last ones why it stopped. */
function codeSections(code: string): Block[] {
  const fence = "```";
  // A fence within would end ours.
  const lines = code
    .replaceAll(fence, "`\u200b``")
    .split("\n")
    .map((line) => escapedWithin(line, 1000));
  const room = TEXT_LIMIT - 2 * fence.length - 30;
  const chunks: string[] = [];
  for (const line of lines) {
    const last = chunks.at(-1);
    if (last !== undefined && last.length + line.length + 1 <= room)
      chunks[chunks.length - 1] = `${last}\n${line}`;
    else chunks.push(line);
  }
  const omitted = chunks.length - MOST_CODE_SECTIONS;
  const kept =
    omitted <= 0 ? chunks : [`${chunks[0]}\n…`, ...chunks.slice(chunks.length - MOST_CODE_SECTIONS + 1)];
  return kept.map((chunk) => section(`${fence}${chunk}${fence}`));
}

/** Joins as many as fit. */
function cutAtLine(texts: readonly string[], separator: string): string {
  let all = "";
  for (const text of texts) {
    const next = all === "" ? text : `${all}${separator}${text}`;
    if (next.length > TEXT_LIMIT) break;
    all = next;
  }
  return all;
}

const ESCAPES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

/** Slack's own rule: only these three characters are special in mrkdwn. Cut between characters, never inside an escape. */
export function escapedWithin(text: string, limit: number): string {
  let out = "";
  for (const character of text) {
    const next = ESCAPES[character] ?? character;
    if (out.length + next.length > limit - 1) {
      // The last character may still fit where nothing follows it.
      const isWhole = escaped(text).length <= limit;
      return isWhole ? escaped(text) : `${out}…`;
    }
    out += next;
  }
  return out;
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>]/g, (character) => ESCAPES[character] as string);
}

function oneLine(text: string): string {
  return text.replaceAll("\n", " ");
}

function cut(text: string, limit: number): string {
  if (text.length <= limit) return text;
  let out = "";
  for (const character of text) {
    if (out.length + character.length > limit - 1) break;
    out += character;
  }
  return `${out}…`;
}

function incidentEmoji({ state, severity }: IncidentMessage): string {
  switch (state) {
    case "firing":
      return severity === "page" ? "🔴" : severity === "ticket" ? "🟠" : "🟡";
    case "no-data":
      return "❔";
    case "muted":
      return "🔇";
    case "resolved":
      return "✅";
    default:
      return assertNever(state);
  }
}

function stateEmoji(state: ReleaseMessage["state"]): string {
  switch (state) {
    case "running":
      return "🚢";
    case "healthy":
      return "✅";
    case "failed":
      return "❌";
    case "rolled-back":
      return "↩️";
    case "unknown":
      return "❔";
    case "interrupted":
      return "⏸️";
    default:
      return assertNever(state);
  }
}

function markEmoji(mark: ClusterMark): string {
  switch (mark) {
    case "waiting":
      return "⚪";
    case "running":
      return "🔵";
    case "baking":
      return "🟡";
    case "healthy":
      return "🟢";
    case "failed":
      return "🔴";
    case "unknown":
      return "❔";
    case "rolled-back":
      return "↩️";
    default:
      return assertNever(mark);
  }
}
