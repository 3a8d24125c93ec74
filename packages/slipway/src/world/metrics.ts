/** What the world says to Prometheus: its clusters and their pods, the edge, the registry, and what watches it. */
import type { Pod } from "@slipway/kube";
import type { EdgeStatus } from "../edge/edge.ts";
import type { Family } from "../observe/prometheus/metrics.ts";
import type { CompanionState } from "./companion.ts";

export interface WorldFacts {
  /** Undefined without an edge. */
  edge(): EdgeStatus | undefined;
  clusters(): readonly { readonly name: string; readonly isLost: boolean; readonly pods: readonly Pod[] }[];
  observer(): CompanionState | undefined;
  registryPort(): number;
}

export function worldFamilies(facts: WorldFacts): readonly Family[] {
  const services = (): EdgeStatus["services"] => facts.edge()?.services ?? [];
  return [
    {
      name: "slipway_cluster_up",
      type: "gauge",
      help: "1 for a local cluster that runs, 0 for one that is lost.",
      labels: ["cluster"],
      read: () =>
        facts.clusters().map(({ name, isLost }) => ({ labels: { cluster: name }, value: isLost ? 0 : 1 })),
    },
    {
      name: "slipway_cluster_pods",
      type: "gauge",
      help: "Pods of a local cluster, by phase.",
      labels: ["cluster", "phase"],
      read: () =>
        facts.clusters().flatMap(({ name, pods }) =>
          ["Pending", "Running", "Succeeded", "Failed"].map((phase) => ({
            labels: { cluster: name, phase },
            value: pods.filter(({ status }) => (status?.phase ?? "Pending") === phase).length,
          })),
        ),
    },
    {
      name: "slipway_edge_requests_total",
      type: "counter",
      help: "Requests through the edge, by the cluster that answered; edge where it answered itself.",
      labels: ["cluster", "class"],
      read: () =>
        Object.entries(facts.edge()?.counters ?? {}).map(([key, value]) => {
          const [cluster = "", kind = ""] = key.split(" ");
          return { labels: { cluster, class: kind }, value };
        }),
    },
    {
      name: "slipway_edge_endpoints",
      type: "gauge",
      help: "Endpoints behind the edge, by service and state.",
      labels: ["service", "state"],
      read: () =>
        services().flatMap(({ name, endpoints }) => {
          const states = [...new Set(endpoints.map(({ state }) => state))];
          return states.map((state) => ({
            labels: { service: name, state },
            value: endpoints.filter((one) => one.state === state).length,
          }));
        }),
    },
    {
      name: "slipway_edge_requests_in_flight",
      type: "gauge",
      help: "Requests that the edge waits for at the moment.",
      labels: ["service"],
      read: () =>
        services().map(({ name, endpoints }) => ({
          labels: { service: name },
          value: endpoints.reduce((sum, { inFlight }) => sum + inFlight, 0),
        })),
    },
    {
      name: "slipway_registry_info",
      type: "gauge",
      help: "The registry of the world; always 1.",
      labels: ["address"],
      read: () => [{ labels: { address: `127.0.0.1:${facts.registryPort()}` }, value: 1 }],
    },
    {
      name: "slipway_observer_up",
      type: "gauge",
      help: "1 while what watches the world runs.",
      read: () => observerOf(facts, ({ state }) => (state === "running" ? 1 : 0)),
    },
    {
      name: "slipway_observer_deaths_total",
      type: "counter",
      help: "How often what watches the world had to be started again.",
      read: () => observerOf(facts, ({ deaths }) => deaths),
    },
  ];
}

function observerOf(
  facts: WorldFacts,
  value: (state: CompanionState) => number,
): readonly { readonly value: number }[] {
  const state = facts.observer();
  return state === undefined ? [] : [{ value: value(state) }];
}
