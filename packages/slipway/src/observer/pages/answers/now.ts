/** Page "Now": what is going on, over the last five minutes. */
import type {
  ClusterNow,
  Incident,
  LineFigures,
  NowAnswer,
  ReleaseSummary,
  ServiceNow,
} from "../../../server/api.ts";
import type { ServiceCount } from "./figures.ts";
import { groupBy, trafficOf } from "./traffic.ts";

export const NOW_MS = 5 * 60_000;

export function nowAnswer(input: {
  readonly at: number;
  readonly counts: readonly ServiceCount[];
  readonly clusters: readonly ClusterNow[];
  readonly release: ReleaseSummary | undefined;
  readonly alerts: readonly Incident[];
  readonly lines: LineFigures;
  readonly problems: readonly string[];
}): NowAnswer {
  const { at, counts, clusters, release, alerts, lines, problems } = input;
  const told = [...(lines.problem === undefined ? [] : [lines.problem]), ...problems];
  return {
    at,
    services: [...groupBy(counts, ({ service }) => service)]
      .map(([service, own]) => serviceNow(service, own))
      .sort((a, b) => b.traffic.requests - a.traffic.requests || compareText(a.service, b.service)),
    clusters,
    release,
    alerts,
    lines: { ...lines, problem: told.length === 0 ? undefined : [...new Set(told)].join("; ") },
  };
}

function serviceNow(service: string, counts: readonly ServiceCount[]): ServiceNow {
  return {
    service,
    traffic: trafficOf(counts, NOW_MS),
    byRelease: [...groupBy(counts, ({ release }) => release)]
      .map(([release, own]) => ({
        release,
        commit: own.find(({ commit }) => commit !== "")?.commit ?? "",
        traffic: trafficOf(own, NOW_MS),
      }))
      .sort((a, b) => b.release - a.release),
    byCluster: [...groupBy(counts, ({ cluster }) => cluster)]
      .map(([cluster, own]) => ({ cluster, traffic: trafficOf(own, NOW_MS) }))
      .sort((a, b) => compareText(a.cluster, b.cluster)),
  };
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
