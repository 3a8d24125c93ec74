/** The section `observe`: which logs are read, how they are kept, what is promised (SLO) and who is told when it breaks. */
import { parseDuration } from "@slipway/base";
import * as z from "zod";
import { duration } from "./duration.ts";

/**
 * Somebody is called when the budget of 30 days burns this many times too fast. Of a promise of 93 % and less that is
 * more than all requests: it would look watched and never call.
 */
export const HIGHEST_BURN = 14.4;
const LEAST_PROMISE = 100 * (1 - 1 / HIGHEST_BURN);
const watchable = {
  error: `should be above ${LEAST_PROMISE.toFixed(2)}: less cannot be watched by burn rates`,
};

const sloSchema = z.strictObject({
  availability: z
    .number()
    .gt(LEAST_PROMISE, watchable)
    .lt(100)
    .optional()
    .describe("Percent of requests that must not end in a 5xx, over 30 days: 99.9."),
  latency: z
    .strictObject({
      target: duration.describe("A request is fast enough up to this time: 300ms."),
      ratio: z
        .number()
        .gt(LEAST_PROMISE, watchable)
        .lt(100)
        .describe("Percent of requests that must be fast enough: 99."),
    })
    .optional()
    .describe("How fast the service must be."),
});

const each = z
  .enum(["cluster", "release"])
  .optional()
  .describe("Watched in each cluster, or of each release, by itself. Default: over all of them.");

const alertSchema = z.union(
  [
    z.strictObject({
      name: z.string().min(1).max(63).describe("Name of the rule, in messages and in `slipway alerts`."),
      errors: z
        .strictObject({
          above: z.int().min(0).describe("So many 5xx within the window are too many."),
          within: duration.describe("The window: 5m."),
        })
        .describe("A number of failed requests, whatever the traffic."),
      service: z.string().optional().describe("Only this service. Default: each one by itself."),
      each,
    }),
    z.strictObject({
      name: z.string().min(1).max(63).describe("Name of the rule, in messages and in `slipway alerts`."),
      p95: z
        .strictObject({
          above: duration.describe("Longer than this is too slow."),
          within: duration.describe("The window: 5m."),
          minRequests: z.int().min(1).optional().describe("With fewer nothing is concluded. Default: 50."),
        })
        .describe("The 95th percentile of the response time."),
      service: z.string().optional().describe("Only this service. Default: each one by itself."),
      each,
    }),
    z.strictObject({
      name: z.string().min(1).max(63).describe("Name of the rule, in messages and in `slipway alerts`."),
      noData: z
        .strictObject({ for: duration.describe("Not a single request for this long: 10m.") })
        .describe("Silence of a service that had requests before."),
      service: z.string().optional().describe("Only this service. Default: each one by itself."),
    }),
  ],
  { error: "should be one of { name, errors }, { name, p95 } or { name, noData }" },
);

export const observeSchema = z.union(
  [
    z.literal(false),
    z.strictObject({
      accessLog: z
        .enum(["auto", "edge", "pods"])
        .optional()
        .describe(
          "Whose lines count as a service's requests: those of the edge in front, or of its pods. Default: auto, the edge's where there are any.",
        ),
      formats: z
        .record(z.string(), z.string())
        .optional()
        .describe(
          "Log formats by container, as nginx's log_format writes them, for logs that are not recognised by themselves.",
        ),
      redact: z
        .array(z.string().min(1))
        .optional()
        .describe(
          "Further names whose values are not stored, in query strings and in what services log, beside token, password, secret, signature and the like.",
        ),
      truncateIp: z
        .boolean()
        .optional()
        .describe("Store addresses without their last part (IPv4: 8 bits, IPv6: 80). Default: false."),
      keepFor: duration.optional().describe("Requests and logs are kept for this long. Default: 30d."),
      maxBytes: z
        .int()
        .min(64_000_000)
        .optional()
        .describe("The oldest days go when the warehouse is larger than this. Default: 20 GB."),
      slo: z
        .union([sloSchema, z.record(z.string(), sloSchema)])
        .optional()
        .describe("What is promised: for all services alike, or by service. Default: 99.9 % without a 5xx."),
      alerts: z
        .union([z.literal(false), z.array(alertSchema)])
        .optional()
        .describe(
          "Rules beside the first 5xx of a release and the SLO's burn rates, which are always there; false turns all of them off.",
        ),
      prometheus: z
        .strictObject({
          url: z.url({ protocol: /^https?$/ }).describe("Address of Prometheus, before /api/v1/query."),
          tokenFrom: z
            .string()
            .min(1)
            .optional()
            .describe("Variable of the environment with a bearer token."),
        })
        .optional()
        .describe(
          "Where processor time and memory of pods come from. Default: the cluster's own figures, if any.",
        ),
      bigquery: z
        .strictObject({
          project: z.string().min(1).describe("Project of Google Cloud."),
          dataset: z.string().min(1).describe("Dataset that the sink of Cloud Logging writes to."),
          location: z.string().min(1).optional().describe("Location of the dataset."),
          maxBytesBilled: z
            .int()
            .min(10_000_000)
            .optional()
            .describe("A query that would read more is refused. Default: 10 GB."),
        })
        .optional()
        .describe("Named queries run on BigQuery in this environment."),
      dashboard: z
        .strictObject({
          port: z
            .int()
            .min(0)
            .max(65535)
            .optional()
            .describe("Port of the dashboard. Default: a free one, kept."),
          host: z.string().min(1).optional().describe("Address that it listens on. Default: 127.0.0.1."),
          names: z
            .array(z.string().min(1))
            .optional()
            .describe("Names under which it is reached, beside localhost and addresses."),
        })
        .optional()
        .describe("The dashboard of the local world."),
    }),
  ],
  { error: "should be false or an object" },
);

export interface Slo {
  /** Share of requests that must not end in a 5xx, 0 to 1. */
  readonly availability: number | undefined;
  readonly latency: { readonly targetMs: number /** 0 to 1. */; readonly ratio: number } | undefined;
}

/** What a rule is watched by itself for; undefined: over all of a service. */
export type Each = "cluster" | "release" | undefined;

export type AlertRuleConfig = { readonly name: string; readonly service: string | undefined } & (
  | { readonly kind: "errors"; readonly each: Each; readonly above: number; readonly withinMs: number }
  | {
      readonly kind: "p95";
      readonly each: Each;
      readonly aboveMs: number;
      readonly withinMs: number;
      readonly minRequests: number;
    }
  | { readonly kind: "no-data"; readonly forMs: number }
);

export interface ObserveConfig {
  readonly accessLog: "auto" | "edge" | "pods";
  /** Container → nginx's log_format. */
  readonly formats: Readonly<Record<string, string>>;
  readonly redact: readonly string[];
  readonly truncateIp: boolean;
  readonly keepForMs: number;
  readonly maxBytes: number;
  /** Of every service that `sloOf` does not name. */
  readonly slo: Slo;
  readonly sloOf: Readonly<Record<string, Slo>>;
  /** Undefined: no alerts at all. */
  readonly alerts: readonly AlertRuleConfig[] | undefined;
  readonly prometheus: { readonly url: string; readonly tokenFrom: string | undefined } | undefined;
  readonly bigquery:
    | {
        readonly project: string;
        readonly dataset: string;
        readonly location: string | undefined;
        readonly maxBytesBilled: number;
      }
    | undefined;
  readonly dashboard: { readonly port: number; readonly host: string; readonly names: readonly string[] };
}

type Parsed = z.output<typeof observeSchema>;

const DEFAULT_SLO: Slo = { availability: 0.999, latency: undefined };

/** Undefined when it is turned off. */
export function observeOf(written: Parsed | undefined): ObserveConfig | undefined {
  if (written === false) return undefined;
  const parsed = written ?? {};
  const { alerts, bigquery, dashboard, prometheus } = parsed;
  return {
    accessLog: parsed.accessLog ?? "auto",
    formats: parsed.formats ?? {},
    redact: parsed.redact ?? [],
    truncateIp: parsed.truncateIp ?? false,
    keepForMs: parseDuration(parsed.keepFor ?? "30d"),
    maxBytes: parsed.maxBytes ?? 20_000_000_000,
    ...slosOf(parsed.slo),
    alerts: alerts === false ? undefined : (alerts ?? []).map(alertOf),
    prometheus:
      prometheus === undefined ? undefined : { url: prometheus.url, tokenFrom: prometheus.tokenFrom },
    bigquery:
      bigquery === undefined
        ? undefined
        : {
            project: bigquery.project,
            dataset: bigquery.dataset,
            location: bigquery.location,
            maxBytesBilled: bigquery.maxBytesBilled ?? 10_000_000_000,
          },
    dashboard: {
      port: dashboard?.port ?? 0,
      host: dashboard?.host ?? "127.0.0.1",
      names: dashboard?.names ?? [],
    },
  };
}

type ParsedSlo = z.output<typeof sloSchema>;

function slosOf(written: NonNullable<Exclude<Parsed, false>>["slo"]): Pick<ObserveConfig, "slo" | "sloOf"> {
  if (written === undefined) return { slo: DEFAULT_SLO, sloOf: {} };
  const isOne = Object.keys(written).every((key) => key === "availability" || key === "latency");
  if (isOne) return { slo: sloOf(written as ParsedSlo), sloOf: {} };
  const each = Object.entries(written as Record<string, ParsedSlo>).map(
    ([service, slo]) => [service, sloOf(slo)] as const,
  );
  return { slo: DEFAULT_SLO, sloOf: Object.fromEntries(each) };
}

function sloOf({ availability, latency }: ParsedSlo): Slo {
  return {
    availability: availability === undefined ? undefined : availability / 100,
    latency:
      latency === undefined
        ? undefined
        : { targetMs: parseDuration(latency.target), ratio: latency.ratio / 100 },
  };
}

function alertOf(written: z.output<typeof alertSchema>): AlertRuleConfig {
  const { name, service } = written;
  if ("errors" in written) {
    const { above, within } = written.errors;
    return { name, service, kind: "errors", each: written.each, above, withinMs: parseDuration(within) };
  }
  if ("p95" in written) {
    const { above, within, minRequests = 50 } = written.p95;
    return {
      name,
      service,
      kind: "p95",
      each: written.each,
      aboveMs: parseDuration(above),
      withinMs: parseDuration(within),
      minRequests,
    };
  }
  return { name, service, kind: "no-data", forMs: parseDuration(written.noData.for) };
}
