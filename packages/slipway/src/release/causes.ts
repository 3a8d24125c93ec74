/**
 * Why a rollout does not move or has failed: a closed list of stable codes, each with one sentence for a tired
 * person and one thing to do. The sentence is made from facts (`Cause.facts`) by `causeSentence`, so that the
 * terminal, Slack and the stored record say the same.
 *
 * `blame` says whether the same release could succeed later without a change: `release` (a bad image or manifest:
 * its digests are held after a rollback) or `cluster` (room, registry, network: nothing is held).
 */

export type CauseCode =
  | "ImagePullAuth"
  | "ImagePullRateLimited"
  | "ImagePullNetwork"
  | "ImageNotFound"
  | "ImageNameInvalid"
  | "ContainerCrash"
  | "ContainerOOMKilled"
  | "ContainerCompleted"
  | "ContainerStartFailed"
  | "ConfigMissing"
  | "LivenessFailed"
  | "StartupFailed"
  | "ReadinessFailed"
  | "ReadinessGateClosed"
  | "MinReadySeconds"
  | "Unschedulable"
  | "VolumePending"
  | "QuotaExceeded"
  | "CreationRefused"
  | "ContainerStarting"
  | "OldPodsTerminating"
  | "RolloutNotObserved"
  | "RolloutPaused"
  | "RolloutPending"
  | "ProgressDeadlineExceeded"
  | "RestartedWhileBaking"
  | "ApplyRefused"
  | "LockLost";

/** Where it happened. Each part is absent where it does not apply. */
export interface CauseObject {
  readonly namespace: string;
  readonly deployment?: string | undefined;
  readonly replicaSet?: string | undefined;
  readonly pod?: string | undefined;
  readonly container?: string | undefined;
}

export interface Cause {
  readonly code: CauseCode;
  readonly blame: "release" | "cluster";
  readonly cluster: string;
  readonly object: CauseObject;
  /** One sentence, without the place. */
  readonly why: string;
  /** One action. */
  readonly todo: string;
  /** One read-only command, pinned to the right cluster. */
  readonly command: string;
}
