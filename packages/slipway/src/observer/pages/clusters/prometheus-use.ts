/**
 * What pods use, asked of a Prometheus that scrapes kubelets (cAdvisor) and, where there is one, kube-state-metrics: beside
 * cores and memory how much a pod was held back by its limit, and what ended and began anew within the last hour.
 *
 * One Prometheus may know many clusters. Where its series have a label `cluster`, only those named like ours count; where
 * they have none, it is taken to know this one alone.
 */
import type { ObserveConfig } from "../../../config/observe.ts";
import type { Series } from "../../../observe/prometheus/answer.ts";
import { type PrometheusServer, querySeries } from "../../../observe/prometheus/query.ts";
import type { Target } from "../../../release/model.ts";
import { sentenceOf } from "../rows.ts";
import type { PodUse, Use } from "./view.ts";

const PATIENCE_MS = 5_000;

type Column = "cpu" | "memory" | "throttled" | "restarts" | "outOfMemory";

/** By cluster, namespace and pod. `container!=""` leaves out the sums of whole pods, `image!=""` those of cgroups. */
function queriesFor(namespaces: readonly string[]): Readonly<Record<Column, string>> {
  const within = namespaces.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\\\$&")).join("|");
  const namespace = `namespace=~"${within}"`;
  const containers = `{${namespace}, container!="", image!=""}`;
  const by = "by (cluster, namespace, pod)";
  const rate = (metric: string): string => `sum ${by} (rate(${metric}{${namespace}, container!=""}[5m]))`;
  return {
    cpu: `sum ${by} (rate(container_cpu_usage_seconds_total${containers}[5m]))`,
    memory: `sum ${by} (container_memory_working_set_bytes${containers})`,
    throttled: `${rate("container_cpu_cfs_throttled_periods_total")} / ${rate("container_cpu_cfs_periods_total")}`,
    restarts: `sum ${by} (increase(kube_pod_container_status_restarts_total{${namespace}}[1h]))`,
    // The last reason stays for ever; it is news while there were restarts within the hour.
    outOfMemory: `max ${by} (kube_pod_container_status_last_terminated_reason{${namespace}, reason="OOMKilled"} and on (cluster, namespace, pod, container) (increase(kube_pod_container_status_restarts_total{${namespace}}[1h]) > 0))`,
  };
}

/** Never rejects: that nobody answers is an answer. */
export function prometheusUse(
  server: PrometheusServer,
): (target: Pick<Target, "name">, namespaces: readonly string[]) => Promise<Use> {
  return async ({ name }, namespaces) => {
    const queries = Object.entries(queriesFor(namespaces)) as [Column, string][];
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const answers = await Promise.allSettled(
      queries.map(async ([column, query]) => [column, await querySeries(server, query, signal)] as const),
    );
    const [first] = answers;
    if (first?.status === "rejected")
      return { source: `Prometheus: ${sentenceOf(first.reason)}`, pods: new Map() };
    const columns = answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
    const all = columns.flatMap(([, series]) => series);
    const clusters = new Set(all.flatMap(({ labels }) => labels["cluster"] ?? []));
    if (clusters.size > 0 && !clusters.has(name)) {
      const known = [...clusters].sort().join(", ");
      return { source: `Prometheus knows no cluster named ${name}, only ${known}`, pods: new Map() };
    }
    if (all.length === 0) return { source: "Prometheus has no figures of these pods", pods: new Map() };
    const own = ({ labels }: Series): boolean => clusters.size === 0 || labels["cluster"] === name;
    const pods = new Map<string, PodUse>();
    for (const [column, series] of columns) {
      for (const one of series.filter(own)) {
        const key = `${one.labels["namespace"]}/${one.labels["pod"]}`;
        const before = pods.get(key) ?? NOTHING;
        pods.set(key, { ...before, [column]: figureOf(column, one.value) });
      }
    }
    return { source: "prometheus", pods };
  };
}

const NOTHING: PodUse = {
  cpu: undefined,
  memory: undefined,
  throttled: undefined,
  restarts: undefined,
  outOfMemory: undefined,
};

function figureOf(column: Column, value: number): number | boolean {
  if (column === "outOfMemory") return value > 0;
  return column === "restarts" ? Math.round(value) : value;
}

/** Undefined: the cluster's own figures. */
export function useFrom(
  observe: Pick<ObserveConfig, "prometheus"> | undefined,
  env: NodeJS.ProcessEnv,
): ReturnType<typeof prometheusUse> | undefined {
  if (observe?.prometheus === undefined) return undefined;
  const { url, tokenFrom } = observe.prometheus;
  return prometheusUse({ url, token: tokenFrom === undefined ? undefined : env[tokenFrom] });
}
