/**
 * What a running release tells: one typed stream that the terminal, `--json` and Slack read alike. `at` is the
 * clock's wall time.
 */

import type { Evidence } from "./evidence/evidence.ts";
import type { GateOutcome, GateRecord } from "./gates/gate.ts";
import type { HookRun } from "./hooks/hook.ts";
import type { ClusterIdentity } from "./identity.ts";
import type { Cause } from "./judge/causes.ts";
import type { Outcome, ReleaseImage, ReleaseRecord, Verdict, VersionInfo } from "./model.ts";
import type { ReleasePlan } from "./plan/plan.ts";

/** Pods of all workloads of the release in one cluster. */
export interface Progress {
  /** Pods of the release before that still exist. */
  readonly old: number;
  /** Pods of this release that exist. */
  readonly new: number;
  /** Pods of this release that are available. */
  readonly ready: number;
  /** Pods that are wanted. */
  readonly total: number;
  /** Pods of any release that are ready to serve. */
  readonly serving: number;
  readonly waitingFor: readonly Cause[];
  /** The same for each Deployment, StatefulSet and so on, in the order of the release. */
  readonly workloads?: readonly WorkloadProgress[] | undefined;
  /** When the wait ends and what is waited for has doomed the rollout; wall time. */
  readonly budgetEndsAt?: number | undefined;
}

export interface WorkloadProgress extends Omit<Progress, "workloads"> {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export type ReleaseEvent = {
  readonly at: number;
} /** Before anything is changed: which clusters the names stand for. */ & (
  | { readonly type: "identified"; readonly clusters: readonly ClusterIdentity[] }
  | { readonly type: "planned"; readonly plan: ReleasePlan }
  | { readonly type: "lock-waiting"; readonly cluster: string; readonly message: string }
  | { readonly type: "locked"; readonly clusters: readonly string[] }
  /** A release before this one was cut off; it is marked so and this one goes on from what is there. */
  | { readonly type: "interrupted-found"; readonly number: number; readonly message: string }
  | {
      readonly type: "started";
      readonly number: number;
      readonly kind: "deploy" | "rollback";
      readonly service: string;
      readonly environment: string;
      readonly version: VersionInfo;
      readonly images: readonly ReleaseImage[];
      readonly waves: readonly (readonly string[])[];
      readonly who: string;
      readonly from: string;
      readonly restores: number | undefined;
      readonly leaves: number | undefined;
      /** It was cut off and is gone on with. */
      readonly isResumed?: boolean | undefined;
    }
  | {
      readonly type: "wave-started";
      readonly wave: number;
      readonly waves: number;
      readonly clusters: readonly string[];
    }
  | { readonly type: "applied"; readonly cluster: string; readonly objects: number }
  | { readonly type: "progress"; readonly cluster: string; readonly progress: Progress }
  | { readonly type: "baking"; readonly wave: number; readonly bakeMs: number }
  | {
      readonly type: "verdict";
      readonly cluster: string;
      readonly verdict: Verdict;
      readonly cause: Cause | undefined;
      readonly reason: string | undefined;
      readonly durationMs: number;
    }
  /** It does not answer and is tried again after the other waves, for `forMs` then. */
  | {
      readonly type: "requeued";
      readonly cluster: string;
      readonly reason: string;
      readonly forMs: number;
    }
  | {
      readonly type: "gate-started";
      readonly wave: number;
      readonly gate: string;
      readonly kind: GateRecord["kind"];
      readonly timeoutMs: number;
    }
  /** What a gate waits for, or a line that its program printed. */
  | { readonly type: "gate-waiting"; readonly wave: number; readonly gate: string; readonly said: string }
  | {
      readonly type: "gate-finished";
      readonly wave: number;
      readonly gate: string;
      readonly outcome: GateOutcome;
      readonly said: string;
      readonly values: Readonly<Record<string, string | number>>;
      readonly by: string | undefined;
      readonly durationMs: number;
    }
  | {
      readonly type: "hook-started";
      readonly hook: string;
      readonly when: "before" | "after";
      readonly cluster: string | undefined;
      readonly timeoutMs: number;
    }
  | {
      readonly type: "hook-log";
      readonly hook: string;
      readonly cluster: string | undefined;
      readonly line: string;
    }
  | {
      readonly type: "hook-finished";
      readonly hook: string;
      readonly cluster: string | undefined;
      readonly outcome: HookRun["outcome"];
      readonly cause: Cause | undefined;
      readonly durationMs: number;
    }
  | { readonly type: "evidence"; readonly cluster: string; readonly evidence: Evidence }
  | { readonly type: "rolling-back"; readonly clusters: readonly string[]; readonly to: number }
  | {
      readonly type: "rolled-back";
      readonly cluster: string;
      readonly to: number;
      readonly ok: boolean;
      readonly reason: string | undefined;
    }
  | { readonly type: "pruned"; readonly cluster: string; readonly objects: readonly string[] }
  | { readonly type: "warning"; readonly message: string; readonly cluster?: string | undefined }
  | {
      readonly type: "finished";
      readonly outcome: Outcome;
      readonly record: ReleaseRecord;
      readonly durationMs: number;
    }
);

type WithoutTime<T> = T extends unknown ? Omit<T, "at"> : never;
/** An event before the clock stamps it. */
export type ReleaseNews = WithoutTime<ReleaseEvent>;
export type OnReleaseEvent = (event: ReleaseEvent) => void;
