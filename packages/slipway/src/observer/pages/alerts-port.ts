/** Incidents as the pages show them. */
import type { Alerts, Standing } from "../../observe/alerts/alerts.ts";
import type { AlertsAnswer, Incident } from "../../server/api.ts";
import type { AlertsPort } from "./ports.ts";

export function alertsPort(alerts: Pick<Alerts, "standing" | "mute" | "onChange">): AlertsPort {
  return {
    list: async () => alertsAnswer(alerts.standing()),
    mute: ({ id, forMs, reason }, who) => alerts.mute(id, forMs, reason, who),
    onChange: (listener) => alerts.onChange((alert) => listener(incidentOf(alert))),
  };
}

/** The gravest first, then the newest; what is over by when it ended. */
export function alertsAnswer({ alerts, rules }: Standing): AlertsAnswer {
  const all = alerts.map(incidentOf);
  const of = (state: Incident["state"]): Incident[] => all.filter((one) => one.state === state);
  return {
    open: of("firing").sort(byGravity),
    muted: of("muted").sort(byGravity),
    history: of("resolved").sort((a, b) => (b.resolvedAt ?? 0) - (a.resolvedAt ?? 0)),
    rules,
  };
}

export function byGravity(a: Incident, b: Incident): number {
  return GRAVITY[a.severity] - GRAVITY[b.severity] || b.openedAt - a.openedAt;
}

const GRAVITY: Readonly<Record<Incident["severity"], number>> = { page: 0, ticket: 1, info: 2 };

/** One whose data has run out is open: nobody knows that it is over. */
export function incidentOf(alert: Standing["alerts"][number]): Incident {
  const { mute, samples, facts, state } = alert;
  const noData = state === "no-data" ? [{ name: "data", value: "none at the moment" }] : [];
  return {
    id: alert.id,
    rule: alert.rule,
    state: state === "resolved" ? "resolved" : mute === undefined ? "firing" : "muted",
    severity: alert.severity,
    service: alert.service,
    cluster: alert.cluster,
    release: alert.release,
    title: alert.title,
    facts: [...facts, ...noData, ...samples.map((value) => ({ name: "example", value }))],
    openedAt: alert.openedAt,
    changedAt: alert.changedAt,
    resolvedAt: alert.resolvedAt,
    mutedUntil: mute?.until,
    rollbackTo: alert.rollbackTo,
  };
}
