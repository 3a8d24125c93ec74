/** What the rules say of the counts at one moment. Pure: numbers in, findings out. The rules of burn rates: `burn.ts`. */
import { assertNever } from "@slipway/base";
import type { Each } from "../../config/observe.ts";
import type { Of } from "../counts/counts.ts";
import { quantile, upperMs } from "../counts/histogram.ts";
import type { Finding, Signal } from "./alert.ts";
import { burn, LEAST_REQUESTS } from "./burn.ts";
import {
  type CountsView,
  culprit,
  finding,
  MINUTE_MS,
  QUIET_MINUTES,
  REOPEN_MS,
  requestsIn,
  samplesOf,
  where,
} from "./facts.ts";
import type { Rule } from "./rules.ts";
import { number, span } from "./words.ts";

/** A release that has failed requests: when the first was seen and when the last. */
export interface FirstError {
  readonly firstAt: number;
  readonly lastAt: number;
}

export interface Seen {
  /** By `service|release`. */
  readonly firstErrors: Readonly<Record<string, FirstError>>;
  /** Since when this has been watched without a gap; silence before that is ours. */
  readonly watchedSince: number;
}

/** A release's first failures are news for so long; what goes on is the matter of what is promised. */
const NEWS_MS = 30 * MINUTE_MS;
/** After a day without any, a failure is news again. */
export const NEWS_AGAIN_MS = 24 * 60 * MINUTE_MS;
/** Below it, the burn rates' guard (10 requests in 5 min) keeps them silent most of the time: 72 · 10 in 6 h. */
export const LOW_TRAFFIC = 720;

export function findingsOf(
  counts: CountsView,
  rules: readonly Rule[],
  signals: readonly Signal[],
  seen: Seen,
  now: number,
): readonly Finding[] {
  const found: Finding[] = [];
  const services = counts.services();
  for (const rule of rules) {
    for (const service of services) {
      if (rule.service === undefined ? rule.except.includes(service) : rule.service !== service) continue;
      found.push(...findingsOfRule(counts, rule, service, seen, now, found));
    }
  }
  found.push(...signals.map(signalled));
  return found;
}

function findingsOfRule(
  counts: CountsView,
  rule: Rule,
  service: string,
  seen: Seen,
  now: number,
  before: readonly Finding[],
): readonly Finding[] {
  switch (rule.kind) {
    case "first-error":
      return firstErrors(counts, rule, service, seen, now);
    case "burn": {
      const isCalled = before.some(
        (one) => one.rule === rule.silentWith && one.service === service && one.state === "wrong",
      );
      return isCalled ? [] : burn(counts, rule, service, now);
    }
    case "low-traffic":
      return lowTraffic(counts, rule, service, now);
    case "errors":
      return tooMany(counts, rule, service, now);
    case "p95":
      return tooSlow(counts, rule, service, now);
    case "no-data":
      return silent(counts, rule, service, seen, now);
    default:
      return assertNever(rule);
  }
}

function firstErrors(
  counts: CountsView,
  rule: Rule,
  service: string,
  { firstErrors: known }: Seen,
  now: number,
): readonly Finding[] {
  return counts.releases(service).flatMap((release): Finding[] => {
    const of = { service, release };
    const { errors, requests } = counts.sum(of, now, QUIET_MINUTES);
    const first = known[`${service}|${release}`];
    const isNew = first === undefined || now - first.lastAt > NEWS_AGAIN_MS;
    if (errors === 0 || !(isNew || now - first.firstAt < NEWS_MS)) return [];
    const which = release === 0 ? "a release that is not known" : `release ${release}`;
    return [
      finding(rule, service, {
        key: `${release}`,
        group: `5xx|${service}`,
        release: release === 0 ? undefined : release,
        // A release of old that starts to fail has no "first" to speak of, but this is the first in a day.
        title: `${service}: first 5xx of ${which}`,
        facts: [
          { name: "5xx", value: `${number(errors)} of ${requestsIn(requests, QUIET_MINUTES)}` },
          ...where(counts, of, now),
        ],
        samples: samplesOf(counts, of, now),
        reopenMs: NEWS_MS,
      }),
    ];
  });
}

function lowTraffic(
  counts: CountsView,
  rule: Extract<Rule, { kind: "low-traffic" }>,
  service: string,
  now: number,
): readonly Finding[] {
  const sums = counts.sum({ service }, now, 360);
  if (sums.errors < rule.atLeast || sums.requests >= LOW_TRAFFIC) return [];
  if (sums.errors / sums.requests <= 6 * rule.budget) return [];
  const hour = counts.sum({ service }, now, 60);
  if (hour.requests >= LEAST_REQUESTS && hour.errors === 0) return [];
  return [
    finding(rule, service, {
      key: "",
      group: `5xx|${service}`,
      release: culprit(counts, { service }, now, 360),
      title: `${service}: ${number(sums.errors)} of ${requestsIn(sums.requests, 360)} failed (5xx)`,
      facts: [
        { name: "5xx", value: `${number(sums.errors)} of ${requestsIn(sums.requests, 360)}` },
        ...where(counts, { service }, now, 360),
      ],
      samples: samplesOf(counts, { service }, now, 360),
    }),
  ];
}

function tooMany(
  counts: CountsView,
  rule: Extract<Rule, { kind: "errors" }>,
  service: string,
  now: number,
): readonly Finding[] {
  return partsOf(counts, rule.each, service).flatMap((part): Finding[] => {
    const { of, key, name } = part;
    const { errors, requests } = counts.sum(of, now, rule.withinMinutes);
    if (errors <= rule.above) return [];
    const found = finding(rule, service, {
      key,
      group: `5xx|${service}`,
      cluster: of.cluster ?? "",
      release: of.release ?? culprit(counts, of, now, rule.withinMinutes),
      title: `${name}: ${number(errors)} 5xx in ${span(rule.withinMinutes * MINUTE_MS)}`,
      facts: [
        {
          name: "5xx",
          value: `${number(errors)} of ${requestsIn(requests, rule.withinMinutes)}; over ${number(rule.above)} is too many`,
        },
        ...where(counts, of, now, rule.withinMinutes),
      ],
      samples: samplesOf(counts, of, now, rule.withinMinutes),
    });
    return [found];
  });
}

/** What a rule is asked of, one after the other. What the edge answered by itself is of no cluster, and of no release. */
function partsOf(
  counts: CountsView,
  each: Each,
  service: string,
): readonly { readonly of: Of; readonly key: string; readonly name: string }[] {
  switch (each) {
    case "cluster":
      return counts
        .clusters(service)
        .filter((cluster) => cluster !== "")
        .map((cluster) => ({ of: { service, cluster }, key: cluster, name: `${service} in ${cluster}` }));
    case "release":
      return counts
        .releases(service)
        .filter((release) => release > 0)
        .map((release) => ({
          of: { service, release },
          key: `${release}`,
          name: `${service}, release ${release}`,
        }));
    case undefined:
      return [{ of: { service }, key: "", name: service }];
    default:
      return assertNever(each);
  }
}

function tooSlow(
  counts: CountsView,
  rule: Extract<Rule, { kind: "p95" }>,
  service: string,
  now: number,
): readonly Finding[] {
  return partsOf(counts, rule.each, service).flatMap((part) => slowPart(counts, rule, service, part, now));
}

function slowPart(
  counts: CountsView,
  rule: Extract<Rule, { kind: "p95" }>,
  service: string,
  { of, key, name }: ReturnType<typeof partsOf>[number],
  now: number,
): readonly Finding[] {
  const common = { key, group: `slow|${service}`, cluster: of.cluster ?? "", release: of.release };
  const histogram = counts.times(of, now, rule.withinMinutes);
  const requests = histogram.reduce((sum, one) => sum + one, 0);
  const p95 = quantile(histogram, 0.95);
  if (requests === 0) {
    const nothing = { ...common, title: "", facts: [], samples: [], state: "unknown" as const };
    return [finding(rule, service, nothing)];
  }
  // The exact value is above the lower end of its bucket: only when that is too long, it is for certain.
  if (requests < rule.minRequests || p95 === undefined || p95 / upperMs(1) < rule.aboveMs) return [];
  return [
    finding(rule, service, {
      ...common,
      title: `${name}: p95 is about ${span(Math.round(p95))}`,
      facts: [
        {
          name: "p95",
          value: `about ${span(Math.round(p95))} of ${requestsIn(requests, rule.withinMinutes)}; ${span(rule.aboveMs)} is too long`,
        },
      ],
      samples: [],
    }),
  ];
}

function silent(
  counts: CountsView,
  rule: Extract<Rule, { kind: "no-data" }>,
  service: string,
  { watchedSince }: Seen,
  now: number,
): readonly Finding[] {
  // What the edge answers by itself is of no cluster: that it has stopped doing so is no news.
  const named = counts.clusters(service).filter((cluster) => cluster !== "");
  return (named.length === 0 ? [""] : named).flatMap((cluster): Finding[] => {
    const newest = counts.newestMs({ service, cluster });
    if (newest === undefined) return [];
    const since = Math.max(newest + MINUTE_MS, watchedSince);
    if (now - since < rule.silentMs) return [];
    const last = new Date(newest).toISOString().slice(0, 16).replace("T", " ");
    return [
      finding(rule, service, {
        key: cluster,
        group: undefined,
        cluster,
        title: `${service}: no request${cluster === "" ? "" : ` in ${cluster}`} for ${span(rule.silentMs)}`,
        facts: [{ name: "last request", value: `${last} UTC` }],
        samples: [],
      }),
    ];
  });
}

function signalled(signal: Signal): Finding {
  const { rule, key, severity, service, cluster, release, title, facts } = signal;
  return {
    fingerprint: `${rule}|${key}`,
    rule,
    severity,
    group: undefined,
    state: "wrong",
    forMs: 0,
    reopenMs: REOPEN_MS,
    service,
    cluster,
    release,
    title,
    facts,
    samples: [],
  };
}
