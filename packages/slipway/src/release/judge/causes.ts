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
  | "ImagePullTLS"
  | "ImageArchitecture"
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
  | "LimitRangeExceeded"
  | "PriorityClassMissing"
  | "ServiceAccountMissing"
  | "WebhookRefused"
  | "WebhookUnavailable"
  | "CreationRefused"
  | "NodeLost"
  | "PodEvicted"
  | "JobFailed"
  | "ReplicasContested"
  | "ObjectTerminating"
  | "ContainerStarting"
  | "OldPodsTerminating"
  | "RolloutNotObserved"
  | "WorkloadDeleted"
  | "RolloutPaused"
  | "RolloutPending"
  | "ProgressDeadlineExceeded"
  | "RestartedWhileBaking"
  | "ApplyRefused"
  | "AccessDenied"
  | "FieldImmutable"
  | "HookFailed"
  | "HookTimedOut"
  | "GateFailed"
  | "ClusterUnreachable"
  | "ClusterOverloaded"
  | "ClusterIdentityMismatch"
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
  ImagePullTLS: {
    blame: "cluster",
    todo: "Give the nodes the registry's certificate authority, or renew the registry's certificate; then deploy again.",
  },
  ImageArchitecture: {
    blame: "release",
    todo: "Build the image for the architecture of the nodes, or choose such nodes with a nodeSelector.",
  },
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
  LimitRangeExceeded: {
    blame: "release",
    todo: "Bring the container's requests and limits within the namespace's LimitRange.",
  },
  PriorityClassMissing: {
    blame: "release",
    todo: "Create the PriorityClass, or correct priorityClassName.",
  },
  ServiceAccountMissing: {
    blame: "release",
    todo: "Add the ServiceAccount to the manifests, or correct serviceAccountName.",
  },
  WebhookRefused: { blame: "release", todo: "Change the manifest as the admission webhook says." },
  WebhookUnavailable: {
    blame: "cluster",
    todo: "See why the admission webhook does not answer, then deploy again.",
  },
  CreationRefused: { blame: "cluster", todo: "See who refuses the pods: a webhook or an admission policy." },
  NodeLost: {
    blame: "cluster",
    todo: "Look at the node; its pods are made again elsewhere after five minutes.",
  },
  PodEvicted: {
    blame: "cluster",
    todo: "See what the node ran out of; requests and limits that say what the pod uses prevent it.",
  },
  JobFailed: { blame: "release", todo: "Read the log of the Job's pod, correct the program, ship again." },
  ReplicasContested: {
    blame: "release",
    todo: "Leave replicas to one side: drop spec.replicas from the manifest, or take the autoscaler away.",
  },
  ObjectTerminating: {
    blame: "cluster",
    todo: "See which finalizer keeps the object, and why its controller does not remove it.",
  },
  ContainerStarting: { blame: "cluster", todo: "Nothing yet: the container is being started." },
  OldPodsTerminating: { blame: "cluster", todo: "Nothing yet: old pods have their grace period." },
  RolloutNotObserved: {
    blame: "cluster",
    todo: "Check that the cluster's controller manager runs.",
  },
  WorkloadDeleted: {
    blame: "cluster",
    todo: "See who deletes it, a person or another tool that prunes, then deploy again.",
  },
  RolloutPaused: { blame: "release", todo: "Resume it with kubectl rollout resume, or drop `paused`." },
  RolloutPending: { blame: "cluster", todo: "Nothing yet: the rollout is going on." },
  ProgressDeadlineExceeded: { blame: "release", todo: "Look at the pods of the new ReplicaSet." },
  RestartedWhileBaking: { blame: "release", todo: "Read the log below, correct the program, ship again." },
  ApplyRefused: { blame: "release", todo: "Correct the manifest as the API server says." },
  AccessDenied: {
    blame: "cluster",
    todo: "Give whoever deploys the right to it (slipway rights prints all), then deploy again.",
  },
  FieldImmutable: {
    blame: "release",
    todo: "Leave the field as it is, or give the object another name.",
  },
  HookFailed: { blame: "release", todo: "Read the hook's log below, correct it, ship again." },
  HookTimedOut: { blame: "release", todo: "See what the hook waits for, or give it more time." },
  GateFailed: { blame: "release", todo: "See what the gate measured; the new version may do harm." },
  ClusterUnreachable: {
    blame: "cluster",
    todo: "See why the cluster's API does not answer, then deploy again.",
  },
  ClusterOverloaded: {
    blame: "cluster",
    todo: "Wait until the cluster's API has room again, then deploy again.",
  },
  ClusterIdentityMismatch: {
    blame: "cluster",
    todo: "Check that the kubeconfig's context names the cluster that you mean.",
  },
  LockLost: { blame: "cluster", todo: "See who took the lock with slipway status, then deploy again." },
};

export const causeCodes = Object.keys(TABLE) as readonly CauseCode[];

/** What is fixed for a code, with the command as it looks for a pod of a Deployment called `web`. */
export function causeAdvice(code: CauseCode): {
  readonly blame: Cause["blame"];
  readonly todo: string;
  readonly command: string;
} {
  const object = { namespace: "NAMESPACE", pod: "POD", container: "CONTAINER" };
  return { ...TABLE[code], command: commandFor(code, "kubectl --context CLUSTER", object) };
}

/** Where it happened. Each part is absent where it does not apply. */
export interface CauseObject {
  readonly namespace: string;
  readonly deployment?: string | undefined;
  /** Of anything else that was applied: `StatefulSet` and `db`. */
  readonly kind?: string | undefined;
  readonly name?: string | undefined;
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
  /** The page about this code; absent in records of before there were pages. */
  readonly doc?: string | undefined;
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
    doc: `docs/causes/${code}.md`,
  };
}

/** Where the log says it: of a container that was started again the one before it, of a Job's pod, which is not, its only one. */
const READS_LOG: Partial<Readonly<Record<CauseCode, "previous" | "only">>> = {
  ContainerCrash: "previous",
  ContainerOOMKilled: "previous",
  ContainerCompleted: "previous",
  LivenessFailed: "previous",
  StartupFailed: "previous",
  RestartedWhileBaking: "previous",
  JobFailed: "only",
  HookFailed: "only",
};

/** What shows it where neither the pod nor its ReplicaSet does. */
const ASKS: Partial<Readonly<Record<CauseCode, { readonly namespaced: boolean; readonly what: string }>>> = {
  QuotaExceeded: { namespaced: true, what: "describe resourcequota" },
  LimitRangeExceeded: { namespaced: true, what: "describe limitrange" },
  PriorityClassMissing: { namespaced: false, what: "get priorityclasses" },
  ServiceAccountMissing: { namespaced: true, what: "get serviceaccounts" },
  WebhookRefused: {
    namespaced: false,
    what: "get validatingwebhookconfigurations,mutatingwebhookconfigurations",
  },
  WebhookUnavailable: {
    namespaced: false,
    what: "get validatingwebhookconfigurations,mutatingwebhookconfigurations",
  },
  NodeLost: { namespaced: false, what: "get nodes" },
  ReplicasContested: { namespaced: true, what: "get horizontalpodautoscalers" },
  WorkloadDeleted: { namespaced: true, what: "get events --sort-by=.lastTimestamp" },
  AccessDenied: { namespaced: true, what: "auth can-i --list" },
  ClusterUnreachable: { namespaced: false, what: "get --raw /readyz" },
  ClusterOverloaded: { namespaced: false, what: "get --raw /readyz" },
  ClusterIdentityMismatch: { namespaced: false, what: "get namespace kube-system" },
};

function commandFor(code: CauseCode, kubectl: string, object: CauseObject): string {
  const prefix = `${kubectl} -n ${object.namespace}`;
  const log = READS_LOG[code];
  if (log !== undefined && object.pod !== undefined) {
    const container = object.container === undefined ? "" : ` -c ${object.container}`;
    return `${prefix} logs ${object.pod}${container}${log === "previous" ? " --previous" : ""}`;
  }
  const asked = ASKS[code];
  if (asked !== undefined) return asked.namespaced ? `${prefix} ${asked.what}` : `${kubectl} ${asked.what}`;
  if (object.pod !== undefined) return `${prefix} describe pod ${object.pod}`;
  if (object.replicaSet !== undefined) return `${prefix} describe replicaset ${object.replicaSet}`;
  if (object.deployment !== undefined) return `${prefix} describe deployment ${object.deployment}`;
  if (object.kind !== undefined && object.name !== undefined) {
    return `${prefix} describe ${object.kind.toLowerCase()} ${object.name}`;
  }
  return `${prefix} get events --sort-by=.lastTimestamp`;
}

/** `Deployment web, pod web-7f9c-x2x4q, container web`. */
export function renderObjectPath(object: CauseObject): string {
  const parts = [
    object.deployment === undefined ? undefined : `Deployment ${object.deployment}`,
    object.kind === undefined ? undefined : `${object.kind} ${object.name ?? ""}`,
    object.pod === undefined ? object.replicaSet && `ReplicaSet ${object.replicaSet}` : `pod ${object.pod}`,
    object.container === undefined ? undefined : `container ${object.container}`,
  ];
  return parts.filter((part) => part !== undefined && part !== "").join(", ");
}

/** `crashed twice: exit code 1; it said "Error: PAYMENT_URL is not set"`: the container's words are marked as its own. */
export function whyOf(cause: Cause): string {
  return cause.said === undefined ? cause.why : `${cause.why}; it said "${cause.said}"`;
}

/** `tokyo: Deployment web, pod web-7f-x, container web: crashed twice: exit code 1 (ContainerCrash)`. */
export function causeSentence(cause: Cause): string {
  const path = renderObjectPath(cause.object);
  return `${cause.cluster}: ${path === "" ? "" : `${path}: `}${whyOf(cause)} (${cause.code})`;
}
