/** Incidents and rules as text. Pure. */
import { formatAge, renderTable } from "@slipway/base";
import type { AlertsAnswer, Incident } from "../../server/api.ts";

const MOST_PAST = 5;

/** `unasked`: clusters that did not answer. What is not known is not well. */
export function renderAlerts(
  { open, muted, history, rules }: AlertsAnswer,
  now: number,
  unasked: readonly string[] = [],
): string {
  const parts: string[] = [];
  if (open.length === 0 && unasked.length > 0)
    parts.push(`not known whether something is wrong: ${unasked.join(", ")} could not be asked`);
  else if (open.length === 0) parts.push("nothing is wrong");
  else parts.push(open.map((incident) => renderIncident(incident, now)).join("\n\n"));
  if (muted.length > 0) parts.push(`muted:\n${listed(muted, now)}`);
  if (history.length > 0) parts.push(`over:\n${listed(history.slice(0, MOST_PAST), now)}`);
  if (rules.length > 0)
    parts.push(`rules:\n${renderTable(rules.map(({ name, state, text }) => [`  ${name}`, state, text]))}`);
  return `${parts.join("\n\n")}\n`;
}

function renderIncident(incident: Incident, now: number): string {
  const { id, severity, title, openedAt, facts, release, rollbackTo } = incident;
  const lines = [`${severity}  ${title}  (${id}, for ${formatAge(now - openedAt)})`];
  if (release !== undefined) lines.push(`  release: ${release}`);
  for (const { name, value } of facts) lines.push(`  ${name}: ${value}`);
  if (rollbackTo !== undefined) lines.push(`  go back: slipway rollback ${rollbackTo}`);
  return lines.join("\n");
}

function listed(incidents: readonly Incident[], now: number): string {
  const rows = incidents.map(({ id, severity, title, changedAt, mutedUntil }) => [
    `  ${id}`,
    severity,
    mutedUntil === undefined
      ? `${formatAge(now - changedAt)} ago`
      : `for ${formatAge(mutedUntil - now)} more`,
    title,
  ]);
  return renderTable(rows);
}
