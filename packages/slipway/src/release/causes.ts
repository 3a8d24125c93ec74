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
  | "PodSandboxFailed"
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

/** Everything that is fixed for a code; the sentence itself is made where the facts are known. */
const TABLE: Readonly<Record<CauseCode, { readonly blame: Cause["blame"]; readonly todo: string }>> = {
  ImagePullAuth: {
    blame: "cluster",
    todo: "Give the nodes the right to pull: an imagePullSecret in the namespace, or the node's service account.",
  },
  ImagePullRateLimited: {
    blame: "cluster",
    todo: "Wait for the registry's limit, or pull through a mirror.",
  },
  ImagePullNetwork: { blame: "cluster", todo: "Check that the nodes reach the registry, then deploy again." },
  ImageNotFound: { blame: "release", todo: "Push the image again, then deploy." },
  ImageNameInvalid: { blame: "release", todo: "Correct the image name in the manifest." },
  ContainerCrash: { blame: "release", todo: "Read the log below, correct the program, ship again." },
  ContainerOOMKilled: {
    blame: "release",
    todo: "Raise resources.limits.memory of the container, or make the program use less.",
  },
  ContainerCompleted: {
    blame: "release",
    todo: "A Deployment's container must keep running: start the server in the foreground.",
  },
  ContainerStartFailed: { blame: "release", todo: "Correct the command, its path or its mode in the image." },
  PodSandboxFailed: {
    blame: "cluster",
    todo: "Look at the node: its pod network or its container runtime refuses new pods.",
  },
  ConfigMissing: { blame: "release", todo: "Add what is missing to the manifests, or correct its name." },
  LivenessFailed: {
    blame: "release",
    todo: "Correct the liveness probe or what it asks; add a startupProbe if the start is slow.",
  },
  StartupFailed: {
    blame: "release",
    todo: "Raise failureThreshold of the startupProbe, or make the start faster.",
  },
  ReadinessFailed: {
    blame: "release",
    todo: "Correct the readiness probe or what it asks; add a startupProbe if the start is slow.",
  },
  ReadinessGateClosed: {
    blame: "cluster",
    todo: "See why the controller of this readiness gate does not open it.",
  },
  MinReadySeconds: { blame: "release", todo: "Nothing: pods must stay ready for minReadySeconds." },
  Unschedulable: {
    blame: "cluster",
    todo: "Make room: more or larger nodes, smaller requests, or a lower maxSurge; then deploy again.",
  },
  VolumePending: { blame: "cluster", todo: "See why the volume cannot be attached or mounted." },
  QuotaExceeded: {
    blame: "cluster",
    todo: "Raise the ResourceQuota or lower the requests; the surge needs room.",
  },
  CreationRefused: { blame: "cluster", todo: "See who refuses the pods: a webhook or an admission policy." },
  ContainerStarting: { blame: "cluster", todo: "Nothing yet: the container is being started." },
  OldPodsTerminating: { blame: "cluster", todo: "Nothing yet: old pods have their grace period." },
  RolloutNotObserved: {
    blame: "cluster",
    todo: "Check that the cluster's controller manager runs.",
  },
  RolloutPaused: { blame: "release", todo: "Resume it with kubectl rollout resume, or drop `paused`." },
  RolloutPending: { blame: "cluster", todo: "Nothing yet: the rollout is going on." },
  ProgressDeadlineExceeded: { blame: "release", todo: "Look at the pods of the new ReplicaSet." },
  RestartedWhileBaking: { blame: "release", todo: "Read the log below, correct the program, ship again." },
  ApplyRefused: { blame: "release", todo: "Correct the manifest as the API server says." },
  LockLost: { blame: "cluster", todo: "See who took the lock with slipway status, then deploy again." },
};

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
  /** The line of the dead container's log that names its error, where one could be told from the others. */
  readonly said?: string | undefined;
  /** One action. */
  readonly todo: string;
  /** One read-only command, pinned to the right cluster. */
  readonly command: string;
}

/** Makes a cause; the command is chosen by what it is about. `kubectl` names the cluster, like `kubectl --context tokyo`. */
export function makeCause(
  code: CauseCode,
  facts: {
    readonly cluster: string;
    readonly kubectl: string;
    readonly object: CauseObject;
    readonly why: string;
    readonly blame?: Cause["blame"];
  },
): Cause {
  return {
    code,
    blame: facts.blame ?? TABLE[code].blame,
    cluster: facts.cluster,
    object: facts.object,
    why: facts.why,
    todo: TABLE[code].todo,
    command: commandFor(code, facts.kubectl, facts.object),
  };
}

const READS_LOG: ReadonlySet<CauseCode> = new Set([
  "ContainerCrash",
  "ContainerOOMKilled",
  "ContainerCompleted",
  "LivenessFailed",
  "StartupFailed",
  "RestartedWhileBaking",
]);

function commandFor(code: CauseCode, kubectl: string, object: CauseObject): string {
  const prefix = `${kubectl} -n ${object.namespace}`;
  if (READS_LOG.has(code) && object.pod !== undefined) {
    const container = object.container === undefined ? "" : ` -c ${object.container}`;
    return `${prefix} logs ${object.pod}${container} --previous`;
  }
  if (object.pod !== undefined) return `${prefix} describe pod ${object.pod}`;
  if (object.replicaSet !== undefined) return `${prefix} describe replicaset ${object.replicaSet}`;
  if (object.deployment !== undefined) return `${prefix} describe deployment ${object.deployment}`;
  return `${prefix} get events --sort-by=.lastTimestamp`;
}

/** `Deployment web, pod web-7f9c-x2x4q, container web`. */
export function renderObjectPath(object: CauseObject): string {
  const parts = [
    object.deployment === undefined ? undefined : `Deployment ${object.deployment}`,
    object.pod === undefined ? object.replicaSet && `ReplicaSet ${object.replicaSet}` : `pod ${object.pod}`,
    object.container === undefined ? undefined : `container ${object.container}`,
  ];
  return parts.filter((part) => part !== undefined && part !== "").join(", ");
}

/** `crashed twice: exit code 1: Error: PAYMENT_URL is not set`. */
export function whyOf(cause: Cause): string {
  return cause.said === undefined ? cause.why : `${cause.why}: ${cause.said}`;
}

/** `tokyo: Deployment web, pod web-7f-x, container web: crashed twice: exit code 1 (ContainerCrash)`. */
export function causeSentence(cause: Cause): string {
  const path = renderObjectPath(cause.object);
  return `${cause.cluster}: ${path === "" ? "" : `${path}: `}${whyOf(cause)} (${cause.code})`;
}
