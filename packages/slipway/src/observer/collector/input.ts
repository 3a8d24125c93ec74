/** What the programs in a cluster are told: by the ConfigMap that `slipway observe install` writes, mounted as a file. */
import { isIP } from "node:net";
import * as z from "zod";
import { type AlertRuleConfig, type ObserveConfig, observeOf, type Slo } from "../../config/observe.ts";

/** Where the Secret and the ConfigMap are mounted in both programs. */
export const MOUNTED = "/etc/slipway";
export const PORT = 9443;
/** Of an agent's figures; a collector has them on its own port. */
export const AGENT_METRICS_PORT = 9464;
export const PODS_LOGS = "/var/log/pods";

/** `host`: the address of the collector's Service, of either family. */
export function collectorUrl(host: string): string {
  return `https://${isIP(host) === 6 ? `[${host}]` : host}:${PORT}`;
}

/** JSON has no undefined, and what is left out would become the default: null says that there is none. */
const sloSchema = z.object({
  availability: z.number().nullable(),
  latency: z.object({ targetMs: z.number(), ratio: z.number() }).nullable(),
});
const named = { name: z.string(), service: z.string().nullable() };
const each = z.enum(["cluster", "release"]).nullable();
const ruleSchema = z.discriminatedUnion("kind", [
  z.object({ ...named, kind: z.literal("errors"), each, above: z.number(), withinMs: z.number() }),
  z.object({
    ...named,
    kind: z.literal("p95"),
    each,
    aboveMs: z.number(),
    withinMs: z.number(),
    minRequests: z.number(),
  }),
  z.object({ ...named, kind: z.literal("no-data"), forMs: z.number() }),
]);

/** Where in Slack, and as whom people are called; the tokens are in the Secret. */
export const slackPlaceSchema = z.object({
  channel: z.string().nullable(),
  mentions: z.record(z.string(), z.string()),
  apiUrl: z.string().nullable(),
});

export type SlackPlace = z.output<typeof slackPlaceSchema>;

/** What it collects for, and the part of ObserveConfig that it needs. */
export const collectorInputSchema = z.object({
  service: z.string(),
  environment: z.string(),
  namespace: z.string(),
  cluster: z.string(),
  readsReleases: z.boolean(),
  observe: z.object({
    accessLog: z.enum(["auto", "edge", "pods"]),
    formats: z.record(z.string(), z.string()),
    redact: z.array(z.string()),
    truncateIp: z.boolean(),
    keepForMs: z.number(),
    maxBytes: z.number(),
    slo: sloSchema,
    sloOf: z.record(z.string(), sloSchema),
    alerts: z.array(ruleSchema).nullable(),
  }),
  slack: slackPlaceSchema.nullable(),
  /** The team's queries with a schedule, as their files are. */
  queries: z.array(z.object({ name: z.string(), text: z.string() })),
});

export type CollectorInput = z.output<typeof collectorInputSchema>;

/** The part of a configuration that is handed over. */
export function handedOver(observe: ObserveConfig): CollectorInput["observe"] {
  const { accessLog, alerts, formats, keepForMs, maxBytes, redact, slo, sloOf, truncateIp } = observe;
  return {
    ...{ accessLog, formats: { ...formats }, keepForMs, maxBytes, redact: [...redact], truncateIp },
    slo: writtenSlo(slo),
    sloOf: Object.fromEntries(Object.entries(sloOf).map(([service, one]) => [service, writtenSlo(one)])),
    alerts: alerts?.map(writtenRule) ?? null,
  };
}

/** The configuration again, with defaults for what a collector has no use for. */
export function observeOfInput({ observe }: Pick<CollectorInput, "observe">): ObserveConfig {
  const defaults = observeOf(undefined);
  if (defaults === undefined) throw new Error("no defaults");
  const { alerts, slo, sloOf } = observe;
  return {
    ...defaults,
    ...observe,
    slo: readSlo(slo),
    sloOf: Object.fromEntries(Object.entries(sloOf).map(([service, one]) => [service, readSlo(one)])),
    alerts: alerts?.map(readRule),
  };
}

type WrittenRule = z.output<typeof ruleSchema>;

function writtenRule(rule: AlertRuleConfig): WrittenRule {
  const service = rule.service ?? null;
  return rule.kind === "no-data" ? { ...rule, service } : { ...rule, service, each: rule.each ?? null };
}

function readRule(rule: WrittenRule): AlertRuleConfig {
  const service = rule.service ?? undefined;
  return rule.kind === "no-data" ? { ...rule, service } : { ...rule, service, each: rule.each ?? undefined };
}

type WrittenSlo = z.output<typeof sloSchema>;

function writtenSlo({ availability, latency }: Slo): WrittenSlo {
  return { availability: availability ?? null, latency: latency ?? null };
}

function readSlo({ availability, latency }: WrittenSlo): Slo {
  return { availability: availability ?? undefined, latency: latency ?? undefined };
}
