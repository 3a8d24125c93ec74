/**
 * What is promised (`observe.slo`) and asked for (`observe.alerts`) as rules of Prometheus: the numbers are those of
 * `alerts/rules.ts`, and so are the guards, so that both call for the same. Three things are not the same, because
 * Prometheus sees samples and no lines: there is no "first 5xx of a release", the first requests of a new series before its
 * first scrape are not in any `increase`, and an increase is extrapolated, so that "at least 3" is written "> 2.5".
 *
 * Increases are recorded and not rates, because the guards ask for numbers of requests; the longer windows are sums
 * over the same series.
 */
import { assertNever } from "@slipway/base";
import type { Each, ObserveConfig } from "../../config/observe.ts";
import { LEAST_ERRORS, LEAST_REQUESTS, STILL_MINUTES, TICKET_FOR_MS } from "../alerts/burn.ts";
import { LOW_TRAFFIC } from "../alerts/findings.ts";
import {
  type BurnWindow,
  PAGE_WINDOWS,
  type Rule,
  rulesOf,
  type Severity,
  TICKET_WINDOWS,
} from "../alerts/rules.ts";
import { percent, span } from "../alerts/words.ts";

export interface RecordingRule {
  readonly record: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface AlertingRule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface RuleGroup {
  readonly name: string;
  readonly rules: readonly (RecordingRule | AlertingRule)[];
}

const REQUESTS = "slipway_http_requests_total";
const DURATION = "slipway_http_request_duration_seconds";
const HOUR_MINUTES = 60;
const LOW_TRAFFIC_MINUTES = 360;

/** With `alerts: false` too: whoever turns Slipway's own off may want these instead. */
export function ruleGroups(config: Pick<ObserveConfig, "slo" | "sloOf" | "alerts">): readonly RuleGroup[] {
  const rules = rulesOf({ ...config, alerts: config.alerts ?? [] });
  return [
    { name: "slipway-requests", rules: recordings(rules) },
    { name: "slipway-promises", rules: rules.flatMap(alertsOf) },
    { name: "slipway-watching", rules: watching() },
  ];
}

/** `service:slipway_http_errors:increase5m`: level, metric and operation, as Prometheus' practices have it. */
function recorded(what: "requests" | "errors" | "slow", minutes: number): string {
  return `service:slipway_http_${what}:increase${rangeOf(minutes)}`;
}

function recordings(rules: readonly Rule[]): readonly RecordingRule[] {
  const all = [...PAGE_WINDOWS, ...TICKET_WINDOWS].flatMap(({ longMinutes, shortMinutes }) => [
    longMinutes,
    shortMinutes,
  ]);
  const windows = [...new Set([...all, HOUR_MINUTES, LOW_TRAFFIC_MINUTES])].sort((a, b) => a - b);
  const latency = rules.filter(
    (rule) => rule.kind === "burn" && rule.of === "latency" && rule.severity === "page",
  );
  return windows.flatMap((minutes) => [
    { record: recorded("requests", minutes), expr: increase(REQUESTS, [], minutes) },
    { record: recorded("errors", minutes), expr: increase(REQUESTS, ['class="5xx"'], minutes) },
    ...latency.map((rule) => ({
      record: recorded("slow", minutes),
      ...(rule.service === undefined ? {} : { labels: serviceLabel(rule) }),
      expr: `${increase(`${DURATION}_count`, servicesOf(rule), minutes)} - ${increase(
        `${DURATION}_bucket`,
        [...servicesOf(rule), leOf((rule as { readonly targetMs?: number }).targetMs as number)],
        minutes,
      )}`,
    })),
  ]);
}

function increase(metric: string, matchers: readonly string[], minutes: number, by = "service"): string {
  return `sum by (${by}) (increase(${metric}${selector(matchers)}[${rangeOf(minutes)}]))`;
}

function alertsOf(rule: Rule): readonly AlertingRule[] {
  const labels = { ...serviceLabel(rule), severity: rule.severity, rule: rule.name };
  switch (rule.kind) {
    case "first-error":
      return []; // of lines, not of samples
    case "burn": {
      const isErrors = rule.of === "availability";
      const promised = percent(1 - rule.budget);
      const what = isErrors ? "fail (5xx)" : `take longer than ${span(rule.targetMs ?? 0)}`;
      return rule.windows.map((window) => ({
        alert: isErrors ? "SlipwayErrorBudgetBurn" : "SlipwayLatencyBudgetBurn",
        expr: burning(rule, window),
        ...(rule.severity === "ticket" ? { for: rangeOf(TICKET_FOR_MS / 60_000) } : {}),
        labels: { ...labels, slo: rule.of, window: rangeOf(window.longMinutes) },
        annotations: {
          summary: `{{ $labels.service }}: {{ $value | humanizePercentage }} of requests ${what}`,
          description: `The budget of ${promised} burns more than ${window.factor} times as fast as allowed, over ${span(window.longMinutes * 60_000)} and ${span(window.shortMinutes * 60_000)}.`,
        },
      }));
    }
    case "low-traffic": {
      const [requests, errors] = [
        recordedOf("requests", rule, LOW_TRAFFIC_MINUTES),
        recordedOf("errors", rule, LOW_TRAFFIC_MINUTES),
      ];
      const hour = [
        recordedOf("requests", rule, HOUR_MINUTES),
        recordedOf("errors", rule, HOUR_MINUTES),
      ] as const;
      return [
        {
          alert: "SlipwayLowTrafficErrors",
          expr: lines(
            `(${errors} > ${atLeast(rule.atLeast)})`,
            `and (${requests} < ${LOW_TRAFFIC})`,
            `and (${errors} / ${requests} > ${decimal(6 * rule.budget)})`,
            `unless ((${hour[0]} > ${atLeast(LEAST_REQUESTS)}) and (${hour[1]} == 0))`,
          ),
          labels,
          annotations: {
            summary: "{{ $labels.service }}: {{ $value | humanize }} requests failed (5xx) within 6 h",
            description: `There are too few requests for burn rates: ${rule.text}.`,
          },
        },
      ];
    }
    case "errors":
      return [
        {
          alert: "SlipwayTooManyErrors",
          expr: `${increase(REQUESTS, [...servicesOf(rule), 'class="5xx"'], rule.withinMinutes, byOf(rule))} > ${rule.above}`,
          labels,
          annotations: {
            summary: `${nameOf(rule)}: {{ $value | humanize }} 5xx in ${span(rule.withinMinutes * 60_000)}`,
            description: `${rule.name}: ${rule.text}.`,
          },
        },
      ];
    case "p95":
      return [
        {
          alert: "SlipwaySlow",
          expr: lines(
            `(histogram_quantile(0.95, ${increase(`${DURATION}_bucket`, servicesOf(rule), rule.withinMinutes, `${byOf(rule)}, le`)}) > ${decimal(rule.aboveMs / 1000)})`,
            `and (${increase(`${DURATION}_count`, servicesOf(rule), rule.withinMinutes, byOf(rule))} > ${atLeast(rule.minRequests)})`,
          ),
          labels,
          annotations: {
            summary: `${nameOf(rule)}: p95 is about {{ $value | humanizeDuration }}`,
            description: `${rule.name}: ${rule.text}.`,
          },
        },
      ];
    case "no-data":
      return [
        {
          alert: "SlipwayNoRequests",
          expr: `${increase(REQUESTS, servicesOf(rule), rule.silentMs / 60_000, "service, cluster")} == 0`,
          labels,
          annotations: {
            summary: `{{ $labels.service }}: no request in {{ $labels.cluster }} for ${span(rule.silentMs)}`,
            description: `${rule.name}: ${rule.text}.`,
          },
        },
      ];
    default:
      return assertNever(rule);
  }
}

function byOf({ each }: { readonly each: Each }): string {
  return each === undefined ? "service" : `service, ${each}`;
}

function nameOf({ each }: { readonly each: Each }): string {
  if (each === undefined) return "{{ $labels.service }}";
  return each === "cluster"
    ? "{{ $labels.service }} in {{ $labels.cluster }}"
    : "{{ $labels.service }}, release {{ $labels.release }}";
}

/** Over in both windows, with the guards, and still going on (`findings.ts`, isBurning and isStillBurning). */
function burning(rule: Extract<Rule, { kind: "burn" }>, window: BurnWindow): string {
  const bad = rule.of === "availability" ? "errors" : "slow";
  const { factor, longMinutes, shortMinutes } = window;
  const threshold = decimal(factor * rule.budget);
  const of = (what: "requests" | "errors" | "slow", minutes: number): string =>
    recordedOf(what, rule, minutes);
  const ratio = (minutes: number): string => `${of(bad, minutes)} / ${of("requests", minutes)}`;
  const earlier: string[] = [];
  const ended = STILL_MINUTES.filter((minutes) => minutes < shortMinutes).map((minutes) => {
    const expected = `${of("requests", minutes)} * ${threshold}`;
    const tells = [`(${expected} >= 5)`, `(4 * ${of(bad, minutes)} < ${expected})`];
    const clause = `unless (${[...earlier, ...tells].join(" and ")})`;
    earlier.push(`(${expected} < 5)`);
    return clause;
  });
  const silenced =
    rule.silentWith === undefined
      ? []
      : [`unless on (service) ALERTS{rule="${rule.silentWith}", severity="page", alertstate="firing"}`];
  return lines(
    `(${ratio(shortMinutes)} > ${threshold})`,
    `and (${ratio(longMinutes)} > ${threshold})`,
    `and (${of("requests", shortMinutes)} > ${atLeast(LEAST_REQUESTS)})`,
    `and (${of(bad, shortMinutes)} > ${atLeast(LEAST_ERRORS)})`,
    ...ended,
    ...silenced,
  );
}

function recordedOf(what: "requests" | "errors" | "slow", rule: Rule, minutes: number): string {
  return `${recorded(what, minutes)}${selector(servicesOf(rule))}`;
}

/** What watches the watching: a rule on figures that nobody delivers is silent. */
function watching(): readonly AlertingRule[] {
  const alert = (
    name: string,
    severity: Severity,
    expr: string,
    summary: string,
    description: string,
    wait?: string,
  ): AlertingRule => ({
    alert: name,
    expr,
    ...(wait === undefined ? {} : { for: wait }),
    labels: { severity },
    annotations: { summary, description },
  });
  const collected = "slipway_ingest_lines_total";
  return [
    alert(
      "SlipwayNoData",
      "page",
      `absent(${collected})`,
      "nobody tells Prometheus of requests",
      "No observer or collector is scraped: every other rule of Slipway is blind.",
      "10m",
    ),
    alert(
      "SlipwayNothingStored",
      "ticket",
      `sum by (instance, job) (increase(${collected}[30m])) == 0`,
      "{{ $labels.instance }}: no line stored for 30 min",
      "Either nothing is logged, or agents do not reach the collector.",
      "10m",
    ),
    alert(
      "SlipwayIngestBehind",
      "ticket",
      "slipway_ingest_lag_seconds > 300",
      "{{ $labels.instance }}: logs are stored {{ $value | humanizeDuration }} late",
      "Lines come in faster than they are stored, or the warehouse cannot be written.",
      "10m",
    ),
    alert(
      "SlipwayAgentNotSending",
      "ticket",
      lines(
        "(sum by (instance, job) (increase(slipway_agent_send_failures_total[10m])) > 0)",
        "and (sum by (instance, job) (increase(slipway_agent_sent_messages_total[10m])) == 0)",
      ),
      "{{ $labels.instance }}: the agent gets nothing to its collector",
      "The collector is away, full or refuses it; lines wait on the node, and only as long as it keeps logs.",
      "10m",
    ),
    alert(
      "SlipwayMessagesNotSent",
      "ticket",
      "slipway_outbox_waiting_messages > 0",
      "{{ $labels.instance }}: {{ $value }} messages do not get to Slack",
      "They are kept and sent later; slipway serve says why.",
      "30m",
    ),
    alert(
      "SlipwayLinesLost",
      "ticket",
      "increase(slipway_ingest_gaps_total[15m]) > 0",
      "{{ $labels.instance }}: logs were rotated away before they were read",
      "The store or the collector was away for longer than the node keeps logs; the gap is in the view gaps.",
    ),
    alert(
      "SlipwayQuarantine",
      "ticket",
      lines(
        `(sum by (instance, job) (increase(${collected}{kind="quarantine"}[30m])) > ${atLeast(10)})`,
        `and (sum by (instance, job) (increase(${collected}{kind="quarantine"}[30m])) / sum by (instance, job) (increase(${collected}[30m])) > 0.01)`,
      ),
      "{{ $labels.instance }}: {{ $value | humanize }} lines could not be read within 30 min",
      "See the view quarantine; a format of one's own is set with observe.formats.",
    ),
    alert(
      "SlipwayWarehouseNotWritable",
      "page",
      "slipway_warehouse_writable == 0",
      "{{ $labels.instance }}: nothing can be stored",
      "The disk of the warehouse is full, or cannot be written.",
      "5m",
    ),
  ];
}

function servicesOf({ service, except }: Pick<Rule, "service" | "except">): readonly string[] {
  if (service !== undefined) return [`service="${escaped(service)}"`];
  return except.length === 0 ? [] : [`service!~"${except.map((one) => escaped(literal(one))).join("|")}"`];
}

/** Said again, although the samples have it: two rules of one name must differ in something. */
function serviceLabel({ service }: Pick<Rule, "service">): Readonly<Record<string, string>> {
  return service === undefined ? {} : { service };
}

function selector(matchers: readonly string[]): string {
  return matchers.length === 0 ? "" : `{${matchers.join(", ")}}`;
}

/** Prometheus 3 reads `le="1"` as `le="1.0"` where 2 keeps it as it is written. */
function leOf(targetMs: number): string {
  const seconds = targetMs / 1000;
  return Number.isInteger(seconds) ? `le=~"${seconds}(\\\\.0)?"` : `le="${seconds}"`;
}

function literal(name: string): string {
  return name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
}

/** `5m`, `1h`, `3d`. */
export function rangeOf(minutes: number): string {
  if (minutes % 1440 === 0) return `${minutes / 1440}d`;
  return minutes % 60 === 0 ? `${minutes / 60}h` : `${minutes}m`;
}

/** An increase of 3 is seldom exactly 3. */
function atLeast(count: number): number {
  return count - 0.5;
}

/** Without the noise of binary fractions: 14.4 · (1 − 0.999) is 0.0144. */
function decimal(value: number): string {
  return String(Number(value.toPrecision(10)));
}

function lines(...parts: readonly string[]): string {
  return `${parts.join("\n")}\n`;
}
