/**
 * No node takes the pod. How long that may last depends on what could make room: pods that are leaving, an autoscaler
 * that adds a node, nodes that are only away for a moment, a volume that is being provisioned.
 */
import type { Pod } from "@slipway/kube";
import { type Finding, of, oneLine, type PodView } from "./finding.ts";

const BUDGET_MS = 30_000;
/** A new node of a cloud needs minutes; so does one that reboots. */
const NODE_COMING_MS = 300_000;
const VOLUME_BUDGET_MS = 120_000;
/** Lower pods have been told to go and may take their grace period, which is 30 s unless they say more. */
const PREEMPTING_MS = 120_000;

/** The taints that Kubernetes itself puts on nodes that are not well, or being drained, and takes away again. */
const NODE_IS_AWAY =
  /node\.kubernetes\.io\/(?:not-ready|unreachable|unschedulable|network-unavailable|disk-pressure|memory-pressure|pid-pressure)|node\(s\) were (?:unschedulable|not ready)|node\.cloudprovider\.kubernetes\.io\/uninitialized/;

export function unschedulable(pod: Pod, view: PodView): Finding | undefined {
  const condition = pod.status?.conditions?.find((one) => one.type === "PodScheduled");
  if (condition?.status !== "False") return undefined;
  const message = oneLine(condition.message ?? condition.reason ?? "no reason given");
  const find = (budgetMs: number, key: string): Finding =>
    of(
      pod,
      undefined,
      { code: "Unschedulable", why: `no node takes the pod: ${message}`, budgetMs },
      `unschedulable/${key}`,
    );
  const missing = missingClaim(message);
  if (missing !== undefined) {
    return of(pod, undefined, { code: "VolumePending", why: message, budgetMs: missing });
  }
  if (isScalingUp(view)) return find(NODE_COMING_MS, "scaling-up");
  if (NODE_IS_AWAY.test(message)) return find(NODE_COMING_MS, "node-away");
  if ((pod.status?.nominatedNodeName ?? "") !== "") return find(PREEMPTING_MS, "preempting");
  if (view.leavingMs > 0) return find(view.leavingMs + BUDGET_MS, "leaving");
  return find(BUDGET_MS, "alone");
}

/**
 * `NotTriggerScaleUp` is no last word: for each node group that does not fit the autoscaler says so, also after it has
 * enlarged another one.
 */
function isScalingUp(view: PodView): boolean {
  return view.events.some((event) => event.reason === "TriggeredScaleUp");
}

/** A claim that does not exist is waited for like any pod that no node takes, one that is being bound as long as a volume. */
function missingClaim(message: string): number | undefined {
  if (/persistentvolumeclaim "[^"]*" not found/i.test(message)) return BUDGET_MS;
  if (
    /unbound immediate PersistentVolumeClaims|persistentvolumeclaim "[^"]*" is being deleted|didn't find available persistent volumes/i.test(
      message,
    )
  ) {
    return VOLUME_BUDGET_MS;
  }
  return undefined;
}
