/**
 * default-scheduler: gives each pod without a node the best node that fits, or says why none does. One pod per
 * decision, against the snapshot of that moment: a binding is visible to the next decision, so no two pods are
 * promised the same room.
 */
import type { Condition, KubeObject, Pod } from "@slipway/kube";
import {
  type Command,
  type Controller,
  type Decision,
  type Key,
  keyOf,
  type Snapshot,
  splitKey,
} from "../controller.ts";
import { referenceTo, timestamp } from "../reference.ts";
import { refusals, unschedulableMessage } from "./filters.ts";
import { hasEnded, nodeViews } from "./resources.ts";
import { scoreNodes, siblingsOf } from "./scores.ts";

const NAME = "default-scheduler";

/** Nothing that concerns a pod is missed by the watches below; this only bounds the harm of a bug in them. */
const RETRY_MS = 60_000;

export const schedulerController: Controller = {
  name: NAME,
  watches: [
    {
      kind: "Pod",
      keys: (object, previous, snapshot) => {
        const pod = object as Pod;
        if (isWaiting(pod)) return [keyOf(pod)];
        return mayMakeRoom(pod, previous as Pod | undefined, snapshot) ? waitingPods(snapshot) : [];
      },
    },
    {
      kind: "Node",
      keys: (object, previous, snapshot) =>
        previous !== undefined && !schedulingChanged(object, previous) ? [] : waitingPods(snapshot),
    },
  ],
  decide,
};

function isWaiting(pod: Pod): boolean {
  return (
    pod.spec.nodeName === undefined &&
    pod.metadata.deletionTimestamp === undefined &&
    (pod.spec.schedulerName ?? NAME) === NAME &&
    !hasEnded(pod)
  );
}

/** A pod that ended, went away, was just placed or relabelled can change what fits elsewhere. */
function mayMakeRoom(pod: Pod, previous: Pod | undefined, snapshot: Snapshot): boolean {
  const gone = snapshot.get("Pod", pod.metadata.namespace ?? "", pod.metadata.name) === undefined;
  return (
    gone ||
    previous === undefined ||
    hasEnded(pod) !== hasEnded(previous) ||
    pod.spec.nodeName !== previous.spec.nodeName ||
    JSON.stringify(pod.metadata.labels) !== JSON.stringify(previous.metadata.labels)
  );
}

/** Heartbeats change a node's status all the time; only these fields matter to a pod that waits. */
function schedulingChanged(node: KubeObject, previous: KubeObject): boolean {
  const essence = (object: KubeObject): string => {
    const { spec, status } = object as { spec?: unknown; status?: { allocatable?: unknown } } & KubeObject;
    return JSON.stringify([object.metadata.labels, spec, status?.allocatable]);
  };
  return essence(node) !== essence(previous);
}

function waitingPods(snapshot: Snapshot): readonly Key[] {
  return snapshot.list("Pod").filter(isWaiting).map(keyOf);
}

function decide(snapshot: Snapshot, key: Key, now: number): Decision {
  const { namespace, name } = splitKey(key);
  const pod = snapshot.get("Pod", namespace, name);
  if (pod === undefined || !isWaiting(pod)) return { commands: [] };

  const views = nodeViews(snapshot.list("Node"), snapshot.list("Pod"));
  const refusedBy = views.map((view) => refusals(pod, view, views));
  const fitting = views.filter((_, index) => refusedBy[index]?.length === 0);
  if (fitting.length === 0) {
    return {
      commands: unschedulable(pod, unschedulableMessage(views.length, refusedBy), now),
      requeueAfterMs: RETRY_MS,
    };
  }

  const services = snapshot
    .list("Service", namespace)
    .flatMap(({ spec }) => (spec.selector === undefined ? [] : [{ selector: spec.selector }]));
  const scores = scoreNodes(pod, fitting, views, siblingsOf(pod, services));
  const best = fitting[scores.indexOf(Math.max(...scores))];
  if (best === undefined) return { commands: [] };
  const node = best.node.metadata.name;
  return {
    commands: [
      { do: "bind", namespace, name, node },
      {
        do: "event",
        about: referenceTo(pod),
        type: "Normal",
        reason: "Scheduled",
        message: `Successfully assigned ${key} to ${node}`,
      },
    ],
  };
}

/** The condition and the event, once per distinct message: a retry that finds the same says nothing new. */
function unschedulable(pod: Pod, message: string, now: number): readonly Command[] {
  const old = pod.status?.conditions?.find((condition) => condition.type === "PodScheduled");
  if (old?.status === "False" && old.message === message) return [];
  const condition: Condition = {
    type: "PodScheduled",
    status: "False",
    reason: "Unschedulable",
    message,
    lastTransitionTime:
      old?.status === "False" && old.lastTransitionTime !== undefined
        ? old.lastTransitionTime
        : timestamp(now),
  };
  const others = (pod.status?.conditions ?? []).filter(({ type }) => type !== "PodScheduled");
  return [
    {
      do: "update-status",
      object: {
        ...pod,
        status: { ...pod.status, phase: pod.status?.phase ?? "Pending", conditions: [...others, condition] },
      } as Pod,
    },
    { do: "event", about: referenceTo(pod), type: "Warning", reason: "FailedScheduling", message },
  ];
}
