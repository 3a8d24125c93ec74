/** One object in one cluster: what would become of it there. */
import type { KubeObject, ObjectRef } from "@slipway/kube";
import type { FieldChange } from "./diff.ts";

/**
 * `left`: no longer in the release and holding data (a PersistentVolumeClaim, …), so it stays until somebody says
 * otherwise; see `apply/prune.ts`.
 */
export type PlannedAction = "create" | "change" | "unchanged" | "prune" | "left";

export interface PlannedObject {
  readonly kind: string;
  readonly namespace: string | undefined;
  /** As the manifest has it: without the hash that a ConfigMap or Secret gets. */
  readonly name: string;
  /** The name in the cluster, where it is another one. */
  readonly appliedAs?: string | undefined;
  readonly action: PlannedAction;
  /** Values of Secrets are masked. */
  readonly changes: readonly FieldChange[];
  /** Why the cluster could not try it. The changes are then those of the manifest, without what a cluster adds. */
  readonly untried?: string | undefined;
}

export function isChange({ action }: PlannedObject): boolean {
  return action !== "unchanged" && action !== "left";
}

/** What stood in a cluster where an object of the release will be; `object` is undefined where nothing was. */
export interface LiveObject {
  readonly ref: ObjectRef;
  readonly object: KubeObject | undefined;
}
