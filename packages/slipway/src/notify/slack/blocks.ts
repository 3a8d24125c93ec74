/** A release as Block Kit blocks. Pure; the limits are Slack's (150 characters in a header, 3000 in a text). */
import { assertNever } from "@slipway/base";
import type { ClusterMark, DetailMessage, ReleaseMessage } from "../message.ts";

export type Block = Readonly<Record<string, unknown>> & { readonly type: string };

export interface SlackMessage {
  /** What notifications and screen readers show. */
  readonly text: string;
  readonly blocks: readonly Block[];
}

const HEADER_LIMIT = 150;
const TEXT_LIMIT = 3000;

export function releaseBlocks(message: ReleaseMessage): SlackMessage {
  const blocks: Block[] = [
    {
      type: "header",
      text: { type: "plain_text", text: cut(`${stateEmoji(message.state)} ${message.title}`, HEADER_LIMIT) },
    },
  ];
  // The cause on top: whoever reads only the first lines must have read it.
  if (message.cause !== undefined) blocks.push(section(`*${escaped(message.cause)}*`));
  blocks.push(
    section(
      message.clusters
        .map(({ name, mark, text }) => `${markEmoji(mark)} *${escaped(name)}*  ${escaped(text)}`)
        .join("\n"),
    ),
  );
  const facts = message.facts
    .map(({ label, value }) => `${escaped(label)} *${escaped(value)}*`)
    .join("  ·  ");
  if (facts !== "")
    blocks.push({ type: "context", elements: [{ type: "mrkdwn", text: cut(facts, TEXT_LIMIT) }] });
  const text = message.cause === undefined ? message.title : `${message.title}: ${message.cause}`;
  return { text: cut(escaped(text), TEXT_LIMIT), blocks };
}

export function detailBlocks(detail: DetailMessage): SlackMessage {
  const blocks: Block[] = [
    section(`*${escaped(detail.title)}*${detail.text === "" ? "" : `\n${escaped(detail.text)}`}`),
  ];
  if (detail.code !== undefined && detail.code !== "") {
    blocks.push(section(`\`\`\`${cutEnd(escaped(detail.code), TEXT_LIMIT - 6)}\`\`\``));
  }
  return { text: cut(escaped(detail.title), TEXT_LIMIT), blocks };
}

function section(text: string): Block {
  return { type: "section", text: { type: "mrkdwn", text: cut(text, TEXT_LIMIT) } };
}

/** Slack's own rule: only these three characters are special in mrkdwn text. */
function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function cut(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit - 1)}…`;
}

/** Keeps the end: the last lines of a log say why. */
function cutEnd(text: string, limit: number): string {
  return text.length <= limit ? text : `…${text.slice(text.length - limit + 1)}`;
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
