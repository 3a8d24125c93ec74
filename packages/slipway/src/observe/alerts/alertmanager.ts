/**
 * Alerts of Prometheus, as Alertmanager's webhook sends them (payload version 4; its documentation of `webhook_config`).
 * One incident for each group, since grouping is Alertmanager's own: with the alerts that fire now as its facts. It is
 * over when the group is.
 */
import { createHash } from "node:crypto";
import { isSameSecret } from "@slipway/base";
import * as z from "zod";
import type { Signal } from "./alert.ts";
import type { Alerts } from "./alerts.ts";
import type { Severity } from "./rules.ts";

const labels = z.record(z.string(), z.string().max(10_000));

const payloadSchema = z.object({
  version: z.literal("4"),
  groupKey: z.string().min(1).max(10_000),
  truncatedAlerts: z.number().optional(),
  status: z.enum(["firing", "resolved"]),
  commonLabels: labels,
  commonAnnotations: labels,
  alerts: z
    .array(z.object({ status: z.enum(["firing", "resolved"]), labels, annotations: labels }))
    .max(10_000),
});

export interface WebhookAnswer {
  /** 200; 401 without the right token, 400 for what is no such payload: neither is worth sending again. */
  readonly status: number;
  readonly text: string;
}

/** Alertmanager repeats what goes on (`repeat_interval`, 4 h by default): long silence means that it was taken away. */
const EXPIRES_MS = 24 * 60 * 60_000;
const MOST_SHOWN = 10;

export async function receiveAlerts(
  alerts: Pick<Alerts, "report">,
  request: { readonly authorization: string | undefined; readonly body: unknown },
  token: string,
  now: number,
): Promise<WebhookAnswer> {
  if (!isSameSecret(request.authorization ?? "", `Bearer ${token}`))
    return { status: 401, text: "a bearer token is needed" };
  const problem = await takeGroup(alerts, request.body, now);
  return problem === undefined ? { status: 200, text: "" } : { status: 400, text: problem };
}

/** Reports what a group has become; returns what is wrong with a body that is no such payload. */
export async function takeGroup(
  alerts: Pick<Alerts, "report">,
  body: unknown,
  now: number,
): Promise<string | undefined> {
  const parsed = payloadSchema.safeParse(body);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return `not a payload of version 4: ${issue?.path.join("/")}: ${issue?.message}`;
  }
  const { groupKey, status, commonLabels, commonAnnotations, truncatedAlerts = 0 } = parsed.data;
  const firing = parsed.data.alerts.filter((alert) => alert.status === "firing");
  const rule = commonLabels["alertname"] ?? "prometheus";
  const signal: Signal = {
    rule,
    key: createHash("sha256").update(groupKey).digest("hex").slice(0, 16),
    severity: gravestOf(firing.map((alert) => severityOf(alert.labels["severity"]))),
    service: commonLabels["service"] ?? "",
    cluster: commonLabels["cluster"] ?? "",
    release: releaseOf(commonLabels["release"]),
    title: titleOf(rule, commonLabels, commonAnnotations),
    facts: firing.slice(0, MOST_SHOWN).map((alert) => ({
      name: differing(alert.labels, commonLabels) || rule,
      value: alert.annotations["description"] ?? alert.annotations["summary"] ?? "firing",
    })),
  };
  const more = firing.length - MOST_SHOWN + truncatedAlerts;
  const facts = more > 0 ? [...signal.facts, { name: "and", value: `${more} more` }] : signal.facts;
  const isOver = status === "resolved" || firing.length === 0;
  await alerts.report(`alertmanager/${groupKey}`, isOver ? [] : [{ ...signal, facts }], now + EXPIRES_MS);
  return undefined;
}

function titleOf(
  rule: string,
  common: Readonly<Record<string, string>>,
  annotations: Readonly<Record<string, string>>,
): string {
  const what = annotations["summary"] ?? annotations["description"];
  const where = common["service"] ?? common["namespace"] ?? common["job"];
  return `${where === undefined ? "" : `${where}: `}${what ?? rule}`.slice(0, 300);
}

/** The labels that tell this alert from the others of its group. */
function differing(own: Readonly<Record<string, string>>, common: Readonly<Record<string, string>>): string {
  return Object.entries(own)
    .filter(([name]) => common[name] === undefined)
    .map(([name, value]) => `${name}=${value}`)
    .join(" ")
    .slice(0, 200);
}

function severityOf(written: string | undefined): Severity {
  if (written === "critical" || written === "page") return "page";
  return written === "info" || written === "none" ? "info" : "ticket";
}

/** A warning in the same group does not make the other less. */
function gravestOf(severities: readonly Severity[]): Severity {
  return (["page", "ticket"] as const).find((one) => severities.includes(one)) ?? "info";
}

function releaseOf(written: string | undefined): number | undefined {
  const number = Number(written);
  return Number.isSafeInteger(number) && number > 0 ? number : undefined;
}
