/** An incident as people are told: what is wrong, since when, an example of it, and what can be done. */
import type { Alert, Fact } from "./alert.ts";
import { isOpen } from "./decide.ts";
import type { Mute } from "./kept.ts";
import type { Severity } from "./rules.ts";
import { span } from "./words.ts";

export interface Story {
  readonly state: "firing" | "no-data" | "muted" | "resolved";
  readonly severity: Severity;
  readonly title: string;
  readonly since: string | undefined;
  readonly facts: readonly Fact[];
  readonly samples: readonly string[];
  /** Offered while it is open: from the release that fails to the one before. */
  readonly rollback: { readonly leaves: number; readonly to: number } | undefined;
}

/** What is known of releases: when it began, and where a rollback would go to, were it to be left now. */
export type ReleaseFacts = (
  release: number,
) => { readonly startedAt: number; readonly rollbackTo: number | undefined } | undefined;

export function storyOf(alert: Alert, mute: Mute | undefined, releases: ReleaseFacts): Story {
  const { severity, title, facts, samples, release, openedAt, resolvedAt } = alert;
  const known = release === undefined ? undefined : releases(release);
  const isMuted = mute !== undefined && isOpen(alert);
  const to = isOpen(alert) ? known?.rollbackTo : undefined;
  return {
    state: isMuted ? "muted" : alert.state,
    severity,
    title,
    since: sinceText(release, known?.startedAt, openedAt),
    facts: [
      ...facts,
      ...(resolvedAt === undefined
        ? []
        : [{ name: "lasted", value: span(Math.max(0, resolvedAt - openedAt)) }]),
      ...(isMuted ? [{ name: "muted", value: `${utc(mute.until)} by ${mute.who}: ${mute.reason}` }] : []),
    ],
    samples,
    rollback: release === undefined || to === undefined ? undefined : { leaves: release, to },
  };
}

/** As of its beginning, so that the sentence stays true as long as it stands there. */
function sinceText(
  release: number | undefined,
  startedAt: number | undefined,
  openedAt: number,
): string | undefined {
  if (release === undefined) return undefined;
  if (startedAt === undefined || startedAt > openedAt) return `since release ${release}`;
  return `since release ${release}, ${span(openedAt - startedAt)} ago at ${utc(openedAt)}`;
}

export function utc(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

/** Many at once are one message: a line for each. */
export function digestOf(alerts: readonly Alert[], muteOf: (alert: Alert) => Mute | undefined): Story {
  const open = alerts.filter((alert) => isOpen(alert) && muteOf(alert) === undefined);
  const severities = (["page", "ticket", "info"] as const).filter((one) =>
    (open.length > 0 ? open : alerts).some(({ severity }) => severity === one),
  );
  const state = (alert: Alert): string =>
    isOpen(alert) && muteOf(alert) !== undefined ? "muted" : alert.state;
  return {
    state: open.length > 0 ? "firing" : alerts.some(isOpen) ? "muted" : "resolved",
    severity: severities[0] ?? "info",
    title: open.length === 0 ? `${alerts.length} further alerts are over` : `${open.length} further alerts`,
    since: undefined,
    facts: alerts.map((alert) => ({ name: `${alert.severity}, ${state(alert)}`, value: alert.title })),
    samples: [],
    rollback: undefined,
  };
}
