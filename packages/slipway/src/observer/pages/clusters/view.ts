/** Page "Cluster", and the line of each cluster on "Now". Pure. */
import {
  type Event,
  type KubeObject,
  type Node,
  type Pod,
  quantityMillis,
  quantityValue,
} from "@slipway/kube";
import { timeOf } from "../../../release/engine/observe.ts";
import { runningIn } from "../../../release/history/history.ts";
import { isTrue, statusesOf } from "../../../release/judge/finding.ts";
import { SERVICE_LABEL } from "../../../release/manifests/render.ts";
import type { ClusterNow, ClustersAnswer } from "../../../server/api.ts";
import type { Known } from "../answers/releases.ts";
import type { Sight } from "./watch.ts";

export type ClusterView = ClustersAnswer["clusters"][number];

const MOST_EVENTS = 200;

/** What a pod uses at the moment. */
export interface PodUse {
  /** Cores. */
  readonly cpu: number | undefined;
  /** Bytes. */
  readonly memory: number | undefined;
  /** Share of its periods in which it wanted more than its limit, 0 to 1. */
  readonly throttled: number | undefined;
  /** Within the last hour. */
  readonly restarts?: number | undefined;
  /** One of those was for want of memory. */
  readonly outOfMemory?: boolean | undefined;
}

export interface Use {
  /** Where it comes from, or why there is none. */
  readonly source: string;
  /** By namespace/name. */
  readonly pods: ReadonlyMap<string, PodUse>;
}

export function clusterNow(sight: Sight, service: string, known: Known): ClusterNow {
  const { name, away, seen } = sight;
  const reason = away ?? known.unreachable.get(name);
  const isOwn = ({ metadata }: KubeObject): boolean => metadata.labels?.[SERVICE_LABEL] === service;
  const own = [
    ...[...seen.deployments, ...seen.statefulSets].filter(isOwn).map(({ spec, status }) => ({
      ready: status?.readyReplicas ?? 0,
      wanted: spec.replicas ?? 1,
    })),
    ...seen.daemonSets.filter(isOwn).map(({ status }) => ({
      ready: status?.numberAvailable ?? 0,
      wanted: status?.desiredNumberScheduled ?? 0,
    })),
  ];
  return {
    name,
    reachable: reason === undefined,
    reason,
    release: runningIn(known.records, name)?.number,
    pods: {
      ready: own.reduce((sum, { ready }) => sum + ready, 0),
      wanted: own.reduce((sum, { wanted }) => sum + wanted, 0),
    },
  };
}

export function clusterView(sight: Sight, nodes: readonly Node[], use: Use): ClusterView {
  const { name, away, seen } = sight;
  return {
    name,
    reachable: away === undefined,
    nodes: nodes.map(({ metadata, status }) => ({
      name: metadata.name,
      ready: status?.conditions?.some((one) => one.type === "Ready" && one.status === "True") ?? false,
      version: status?.nodeInfo?.["kubeletVersion"] ?? "",
    })),
    pods: seen.pods
      .map((pod) => podView(pod, use))
      .sort((a, b) => (`${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1)),
    events: seen.events.slice(-MOST_EVENTS).reverse().map(eventView),
    resources: away === undefined ? use.source : away,
  };
}

function podView(pod: Pod, { pods }: Use): ClusterView["pods"][number] {
  const { name, namespace = "default" } = pod.metadata;
  const use = pods.get(`${namespace}/${name}`);
  const started = Date.parse(pod.status?.startTime ?? "");
  return {
    name,
    namespace,
    node: pod.spec.nodeName ?? "",
    phase: pod.metadata.deletionTimestamp === undefined ? phaseOf(pod) : "Terminating",
    ready: isTrue(pod, "Ready"),
    restarts: statusesOf(pod).reduce((sum, status) => sum + status.restartCount, 0),
    startedAt: Number.isNaN(started) ? undefined : started,
    cpu: use?.cpu,
    memory: use?.memory,
    memoryLimit: memoryLimit(pod),
    throttled: use?.throttled,
    lastHour:
      use?.restarts === undefined
        ? undefined
        : { restarts: use.restarts, outOfMemory: use.outOfMemory ?? false },
  };
}

/** As `kubectl get pods` has it: what holds a container up says more than the phase. */
function phaseOf(pod: Pod): string {
  const held = statusesOf(pod).find(({ state }) => state?.waiting?.reason !== undefined);
  return held?.state?.waiting?.reason ?? pod.status?.reason ?? pod.status?.phase ?? "Pending";
}

/** Of all its containers together; undefined where one of them has none. */
function memoryLimit({ spec }: Pod): number | undefined {
  const limits = spec.containers.map(({ resources }) => resources?.limits?.["memory"]);
  if (limits.some((limit) => limit === undefined)) return undefined;
  return limits.reduce<number>((sum, limit) => sum + quantityValue(limit as string), 0);
}

function eventView(event: Event): ClusterView["events"][number] {
  const { kind, name } = event.involvedObject;
  return {
    at: timeOf(event),
    type: event.type ?? "",
    reason: event.reason ?? "",
    object: `${kind} ${name}`,
    message: event.message ?? "",
    count: event.series?.count ?? event.count ?? 1,
  };
}

/** `metrics.k8s.io/v1beta1`: what metrics-server answers. */
export interface PodMetrics extends KubeObject {
  readonly containers: readonly { readonly name: string; readonly usage: Readonly<Record<string, string>> }[];
}

export function useOf(items: readonly PodMetrics[]): Use {
  const sum = ({ containers }: PodMetrics, what: "cpu" | "memory"): number =>
    containers.reduce((all, { usage }) => all + amountOf(what, usage[what] ?? "0"), 0);
  return {
    source: "metrics.k8s.io",
    pods: new Map(
      items.map((item) => [
        `${item.metadata.namespace ?? "default"}/${item.metadata.name}`,
        { cpu: sum(item, "cpu"), memory: sum(item, "memory"), throttled: undefined },
      ]),
    ),
  };
}

function amountOf(what: "cpu" | "memory", quantity: string): number {
  return what === "cpu" ? quantityMillis(quantity) / 1000 : quantityValue(quantity);
}
