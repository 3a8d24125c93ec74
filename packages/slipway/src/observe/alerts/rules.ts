/**
 * What is an alert, as data: the rules that are always there (first 5xx of a release, burn rates of what is promised, and
 * the absolute one where there is too little traffic for those), and those of the configuration.
 *
 * A burn rate is how many times faster than allowed the budget of 30 days is used up. Two windows must agree: the long
 * one says that it matters, the short one that it still goes on (Google's SRE workbook, chapter 5):
 *
 *   page    14.4× over 1 h and 5 min   (2 % of the budget)      6× over 6 h and 30 min  (5 %)
 *   ticket   3×   over 1 d and 2 h     (10 %)                   1× over 3 d and 6 h     (10 %)
 *
 * 99.9 % and every request failing: 14.4 · 0.1 % of an hour is 52 s, so somebody is called within a minute.
 */
import { SlipwayError } from "@slipway/base";
import {
  type AlertRuleConfig,
  type Each,
  HIGHEST_BURN,
  type ObserveConfig,
  type Slo,
} from "../../config/observe.ts";
import { percent, span } from "./words.ts";

export type Severity = "page" | "ticket" | "info";

export interface BurnWindow {
  readonly factor: number;
  readonly longMinutes: number;
  readonly shortMinutes: number;
}

export type Rule = {
  readonly name: string;
  readonly severity: Severity;
  /** Only this service; undefined: each by itself, but not `except`. */
  readonly service: string | undefined;
  readonly except: readonly string[];
  /** In one sentence, for people. */
  readonly text: string;
} & (
  | { readonly kind: "first-error" }
  | {
      readonly kind: "burn";
      readonly of: "availability" | "latency";
      /** Share of requests that may fail or be slow. */
      readonly budget: number;
      readonly targetMs: number | undefined;
      readonly windows: readonly BurnWindow[];
      /** Silent while this rule calls for the same service. */
      readonly silentWith: string | undefined;
    }
  | { readonly kind: "low-traffic"; readonly budget: number; readonly atLeast: number }
  | { readonly kind: "errors"; readonly each: Each; readonly above: number; readonly withinMinutes: number }
  | {
      readonly kind: "p95";
      readonly each: Each;
      readonly aboveMs: number;
      readonly withinMinutes: number;
      readonly minRequests: number;
    }
  | { readonly kind: "no-data"; readonly silentMs: number }
);

export const PAGE_WINDOWS: readonly BurnWindow[] = [
  { factor: HIGHEST_BURN, longMinutes: 60, shortMinutes: 5 },
  { factor: 6, longMinutes: 360, shortMinutes: 30 },
];
export const TICKET_WINDOWS: readonly BurnWindow[] = [
  { factor: 3, longMinutes: 1440, shortMinutes: 120 },
  { factor: 1, longMinutes: 4320, shortMinutes: 360 },
];

/** So many 5xx within six hours call somebody where there are too few requests for ratios. */
const FEW_ERRORS = 5;
const MINUTE_MS = 60_000;
const LONGEST_MS = 3 * 24 * 60 * MINUTE_MS;
const LONGEST_P95_MS = 6 * 60 * MINUTE_MS;

/** The rules of a configuration; empty when alerts are turned off. Throws ALERT_RULE for one that could never be right. */
export function rulesOf(config: Pick<ObserveConfig, "slo" | "sloOf" | "alerts">): readonly Rule[] {
  if (config.alerts === undefined) return [];
  const named = Object.keys(config.sloOf);
  const slos: readonly (readonly [string | undefined, Slo, string])[] = [
    [undefined, config.slo, "observe/slo"],
    ...named.map((name) => [name, config.sloOf[name] as Slo, `observe/slo/${name}`] as const),
  ];
  const rules: Rule[] = [
    {
      name: "first-5xx",
      kind: "first-error",
      severity: "info",
      service: undefined,
      except: [],
      text: "the first 5xx of each release",
    },
    ...slos.flatMap(([service, slo, where]) =>
      sloRules(slo, where).map(
        (rule): Rule => ({ ...rule, service, except: service === undefined ? named : [] }),
      ),
    ),
    ...config.alerts.map(configuredRule),
  ];
  refuseDoubles(rules);
  return rules;
}

/** When a request of a service is slow, ms. */
export function targetOf(config: Pick<ObserveConfig, "slo" | "sloOf">): (service: string) => number {
  return (service) => (config.sloOf[service] ?? config.slo).latency?.targetMs ?? Number.POSITIVE_INFINITY;
}

type Unplaced = Rule extends infer R ? (R extends Rule ? Omit<R, "service" | "except"> : never) : never;

function sloRules({ availability, latency }: Slo, where: string): readonly Unplaced[] {
  const rules: Unplaced[] = [];
  if (availability !== undefined) {
    const budget = 1 - availability;
    rules.push(...burnRules("availability", budget, undefined, `${where}/availability`));
    rules.push({
      name: "low-traffic-5xx",
      kind: "low-traffic",
      severity: "page",
      budget,
      atLeast: FEW_ERRORS,
      text: `${FEW_ERRORS} or more 5xx within 6 h where there are too few requests for burn rates`,
    });
  }
  if (latency !== undefined) {
    rules.push(...burnRules("latency", 1 - latency.ratio, latency.targetMs, `${where}/latency`));
  }
  return rules;
}

function burnRules(
  of: "availability" | "latency",
  budget: number,
  targetMs: number | undefined,
  where: string,
): readonly Unplaced[] {
  // 14.4 times a budget of 10 % is 144 % of the requests: a rule that looks like one and never calls.
  if (HIGHEST_BURN * budget >= 1) {
    const least = 100 * (1 - 1 / HIGHEST_BURN);
    throw new SlipwayError({
      code: "ALERT_RULE",
      where,
      message: `${percent(1 - budget)} cannot be watched: it would call at ${percent(HIGHEST_BURN * budget)} of requests, which is never reached`,
      hint: `Promise more than ${least.toFixed(1)} %, or nothing and set a rule with \`errors\` or \`p95\`.`,
      exitCode: 2,
    });
  }
  const what = of === "availability" ? "without a 5xx" : `within ${span(targetMs ?? 0)}`;
  const promise = `${percent(1 - budget)} of requests ${what}`;
  const common = { kind: "burn", of, budget, targetMs } as const;
  return [
    {
      ...common,
      name: of,
      severity: "page",
      windows: PAGE_WINDOWS,
      silentWith: undefined,
      text: `${promise}: the budget of 30 days burns 14.4× (1 h, 5 min) or 6× (6 h, 30 min) too fast`,
    },
    {
      ...common,
      name: `${of}-budget`,
      severity: "ticket",
      windows: TICKET_WINDOWS,
      silentWith: of,
      text: `${promise}: the budget of 30 days burns 3× (1 d, 2 h) or 1× (3 d, 6 h) too fast`,
    },
  ];
}

function configuredRule(rule: AlertRuleConfig): Rule {
  const { name, service } = rule;
  const common = { name, service, except: [], severity: "page" as const };
  switch (rule.kind) {
    case "errors": {
      const { each, above, withinMs } = rule;
      const text = `more than ${above} 5xx within ${span(withinMs)}${eachText(each)}`;
      const withinMinutes = minutesOf(name, withinMs, LONGEST_MS);
      return { ...common, kind: "errors", each, above, withinMinutes, text };
    }
    case "p95": {
      const { each, aboveMs, withinMs, minRequests } = rule;
      const text = `p95 above ${span(aboveMs)} within ${span(withinMs)}, from ${minRequests} requests on${eachText(each)}`;
      const withinMinutes = minutesOf(name, withinMs, LONGEST_P95_MS);
      return { ...common, kind: "p95", each, aboveMs, withinMinutes, minRequests, text };
    }
    case "no-data": {
      minutesOf(name, rule.forMs, LONGEST_MS / 2);
      const text = `no request for ${span(rule.forMs)}`;
      return { ...common, kind: "no-data", silentMs: rule.forMs, text };
    }
  }
}

function eachText(each: Each): string {
  if (each === undefined) return "";
  return each === "cluster" ? ", in one cluster" : ", of one release";
}

function minutesOf(name: string, ms: number, most: number): number {
  if (ms < MINUTE_MS || ms > most) {
    throw new SlipwayError({
      code: "ALERT_RULE",
      where: `observe/alerts/${name}`,
      message: `a window of ${span(ms)} cannot be watched`,
      hint: `Between 1m and ${span(most)}: requests are counted by the minute and kept for so long.`,
      exitCode: 2,
    });
  }
  return Math.ceil(ms / MINUTE_MS);
}

/** Messages and mutes name a rule: the name must say which. Those of what is promised are of one service each. */
function refuseDoubles(rules: readonly Rule[]): void {
  for (const [index, rule] of rules.entries()) {
    const other = rules.slice(0, index).find(({ name }) => name === rule.name);
    if (other === undefined || (isPromise(rule) && isPromise(other))) continue;
    throw new SlipwayError({
      code: "ALERT_RULE",
      where: `observe/alerts/${rule.name}`,
      message: "is the name of another rule too",
      hint: "Give each rule a name of its own.",
      exitCode: 2,
    });
  }
}

function isPromise({ kind }: Rule): boolean {
  return kind === "burn" || kind === "low-traffic";
}
