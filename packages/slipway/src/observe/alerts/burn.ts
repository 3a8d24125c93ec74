/** How fast the budget of failures is used up: two windows must agree, and a shorter one that it still goes on. */
import type { Sums } from "../counts/series.ts";
import type { Fact, Finding } from "./alert.ts";
import {
  type CountsView,
  culprit,
  finding,
  MINUTE_MS,
  QUIET_MINUTES,
  requestsIn,
  samplesOf,
  where,
} from "./facts.ts";
import type { BurnWindow, Rule } from "./rules.ts";
import { number, percent, span, times } from "./words.ts";

/** With fewer in the short window a ratio says nothing: 1 of 3 is 33 %. */
export const LEAST_REQUESTS = 10;
/** One error in 50 requests is 2 %, over the 1.44 % of 14.4× at 99.9 %: errors must be several. */
export const LEAST_ERRORS = 3;

/** A ticket is about what goes on: an outage that is over within the hour has called somebody already. */
export const TICKET_FOR_MS = 60 * MINUTE_MS;
export const STILL_MINUTES = [5, 30, 120];

export function burn(
  counts: CountsView,
  rule: Extract<Rule, { kind: "burn" }>,
  service: string,
  now: number,
): readonly Finding[] {
  const bad = (sums: Sums): number => (rule.of === "availability" ? sums.errors : sums.slow);
  const recent = counts.sum({ service }, now, QUIET_MINUTES);
  const group =
    rule.severity === "page" ? `${rule.of === "availability" ? "5xx" : "slow"}|${service}` : undefined;
  if (recent.requests === 0) {
    const nothing = { key: "", group, title: "", facts: [], samples: [], state: "unknown" as const };
    return [finding(rule, service, nothing)];
  }
  const window = rule.windows.find((one) => isBurning(one, rule.budget, bad, counts, service, now));
  if (window === undefined) return [];
  const { longMinutes, shortMinutes, factor } = window;
  const short = counts.sum({ service }, now, shortMinutes);
  const ratio = bad(short) / short.requests;
  const release = culprit(counts, { service }, now, shortMinutes, bad);
  const promised = percent(1 - rule.budget);
  const what =
    rule.of === "availability"
      ? "of requests fail (5xx)"
      : `of requests take longer than ${span(rule.targetMs ?? 0)}`;
  const facts: Fact[] = [
    {
      name: rule.of === "availability" ? "5xx" : "slow",
      value: `${number(bad(short))} of ${requestsIn(short.requests, shortMinutes)}`,
    },
    {
      name: "budget",
      value: `burns ${times(ratio / rule.budget)} as fast as ${promised} allows (over ${factor}× in ${span(longMinutes * MINUTE_MS)} and ${span(shortMinutes * MINUTE_MS)})`,
    },
  ];
  return [
    finding(rule, service, {
      key: "",
      group,
      release,
      forMs: rule.severity === "ticket" ? TICKET_FOR_MS : 0,
      title: `${service}: ${percent(ratio)} ${what}`,
      facts: rule.of === "availability" ? [...facts, ...where(counts, { service }, now)] : facts,
      samples: rule.of === "availability" ? samplesOf(counts, { service }, now) : [],
    }),
  ];
}

function isBurning(
  { factor, longMinutes, shortMinutes }: BurnWindow,
  budget: number,
  bad: (sums: Sums) => number,
  counts: CountsView,
  service: string,
  now: number,
): boolean {
  const threshold = factor * budget;
  const short = counts.sum({ service }, now, shortMinutes);
  if (short.requests < LEAST_REQUESTS || bad(short) < LEAST_ERRORS) return false;
  if (bad(short) / short.requests <= threshold) return false;
  const long = counts.sum({ service }, now, longMinutes);
  if (bad(long) / long.requests <= threshold) return false;
  return isStillBurning(threshold, shortMinutes, bad, counts, service, now);
}

/**
 * After an outage the longer "short" windows stay above their threshold for up to 6 h, and nobody shall be kept awake
 * by what has been repaired. So the shortest window that can tell is asked too: one in which this burn would show at
 * least 5 failures. It has ended where there is not even a quarter of them. (Of 5 expected, chance gives 0 or 1 in 4 %.)
 */
function isStillBurning(
  threshold: number,
  shortMinutes: number,
  bad: (sums: Sums) => number,
  counts: CountsView,
  service: string,
  now: number,
): boolean {
  for (const minutesBack of STILL_MINUTES.filter((one) => one < shortMinutes)) {
    const sums = counts.sum({ service }, now, minutesBack);
    const expected = sums.requests * threshold;
    if (expected >= 5) return 4 * bad(sums) >= expected;
  }
  return true;
}
