/**
 * What a pod asks of a node and what a node has: Kubernetes' fit arithmetic over plain numbers. CPU counts in
 * millicores, everything else in its own unit (bytes, pods, devices).
 */
import type { Container, Node, Pod, Quantity } from "@slipway/kube";

export type Amounts = ReadonlyMap<string, number>;

const SUFFIX: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

const parsed = new Map<Quantity, number>();

/**
 * A validated quantity as a number; 0 for what is not one, since validation has refused it long before. Doubles
 * are exact here up to 8 PiB. Memoised: a cluster has few distinct quantities, and the scheduler asks often.
 */
export function amountOf(resource: string, quantity: Quantity | undefined): number {
  if (quantity === undefined) return 0;
  let value = parsed.get(quantity);
  if (value === undefined) {
    const match = /^([+-]?[0-9.]+)(?:[eE]([+-]?[0-9]+))?([a-zA-Z]*)$/.exec(String(quantity));
    const unit = match === null ? undefined : SUFFIX[match[3] ?? ""];
    value = match === null || unit === undefined ? 0 : Number(match[1]) * 10 ** Number(match[2] ?? 0) * unit;
    if (parsed.size < 10_000) parsed.set(quantity, value);
  }
  return resource === "cpu" ? Math.ceil(value * 1000 - 1e-6) : Math.ceil(value - 1e-6);
}

const podRequests = new WeakMap<Pod, Amounts>();

/**
 * The sum over the containers and the sidecars, or the largest init step if that is more, as
 * `resource.PodRequests` computes it. An init step runs beside the sidecars that started before it.
 */
export function requestsOf(pod: Pod): Amounts {
  const known = podRequests.get(pod);
  if (known !== undefined) return known;
  const running = new Map<string, number>();
  const peak = new Map<string, number>();
  const sidecars = new Map<string, number>();
  for (const container of pod.spec.containers) addTo(running, requestsOfContainer(container));
  for (const container of pod.spec.initContainers ?? []) {
    const own = requestsOfContainer(container);
    if (container.restartPolicy === "Always") {
      addTo(sidecars, own);
      raiseTo(peak, sidecars);
    } else {
      const step = new Map(sidecars);
      addTo(step, own);
      raiseTo(peak, step);
    }
  }
  addTo(running, sidecars);
  raiseTo(running, peak);
  podRequests.set(pod, running);
  return running;
}

function requestsOfContainer(container: Container): Amounts {
  const amounts = new Map<string, number>();
  // A limit without a request is a request; the API server writes it so, but pods may come from elsewhere.
  const wanted = { ...container.resources?.limits, ...container.resources?.requests };
  for (const [resource, quantity] of Object.entries(wanted)) {
    amounts.set(resource, amountOf(resource, quantity));
  }
  return amounts;
}

function addTo(sum: Map<string, number>, more: Amounts): void {
  for (const [resource, amount] of more) sum.set(resource, (sum.get(resource) ?? 0) + amount);
}

function raiseTo(highest: Map<string, number>, other: Amounts): void {
  for (const [resource, amount] of other) {
    if (amount > (highest.get(resource) ?? 0)) highest.set(resource, amount);
  }
}

const nodeAmounts = new WeakMap<Node, Amounts>();

export function allocatableOf(node: Node): Amounts {
  const known = nodeAmounts.get(node);
  if (known !== undefined) return known;
  const amounts = new Map<string, number>();
  for (const [resource, quantity] of Object.entries(node.status?.allocatable ?? {})) {
    amounts.set(resource, amountOf(resource, quantity));
  }
  nodeAmounts.set(node, amounts);
  return amounts;
}

/** What scoring assumes of a pod that requests nothing, so that such pods spread too: 100m and 200 MB. */
export const DEFAULT_CPU_MILLI = 100;
export const DEFAULT_MEMORY_BYTES = 200 * 1024 * 1024;

/** One node as the scheduler sees it: itself, the pods that count on it, and the sums over them. */
export interface NodeView {
  readonly node: Node;
  readonly pods: readonly Pod[];
  readonly requested: Amounts;
  /** With the assumed minimum per pod; for scores only. */
  readonly scoredCpu: number;
  readonly scoredMemory: number;
}

/** Pods that have ended hold nothing; those that are terminating still do. */
export function nodeViews(nodes: readonly Node[], pods: readonly Pod[]): readonly NodeView[] {
  const byNode = new Map<string, Pod[]>(nodes.map((node) => [node.metadata.name, []]));
  for (const pod of pods) {
    if (pod.spec.nodeName === undefined || hasEnded(pod)) continue;
    byNode.get(pod.spec.nodeName)?.push(pod);
  }
  return nodes.map((node) => {
    const own = byNode.get(node.metadata.name) ?? [];
    const requested = new Map<string, number>();
    let scoredCpu = 0;
    let scoredMemory = 0;
    for (const pod of own) {
      const requests = requestsOf(pod);
      addTo(requested, requests);
      scoredCpu += requests.get("cpu") ?? DEFAULT_CPU_MILLI;
      scoredMemory += requests.get("memory") ?? DEFAULT_MEMORY_BYTES;
    }
    return { node, pods: own, requested, scoredCpu, scoredMemory };
  });
}

export function hasEnded(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}
