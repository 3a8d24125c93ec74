/**
 * node-lifecycle-controller: what becomes of a node, and of the pods on it, when its kubelet falls silent.
 *
 * Silent for 40 s: Ready turns Unknown. Not ready: taints keep new pods away (NoSchedule) and drive pods out
 * (NoExecute) after the time each tolerates, 300 s by default; meanwhile the pods are marked not ready at once,
 * so that Services stop sending to them. One write per decision to the Node itself: status and taints carry the
 * same resourceVersion, so the second would only conflict; the first one's own event brings us back.
 */
import { isDeepStrictEqual } from "node:util";
import type { Condition, Node, NodeCondition, Pod, Taint } from "@slipway/kube";
import {
  type Command,
  type Controller,
  type Decision,
  type Key,
  keyOf,
  type Snapshot,
} from "../controller.ts";
import { isPodReady } from "../endpoints/members.ts";
import { referenceTo, timestamp } from "../reference.ts";
import { tolerates } from "../scheduler/affinity.ts";
import { hasEnded } from "../scheduler/resources.ts";

const NODE_MONITOR_GRACE_MS = 40_000;
/** How long a pod may name a node that does not exist before it is swept away. */
const ORPHAN_QUARANTINE_MS = 40_000;

const NOT_READY = "node.kubernetes.io/not-ready";
const UNREACHABLE = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE = "node.kubernetes.io/unschedulable";
const OWN_TAINTS = [NOT_READY, UNREACHABLE, UNSCHEDULABLE];

export function createNodeLifecycleController(options: { readonly graceMs?: number } = {}): Controller {
  const graceMs = options.graceMs ?? NODE_MONITOR_GRACE_MS;
  return {
    name: "node-lifecycle-controller",
    watches: [
      { kind: "Node", keys: (node) => [keyOf(node)] },
      {
        // Renewals come every few seconds and change nothing; the timer of the decision looks at the newest.
        kind: "Lease",
        keys: ({ metadata }, previous) =>
          metadata.namespace === "kube-node-lease" && previous === undefined ? [metadata.name] : [],
      },
      {
        kind: "Pod",
        keys: (object, previous, snapshot) => {
          const nodeName = (object as Pod).spec.nodeName;
          if (nodeName === undefined) return [];
          const node = snapshot.get("Node", "", nodeName);
          const isNew = (previous as Pod | undefined)?.spec.nodeName === undefined;
          return node === undefined || readyOf(node)?.status !== "True" || isNew ? [nodeName] : [];
        },
      },
    ],
    decide: (snapshot, key, now) => decide(snapshot, key, now, graceMs),
  };
}

export const nodeLifecycleController: Controller = createNodeLifecycleController();

function decide(snapshot: Snapshot, key: Key, now: number, graceMs: number): Decision {
  const node = snapshot.get("Node", "", key);
  const pods = snapshot.list("Pod").filter((pod) => pod.spec.nodeName === key);
  if (node === undefined) return sweepOrphans(pods, now);

  const silentAtMs = lastHeardMs(node, snapshot) + graceMs;
  const ready = readyOf(node);
  if (now >= silentAtMs && ready !== undefined && ready.status !== "Unknown") {
    return { commands: markUnknown(node, now) };
  }
  const watchdog = ready?.status === "Unknown" || ready === undefined ? undefined : silentAtMs - now;
  const taints = taintsFor(node, now);
  if (!isDeepStrictEqual(taints, node.spec?.taints ?? [])) {
    return { commands: [{ do: "update", object: withTaints(node, taints) }] };
  }
  const commands: Command[] = ready?.status === "True" ? [] : markPodsNotReady(pods, now);
  const eviction = evict(pods, taints, now);
  commands.push(...eviction.commands);
  const soonest = Math.min(watchdog ?? Number.POSITIVE_INFINITY, eviction.nextMs);
  return { commands, ...(Number.isFinite(soonest) ? { requeueAfterMs: Math.max(1, soonest) } : {}) };
}

function readyOf(node: Node): NodeCondition | undefined {
  return node.status?.conditions?.find(({ type }) => type === "Ready");
}

function lastHeardMs(node: Node, snapshot: Snapshot): number {
  const lease = snapshot.get("Lease", "kube-node-lease", node.metadata.name);
  const times = [
    lease?.spec?.renewTime,
    readyOf(node)?.lastHeartbeatTime,
    node.metadata.creationTimestamp ?? undefined,
  ];
  return Math.max(0, ...times.map((time) => (time === undefined ? 0 : Date.parse(time) || 0)));
}

function markUnknown(node: Node, now: number): readonly Command[] {
  const conditions = (node.status?.conditions ?? []).map((condition) =>
    condition.status === "Unknown"
      ? condition
      : {
          ...condition,
          status: "Unknown" as const,
          reason: "NodeStatusUnknown",
          message: "Kubelet stopped posting node status.",
          lastTransitionTime: timestamp(now),
        },
  );
  return [
    { do: "update-status", object: { ...node, status: { ...node.status, conditions } } as Node },
    {
      do: "event",
      about: referenceTo(node),
      type: "Normal",
      reason: "NodeNotReady",
      message: `Node ${node.metadata.name} status is now: NodeNotReady`,
    },
  ];
}

/** The taints the node should have: everybody else's as they are, then ours by its condition. */
function taintsFor(node: Node, now: number): readonly Taint[] {
  const current = node.spec?.taints ?? [];
  const status = readyOf(node)?.status ?? "False";
  const wanted: Taint[] = [];
  if (node.spec?.unschedulable === true) wanted.push({ key: UNSCHEDULABLE, effect: "NoSchedule" });
  if (status !== "True") {
    const key = status === "Unknown" ? UNREACHABLE : NOT_READY;
    wanted.push({ key, effect: "NoSchedule" }, { key, effect: "NoExecute" });
  }
  const same = (a: Taint, b: Taint): boolean => a.key === b.key && a.effect === b.effect;
  const kept = current.filter(
    (taint) => !OWN_TAINTS.includes(taint.key) || wanted.some((other) => same(taint, other)),
  );
  const added = wanted.filter((taint) => !current.some((other) => same(taint, other)));
  return [...kept, ...added.map((taint) => ({ ...taint, timeAdded: timestamp(now) }))];
}

function withTaints(node: Node, taints: readonly Taint[]): Node {
  const { taints: _, ...spec } = node.spec ?? {};
  return { ...node, spec: taints.length === 0 ? spec : { ...spec, taints } };
}

function markPodsNotReady(pods: readonly Pod[], now: number): Command[] {
  return pods.filter(isPodReady).flatMap((pod): Command[] => {
    const conditions = (pod.status?.conditions ?? []).map(
      (condition): Condition =>
        condition.type === "Ready"
          ? { ...condition, status: "False", lastTransitionTime: timestamp(now) }
          : condition,
    );
    return [
      { do: "update-status", object: { ...pod, status: { ...pod.status, conditions } } as Pod },
      {
        do: "event",
        about: referenceTo(pod),
        type: "Warning",
        reason: "NodeNotReady",
        message: "Node is not ready",
      },
    ];
  });
}

/** Deletes whoever no longer tolerates a NoExecute taint, and says when the next one's time is up. */
function evict(
  pods: readonly Pod[],
  taints: readonly Taint[],
  now: number,
): { commands: readonly Command[]; nextMs: number } {
  const executing = taints.filter(({ effect }) => effect === "NoExecute");
  const commands: Command[] = [];
  let nextMs = Number.POSITIVE_INFINITY;
  if (executing.length === 0) return { commands, nextMs };
  for (const pod of pods) {
    if (pod.metadata.deletionTimestamp !== undefined || hasEnded(pod)) continue;
    const leftMs = evictionAtMs(pod, executing) - now;
    if (leftMs > 0) {
      nextMs = Math.min(nextMs, leftMs);
      continue;
    }
    commands.push(
      {
        do: "event",
        about: referenceTo(pod),
        type: "Normal",
        reason: "TaintManagerEviction",
        message: `Marking for deletion Pod ${keyOf(pod)}`,
      },
      {
        do: "delete",
        kind: "Pod",
        namespace: pod.metadata.namespace ?? "",
        name: pod.metadata.name,
        ...(pod.metadata.uid === undefined ? {} : { uid: pod.metadata.uid }),
      },
    );
  }
  return { commands, nextMs };
}

/** Infinity when every taint is tolerated for ever; the shortest toleration of any taint decides. */
function evictionAtMs(pod: Pod, taints: readonly Taint[]): number {
  return Math.min(
    ...taints.map((taint) => {
      const matching = (pod.spec.tolerations ?? []).filter((toleration) => tolerates([toleration], taint));
      if (matching.length === 0) return 0;
      const seconds = Math.min(
        ...matching.map(({ tolerationSeconds }) => tolerationSeconds ?? Number.POSITIVE_INFINITY),
      );
      const since = taint.timeAdded === undefined ? 0 : Date.parse(taint.timeAdded);
      return since + Math.max(0, seconds) * 1000;
    }),
  );
}

/** pod-garbage-collector: nobody will ever report on a pod whose node does not exist. */
function sweepOrphans(pods: readonly Pod[], now: number): Decision {
  const commands: Command[] = [];
  let nextMs = Number.POSITIVE_INFINITY;
  for (const pod of pods) {
    const leftMs = Date.parse(pod.metadata.creationTimestamp ?? "") + ORPHAN_QUARANTINE_MS - now;
    if (leftMs > 0) nextMs = Math.min(nextMs, leftMs);
    else {
      commands.push({
        do: "delete",
        kind: "Pod",
        namespace: pod.metadata.namespace ?? "",
        name: pod.metadata.name,
        ...(pod.metadata.uid === undefined ? {} : { uid: pod.metadata.uid }),
        gracePeriodSeconds: 0,
      });
    }
  }
  return { commands, ...(Number.isFinite(nextMs) ? { requeueAfterMs: nextMs } : {}) };
}
