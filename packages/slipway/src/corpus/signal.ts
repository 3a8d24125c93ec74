/**
 * The decisive signal of a case: the first thing in the API from which an attentive person could know the cause. Time
 * to verdict is counted from it, so it is part of the case and not of any judge.
 */
import type { Event, KubeObject, Pod, ReplicaSet } from "@slipway/kube";
import * as z from "zod";

/** One of these, all of whose fields hold. Texts are regular expressions. */
export type Decisive = z.infer<typeof decisiveSchema>;

const text = z.string().transform((pattern) => new RegExp(pattern, "i"));

export const decisiveSchema = z.union([
  /** An event, with its reason, at least `count` times. */
  z.strictObject({ event: z.string(), message: text.optional(), count: z.number().default(1) }),
  /** A container waits with this reason. */
  z.strictObject({ waiting: text, message: text.optional() }),
  /** A container of one pod has ended this often since the apply. */
  z.strictObject({ ends: z.number(), container: z.string().optional() }),
  /** A condition of a pod, ReplicaSet, Deployment or Job. */
  z.strictObject({
    kind: z.enum(["Pod", "ReplicaSet", "Deployment", "Job", "Node"]),
    condition: z.string(),
    status: z.string(),
    reason: text.optional(),
  }),
  /** The API server refuses the apply itself. */
  z.strictObject({ refused: text }),
  /** A new pod runs and is not ready. */
  z.strictObject({ unready: z.literal(true) }),
  /** Nothing happens: the clock of the case's budget starts with the apply. */
  z.strictObject({ applied: z.literal(true) }),
]);

/** Whether an object that the API showed after the apply is the signal. `isNew`: of a pod of the new version. */
export function isDecisive(decisive: Decisive, object: KubeObject, isNew: boolean): boolean {
  if ("event" in decisive) {
    if (object.kind !== "Event") return false;
    const event = object as Event;
    return (
      event.reason === decisive.event &&
      (event.series?.count ?? event.count ?? 1) >= decisive.count &&
      (decisive.message?.test(event.message ?? "") ?? true)
    );
  }
  if ("condition" in decisive) {
    if (object.kind !== decisive.kind) return false;
    if (object.kind === "Pod" && !isNew) return false;
    return conditionsOf(object).some(
      (one) =>
        one.type === decisive.condition &&
        one.status === decisive.status &&
        (decisive.reason?.test(one.reason ?? "") ?? true),
    );
  }
  if (object.kind !== "Pod" || !isNew) return false;
  const pod = object as Pod;
  const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  if ("waiting" in decisive) {
    return statuses.some((status) => {
      const waiting = status.state?.waiting;
      return (
        waiting !== undefined &&
        decisive.waiting.test(waiting.reason ?? "") &&
        (decisive.message?.test(waiting.message ?? "") ?? true)
      );
    });
  }
  if ("ends" in decisive) {
    return statuses.some(
      (status) =>
        (decisive.container === undefined || decisive.container === status.name) &&
        status.restartCount + (status.state?.running === undefined && hasEnded(status) ? 1 : 0) >=
          decisive.ends,
    );
  }
  if ("unready" in decisive) {
    return (
      statuses.length > 0 &&
      statuses.every((status) => status.state?.running !== undefined) &&
      statuses.some((status) => !status.ready)
    );
  }
  return false;
}

function hasEnded(status: {
  readonly state?:
    | {
        readonly terminated?: unknown;
        readonly waiting?: { readonly reason?: string | undefined } | undefined;
      }
    | undefined;
}): boolean {
  return status.state?.terminated !== undefined || status.state?.waiting?.reason === "CrashLoopBackOff";
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string | undefined;
}

function conditionsOf(object: KubeObject): readonly Condition[] {
  return (
    (object as ReplicaSet & { readonly status?: { readonly conditions?: readonly Condition[] } }).status
      ?.conditions ?? []
  );
}
