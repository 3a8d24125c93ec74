/** Without a Slack setting the message is printed: the same content, as text. */
import type { ClusterMark, DetailMessage, ReleaseMessage } from "./message.ts";
import type { Notifier } from "./notifier.ts";

/** `printRunning`: print each edit too; otherwise only the first message and the last. */
export function createPrinted(
  write: (text: string) => void,
  options: { readonly printRunning?: boolean } = {},
): Notifier {
  let id = 0;
  return {
    name: "printed",
    post: async (message) => {
      write(`${renderMessage(message)}\n`);
      id += 1;
      return { channel: "printed", id: String(id) };
    },
    update: async (_handle, message) => {
      if (message.state !== "running" || options.printRunning === true) write(`${renderMessage(message)}\n`);
    },
    reply: async (_handle, detail) => write(`${renderDetail(detail)}\n`),
  };
}

const MARKS: Readonly<Record<ClusterMark, string>> = {
  waiting: "·",
  running: "…",
  healthy: "✓",
  failed: "✗",
  unknown: "?",
  "rolled-back": "↩",
};

export function renderMessage(message: ReleaseMessage): string {
  const lines = [message.title];
  if (message.cause !== undefined) lines.push(`  ${message.cause}`);
  for (const { name, mark, text } of message.clusters) lines.push(`  ${MARKS[mark]} ${name}: ${text}`);
  if (message.facts.length > 0) {
    lines.push(`  ${message.facts.map(({ label, value }) => `${label} ${value}`).join(" · ")}`);
  }
  return boxed(lines);
}

function renderDetail(detail: DetailMessage): string {
  const lines = [detail.title];
  if (detail.text !== "") lines.push(...detail.text.split("\n").map((line) => `  ${line}`));
  if (detail.code !== undefined) lines.push(...detail.code.split("\n").map((line) => `  ${line}`));
  return boxed(lines, "    ");
}

/** A bar at the left, so that a message is one thing among other output. */
function boxed(lines: readonly string[], indent = ""): string {
  return lines.map((line, index) => `${indent}${index === 0 ? "┌" : "│"} ${line}`.trimEnd()).join("\n");
}
