/**
 * The kinds of objects whose pods a release waits for, seen alike: which pods are new, which are old, whether all is
 * done, and what beside the pods keeps it from that. What is not in this list (CronJobs, bare Pods, custom
 * resources) is applied and not judged.
 */
import type {
  Deployment,
  Event,
  KubeObject,
  LabelSelector,
  Pod,
  PodTemplateSpec,
  ReplicaSet,
} from "@slipway/kube";
import type { CauseObject } from "./causes.ts";
import type { Finding } from "./finding.ts";

export const JUDGED_KINDS = ["Deployment", "StatefulSet", "DaemonSet", "Job"] as const;
export type WorkloadKind = (typeof JUDGED_KINDS)[number];

/** What the apply returned. */
export interface ExpectedWorkload {
  readonly kind: WorkloadKind;
  readonly namespace: string;
  readonly name: string;
  /**
   * A workload that is absent or older in a snapshot has not been seen since the apply, and its status speaks of the
   * release before.
   */
  readonly generation: number;
  /** As applied; undefined when the release leaves them to somebody else. */
  readonly replicas?: number | undefined;
}

/** Where causes about it are. */
export function placeOf({ kind, namespace, name }: ExpectedWorkload): CauseObject {
  return kind === "Deployment" ? { namespace, deployment: name } : { namespace, kind, name };
}

export interface StatefulSet extends KubeObject {
  readonly apiVersion: "apps/v1";
  readonly kind: "StatefulSet";
  readonly spec: {
    readonly replicas?: number;
    readonly selector: LabelSelector;
    readonly template: PodTemplateSpec;
    readonly podManagementPolicy?: "OrderedReady" | "Parallel";
    /** Since 1.27: the number of the first pod. */
    readonly ordinals?: { readonly start?: number };
    readonly updateStrategy?: {
      readonly type?: "RollingUpdate" | "OnDelete";
      readonly rollingUpdate?: { readonly partition?: number };
    };
  };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly readyReplicas?: number;
    readonly updatedReplicas?: number;
    readonly currentRevision?: string;
    readonly updateRevision?: string;
  };
}

export interface DaemonSet extends KubeObject {
  readonly apiVersion: "apps/v1";
  readonly kind: "DaemonSet";
  readonly spec: {
    readonly selector: LabelSelector;
    readonly template: PodTemplateSpec;
    readonly updateStrategy?: { readonly type?: "RollingUpdate" | "OnDelete" };
  };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly desiredNumberScheduled?: number;
    readonly updatedNumberScheduled?: number;
    readonly numberAvailable?: number;
  };
}

export interface Job extends KubeObject {
  readonly apiVersion: "batch/v1";
  readonly kind: "Job";
  readonly status?: {
    readonly active?: number;
    readonly succeeded?: number;
    readonly failed?: number;
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason?: string;
      readonly message?: string;
    }[];
  };
}

export type Workload = Deployment | StatefulSet | DaemonSet | Job;

/** What a workload's own file finds out about it. */
export interface WorkloadView {
  readonly newPods: readonly Pod[];
  readonly oldPods: readonly Pod[];
  /** More about the place: its new ReplicaSet. */
  readonly place?: Partial<CauseObject>;
  /** The cluster has begun to act on what was applied. */
  readonly isObserved: boolean;
  readonly isComplete: boolean;
  readonly wanted: number;
  readonly available: number;
  /** How many pods may be unavailable or too many at once: so many doomed ones leave no room to go on. */
  readonly room: number;
  /** Beside what its pods say; most general first. */
  readonly findings: readonly Finding[];
  /** What there is to wait for when nothing above says it. */
  readonly pending: Finding;
  /** Set when the controller itself has given up waiting. */
  readonly deadlineSeconds: number | undefined;
  /** What a person should know about an `ok`. */
  readonly notes: readonly string[];
  /** Ends of its containers are its own business: a Job has a backoffLimit. */
  readonly toleratesCrashes?: boolean;
}

/** What is known around all workloads. */
export interface WorkloadSurroundings {
  /** Of the workload that is looked at, as the apply returned it. */
  readonly generation: number;
  readonly replicaSets: readonly ReplicaSet[];
  readonly pods: readonly Pod[];
  /** Oldest first. */
  readonly events: readonly Event[];
  readonly leavingMs: number;
}

export function isOwnedBy(object: KubeObject, uid: string | undefined): boolean {
  return (
    object.metadata.ownerReferences?.some(
      (reference) => reference.controller === true && reference.uid === uid,
    ) ?? false
  );
}

interface Observable {
  readonly metadata: { readonly generation?: number };
  readonly status?: { readonly observedGeneration?: number } | undefined;
}

/** The cluster has acted on what we applied; somebody may have changed more since, which is not our question. */
export function hasObserved(workload: Observable, generation: number): boolean {
  return (workload.status?.observedGeneration ?? 0) >= generation;
}

/** The status speaks of what is there now. */
export function isCurrent(workload: Observable): boolean {
  return hasObserved(workload, workload.metadata.generation ?? 0);
}
