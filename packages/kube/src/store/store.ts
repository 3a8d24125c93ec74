/**
 * The versioned store: the truth for tests, for the simulated world and for the API server alike. It is what etcd
 * and the watch cache are to Kubernetes: objects by (kind, namespace, name), ONE resourceVersion that rises by one
 * with every commit, compare-and-swap on it, and a replay window for watches.
 *
 * Synchronous on purpose: a commit and its watch events are one atomic step, which makes the simulation exact.
 * It knows nothing of defaults, validation or finalizers; that is `api/`. Objects are immutable and are handed out
 * as they are stored, without copies.
 */

import type { ObjectOf } from "../resources/kinds.ts";
import type { KubeObject } from "../resources/meta.ts";

export interface Reader {
  /** `namespace` is "" for cluster-scoped kinds. */
  get<K extends string>(kind: K, namespace: string, name: string): ObjectOf<K> | undefined;
  /** In order of namespace and name (by code unit). All namespaces when `namespace` is undefined. */
  list<K extends string>(kind: K, namespace?: string): readonly ObjectOf<K>[];
  /** Everything that names `uid` in its ownerReferences. */
  ownedBy(uid: string): readonly KubeObject[];
}

export type StoreEventType = "ADDED" | "MODIFIED" | "DELETED";

export interface StoreEvent {
  readonly type: StoreEventType;
  /** The object after the commit; for DELETED its last state, carrying the resourceVersion of the deletion. */
  readonly object: KubeObject;
  /** The state before, absent for ADDED. Selectors need it to tell "stopped matching". */
  readonly previous: KubeObject | undefined;
  readonly resourceVersion: number;
}

export interface Watch {
  close(): void;
}

export type Write =
  | { readonly op: "create"; readonly object: KubeObject }
  /** `expect` is the resourceVersion that must be current; undefined overwrites whatever is there. */
  | { readonly op: "update"; readonly object: KubeObject; readonly expect?: string | undefined }
  | {
      readonly op: "delete";
      readonly kind: string;
      readonly namespace: string;
      readonly name: string;
      readonly expect?: string | undefined;
    };

export interface Store extends Reader {
  /** The resourceVersion of the newest commit. */
  readonly resourceVersion: number;
  /**
   * Stores the object with the next resourceVersion and tells the watchers, before it returns.
   * Throws a StatusError: AlreadyExists (create), NotFound (update, delete), Conflict (`expect` is not current).
   */
  commit(write: Write): KubeObject;
  /**
   * Calls `listener` with every event after `from` (a resourceVersion; the newest when undefined), the retained
   * ones at once. Throws a StatusError 410 Expired when `from` is older than the replay window.
   */
  watch(
    filter: { readonly kind?: string; readonly from?: number },
    listener: (event: StoreEvent) => void,
  ): Watch;
}
