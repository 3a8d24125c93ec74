/** Without a Slack setting the message is printed: the same content, as text. */
import {
  type ClusterMark,
  type DetailMessage,
  type IncidentMessage,
  isIncident,
  type ReleaseMessage,
  subjectId,
} from "./message.ts";
import type { Notifier } from "./notifier.ts";

/** Writes the first message of a release or an incident, the last one and, where asked for, the details and each edit between. */
export function createPrinted(
  write: (text: string) => void,
  options: { readonly printRunning?: boolean; readonly printDetails?: boolean } = {},
): Notifier {
  const begun = new Set<string>();
  return {
    name: "printed",
    show: (about, message) => {
      const id = subjectId(about);
      const isGoingOn =
        message.state === "running" || message.state === "firing" || message.state === "no-data";
      if (isGoingOn && begun.has(id) && options.printRunning !== true) return;
      begun.add(id);
      write(`${isIncident(message) ? renderIncident(message) : renderMessage(message)}\n`);
    },
    add: (_about, _key, detail) => {
      if (options.printDetails !== false) write(`${renderDetail(detail)}\n`);
    },
    settle: () => Promise.resolve(),
  };
}

const MARKS: Readonly<Record<ClusterMark, string>> = {
  waiting: "·",
  running: "…",
  baking: "◔",
  healthy: "✓",
  failed: "✗",
  unknown: "?",
  "rolled-back": "↩",
};

export function renderMessage(message: ReleaseMessage): string {
  const lines = [message.title];
  if (message.cause !== undefined) lines.push(`  ${message.cause}`);
  for (const { name, mark, text } of [...message.clusters, ...(message.checks ?? [])])
    lines.push(`  ${MARKS[mark]} ${name}: ${text}`);
  if (message.facts.length > 0) {
    lines.push(`  ${message.facts.map(({ label, value }) => `${label} ${value}`).join(" · ")}`);
  }
  return boxed(lines);
}

const STATES: Readonly<Record<IncidentMessage["state"], string>> = {
  firing: "!",
  "no-data": "?",
  muted: "-",
  resolved: "✓",
};

export function renderIncident(message: IncidentMessage): string {
  const { state, severity, title, since, facts, samples, link, command } = message;
  const lines = [`${STATES[state]} ${severity} · ${title}${state === "firing" ? "" : ` · ${state}`}`];
  if (since !== undefined) lines.push(`  ${since}`);
  lines.push(...facts.map(({ label, value }) => `  ${label}: ${value}`));
  lines.push(...samples.map((line) => `    ${line}`));
  if (link !== undefined) lines.push(`  ${link}`);
  if (command !== undefined) lines.push(`  ${command}`);
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
