/**
 * `metrics.k8s.io/v1beta1`, what metrics-server answers in other clusters (k8s.io/metrics, v1beta1/types.go): what pods and
 * nodes use, for `kubectl top` and the dashboard. Reading only, from measurements of the runtime.
 */
import {
  type KubeObject,
  matchesFields,
  matchesRequirements,
  parseFieldSelector,
  parseLabelSelector,
  resourceNotFound,
  type Store,
  statusError,
} from "@slipway/kube";
import type { Measurement } from "../usage.ts";
import { answerJson } from "./answer.ts";
import { METRICS_API as METRICS } from "./discovery.ts";
import { listOptions } from "./request.ts";
import { type Exchange, methodNotAllowed } from "./resources.ts";

export interface MetricsContext {
  readonly store: Store;
  readonly usage: () => Promise<Measurement>;
}

type What = { readonly plural: "nodes" | "pods"; readonly namespace?: string; readonly name?: string };

/** False when the path is not of this API. */
export function isMetricsPath(pathname: string): boolean {
  return pathname.startsWith(`/apis/${METRICS.group}/${METRICS.version}/`);
}

export async function serveMetrics(
  context: MetricsContext,
  exchange: Exchange,
  pathname: string,
): Promise<void> {
  const { request, response, query } = exchange;
  if (request.method !== "GET" && request.method !== "HEAD") throw methodNotAllowed();
  const what = parse(pathname);
  const measured = await context.usage();
  const items =
    what.plural === "pods" ? podItems(context.store, measured) : nodeItems(context.store, measured);
  const inScope = items.filter(
    ({ metadata }) => what.namespace === undefined || metadata.namespace === what.namespace,
  );
  if (what.name !== undefined) {
    const found = inScope.find(({ metadata }) => metadata.name === what.name);
    if (found === undefined)
      throw statusError(404, "NotFound", `${what.plural}.${METRICS.group} "${what.name}" not found`);
    return answerJson(request, response, found);
  }
  const { labelSelector = "", fieldSelector = "" } = listOptions(query);
  const labels = parseLabelSelector(labelSelector);
  const fields = parseFieldSelector("PodMetrics", fieldSelector);
  answerJson(request, response, {
    kind: what.plural === "pods" ? "PodMetricsList" : "NodeMetricsList",
    apiVersion: apiVersion(),
    metadata: {},
    items: inScope.filter(
      (item) => matchesRequirements(labels, item.metadata.labels) && matchesFields(fields, item),
    ),
  });
}

function parse(pathname: string): What {
  const [first, second, third, fourth, ...more] = pathname.split("/").slice(4).map(decodeURIComponent);
  if (more.length > 0) throw resourceNotFound();
  if (first === "nodes" && third === undefined)
    return second === undefined ? { plural: "nodes" } : { plural: "nodes", name: second };
  if (first === "pods" && second === undefined) return { plural: "pods" };
  if (first !== "namespaces" || second === undefined || third !== "pods") throw resourceNotFound();
  return { plural: "pods", namespace: second, ...(fourth === undefined ? {} : { name: fourth }) };
}

type Item = KubeObject & Readonly<Record<string, unknown>>;

function podItems(store: Store, measured: Measurement): readonly Item[] {
  return store.list("Pod").flatMap((pod): readonly Item[] => {
    const containers = measured.containers.filter(({ podUid }) => podUid === pod.metadata.uid);
    if (containers.length === 0) return [];
    const { name, namespace = "default", labels } = pod.metadata;
    return [
      {
        kind: "PodMetrics",
        apiVersion: apiVersion(),
        metadata: metadataOf(measured, { name, namespace, ...(labels === undefined ? {} : { labels }) }),
        ...timesOf(measured),
        containers: containers.map(({ name: container, cores, memoryBytes }) => ({
          name: container,
          usage: usageOf(cores, memoryBytes),
        })),
      },
    ];
  });
}

/** The sum of its pods: nothing else of the machine is the cluster's. */
function nodeItems(store: Store, measured: Measurement): readonly Item[] {
  const nodeOf = new Map(store.list("Pod").map(({ metadata, spec }) => [metadata.uid, spec.nodeName]));
  return store.list("Node").map((node): Item => {
    const own = measured.containers.filter(({ podUid }) => nodeOf.get(podUid) === node.metadata.name);
    const { name, labels } = node.metadata;
    return {
      kind: "NodeMetrics",
      apiVersion: apiVersion(),
      metadata: metadataOf(measured, { name, ...(labels === undefined ? {} : { labels }) }),
      ...timesOf(measured),
      usage: usageOf(
        own.reduce((sum, { cores }) => sum + cores, 0),
        own.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0),
      ),
    };
  });
}

function metadataOf<T extends object>(
  { at }: Measurement,
  of: T,
): T & { readonly creationTimestamp: string } {
  return { ...of, creationTimestamp: secondsOf(at) };
}

function timesOf({ at, windowMs }: Measurement): { readonly timestamp: string; readonly window: string } {
  return { timestamp: secondsOf(at), window: `${(windowMs / 1000).toFixed(3)}s` };
}

function usageOf(cores: number, bytes: number): { readonly cpu: string; readonly memory: string } {
  return { cpu: `${Math.round(cores * 1e9)}n`, memory: `${Math.round(bytes / 1024)}Ki` };
}

function secondsOf(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}

function apiVersion(): string {
  return `${METRICS.group}/${METRICS.version}`;
}
