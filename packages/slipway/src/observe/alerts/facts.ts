/** What a finding tells: how many, where, of which release, and some requests to look at. */
import type { Counts, Of } from "../counts/counts.ts";
import type { Sums } from "../counts/series.ts";
import type { Fact, Finding } from "./alert.ts";
import type { Rule } from "./rules.ts";
import { number, span } from "./words.ts";

export type CountsView = Pick<
  Counts,
  "services" | "clusters" | "releases" | "sum" | "times" | "newestMs" | "failedRoutes" | "samples"
>;

export const MINUTE_MS = 60_000;

export const QUIET_MINUTES = 5;

export const REOPEN_MS = 15 * MINUTE_MS;

export function finding(
  rule: Pick<Rule, "name" | "severity">,
  service: string,
  found: Pick<Finding, "title" | "facts" | "samples" | "group"> &
    Partial<Pick<Finding, "state" | "cluster" | "release" | "forMs" | "reopenMs">> & { readonly key: string },
): Finding {
  const { key, ...rest } = found;
  return {
    fingerprint: [rule.name, service, key].filter((part) => part !== "").join("|"),
    rule: rule.name,
    severity: rule.severity,
    service,
    state: "wrong",
    forMs: 0,
    reopenMs: REOPEN_MS,
    cluster: "",
    release: undefined,
    ...rest,
  };
}

/** The release that at least four of five failures, or slow requests, come from: a rollback of it would help. */
export function culprit(
  counts: CountsView,
  of: Of,
  now: number,
  minutesBack: number,
  bad: (sums: Sums) => number = ({ errors }) => errors,
): number | undefined {
  const all = bad(counts.sum(of, now, minutesBack));
  return counts
    .releases(of.service)
    .find((release) => release > 0 && bad(counts.sum({ ...of, release }, now, minutesBack)) >= 0.8 * all);
}

export function where(counts: CountsView, of: Of, now: number, minutesBack = QUIET_MINUTES): readonly Fact[] {
  const routes = counts.failedRoutes(of).slice(0, 3);
  const clusters = counts
    .clusters(of.service)
    .map((cluster) => ({ cluster, errors: counts.sum({ ...of, cluster }, now, minutesBack).errors }))
    .filter(({ errors }) => errors > 0);
  return [
    ...(routes.length === 0
      ? []
      : [
          {
            name: "top route",
            value: routes.map(({ route, count }) => `${route} (${number(count)})`).join(", "),
          },
        ]),
    ...(clusters.length === 0
      ? []
      : [
          {
            name: clusters.length === 1 ? "cluster" : "clusters",
            value: clusters
              .map(
                ({ cluster, errors }) => `${cluster === "" ? "none reached" : cluster} (${number(errors)})`,
              )
              .join(", "),
          },
        ]),
  ];
}

export function samplesOf(
  counts: CountsView,
  of: Of,
  now: number,
  minutesBack = 2 * QUIET_MINUTES,
): readonly string[] {
  return counts
    .samples(of, now - minutesBack * MINUTE_MS)
    .map(({ at, text }) => `${new Date(at).toISOString().slice(11, 19)} ${text}`);
}

export function requestsIn(requests: number, minutesBack: number): string {
  return `${number(requests)} request${requests === 1 ? "" : "s"} in ${span(minutesBack * MINUTE_MS)}`;
}
