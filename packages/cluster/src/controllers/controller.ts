/**
 * The one shape of everything that reacts: a pure function from what is stored to what should be written.
 *
 *   decide(snapshot, key, now) -> { commands, requeueAfterMs? }
 *
 * Level-based, like a Kubernetes controller: the key is a *name*, never an event, so a missed or repeated
 * notification does no harm. `drive/` turns commands into API writes in real time, `world/` applies the same
 * commands in virtual time. A decide function never awaits, reads no clock, and draws no randomness.
 */
import type { KubeObject, ObjectReference, Reader, StatusReason } from "@slipway/kube";

export type Snapshot = Reader;

/** `namespace/name`, or `name` alone for cluster-scoped kinds. */
export type Key = string;

/**
 * Commands are applied in order, and the first that is refused ends the decision: what follows it was decided in
 * the belief that it would succeed. Commands of one batch are meant side by side: the rest of the batch is still
 * tried. A delete of what is already gone is no refusal.
 */
export type Command =
  | {
      readonly do: "create";
      /** `metadata.name` may be empty when there is a `generateName`. */
      readonly object: KubeObject;
      /** Neighbours with the same number are one batch (slow start). */
      readonly batch?: number;
      /** What follows from the object as stored, where only the server knows its name (an event that names it). */
      readonly followUp?: (created: KubeObject) => readonly Command[];
    }
  /** Compare-and-swap on `object.metadata.resourceVersion`; a conflict requeues the key. */
  | {
      readonly do: "update";
      readonly object: KubeObject;
      /** A Namespace's `spec.finalizers` change through their own door only. */
      readonly subresource?: "finalize";
    }
  | { readonly do: "update-status"; readonly object: KubeObject }
  | {
      readonly do: "delete";
      readonly kind: string;
      readonly namespace: string;
      readonly name: string;
      /** Precondition: only the object with this uid. */
      readonly uid?: string;
      readonly gracePeriodSeconds?: number;
      readonly propagationPolicy?: "Background" | "Foreground" | "Orphan";
    }
  | { readonly do: "bind"; readonly namespace: string; readonly name: string; readonly node: string }
  | {
      readonly do: "event";
      readonly about: ObjectReference;
      readonly type: "Normal" | "Warning";
      readonly reason: string;
      readonly message: string;
    };

export interface Decision {
  readonly commands: readonly Command[];
  /** Ask again after this long even if nothing changes (deadlines, minReadySeconds, back-off). */
  readonly requeueAfterMs?: number;
  /**
   * What to write when a command was refused for another reason than a conflict (quota, validation, a terminating
   * namespace): an event and a condition that say so. The key is asked again with back-off in any case.
   */
  readonly ifRefused?: (command: Command, refusal: Refusal) => readonly Command[];
}

export interface Refusal {
  readonly reason: StatusReason;
  readonly message: string;
}

export interface Controller {
  /** As in kube-controller-manager: `deployment-controller`, `replicaset-controller`, `default-scheduler`, … */
  readonly name: string;
  /** Which changes concern which keys. `previous` is absent when the object was just created. */
  readonly watches: readonly {
    readonly kind: string;
    keys(object: KubeObject, previous: KubeObject | undefined, snapshot: Snapshot): readonly Key[];
  }[];
  decide(snapshot: Snapshot, key: Key, now: number): Decision;
}

export function keyOf(object: KubeObject): Key {
  const { namespace, name } = object.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}

export function splitKey(key: Key): { namespace: string; name: string } {
  const slash = key.indexOf("/");
  return slash < 0
    ? { namespace: "", name: key }
    : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
