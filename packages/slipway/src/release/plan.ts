/** What a release would do, cluster by cluster, found by a server-side dry run. Nothing is changed by planning. */
import type { SlipwayError } from "@slipway/base";

export interface PlannedObject {
  readonly kind: string;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly action: "create" | "change" | "unchanged" | "prune";
  /** `spec.replicas: 2 -> 3`; values of Secrets are masked. */
  readonly changes: readonly string[];
}

export interface ClusterPlan {
  readonly name: string;
  readonly reachable: boolean;
  /** Why it could not be asked. */
  readonly reason: string | undefined;
  readonly objects: readonly PlannedObject[];
  /** The release that is there now. */
  readonly runs: number | undefined;
}

export interface ReleasePlan {
  readonly clusters: readonly ClusterPlan[];
  readonly waves: readonly (readonly string[])[];
  /** Why the release may not start; empty when it may. */
  readonly refusals: readonly SlipwayError[];
  readonly warnings: readonly string[];
  readonly hasChanges: boolean;
}
