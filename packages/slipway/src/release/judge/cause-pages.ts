/** What there is to say about each cause beside its sentence: the pages under docs/causes are made of this. */
import { type CauseCode, causeAdvice, causeCodes } from "./causes.ts";

interface CauseText {
  /** What it means, for somebody who has just been woken. */
  readonly means: string;
  /** By which words, states and events. */
  readonly recognised: string;
  /** How long it may last before the release has failed. */
  readonly budget: string;
}

const now = "None: it will not pass by itself, so the release has failed at once.";
const seconds = (count: number, why: string): string => `${count} s: ${why}`;
const twice = "The second end of the same container decides. After one it may recover.";
const deadline = "The Deployment's own progressDeadlineSeconds (600 s unless it says more).";
const refused = seconds(10, "the controller asks again many times in that time.");
const refusedManifest = seconds(
  5,
  "waiting does not change a manifest; an object that it names may come a moment late.",
);
const network = seconds(120, "registries, networks and disks come back.");

const TEXTS: Readonly<Record<CauseCode, CauseText>> = {
  ImagePullAuth: {
    means:
      "The registry does not give the image to the node. Some registries answer so for a repository that does not exist.",
    recognised:
      "A container waits in ErrImagePull or ImagePullBackOff and the kubelet's event has 401, 403, `unauthorized` or `denied`.",
    budget: now,
  },
  ImagePullRateLimited: {
    means: "The registry, or the kubelet's own limit, lets no more pulls through for now.",
    recognised: "429, `toomanyrequests` or `pull QPS exceeded` in the kubelet's event.",
    budget: network,
  },
  ImagePullNetwork: {
    means: "The node does not reach the registry, or the registry has trouble of its own.",
    recognised:
      "A failed pull with a timeout, a reset, an unknown host or a 5xx; or the registry has the image and the node does not find it.",
    budget: network,
  },
  ImagePullTLS: {
    means: "The node does not trust the registry's certificate, or speaks TLS to one that does not.",
    recognised: "`x509`, `tls:` or `server gave HTTP response to HTTPS client` in the kubelet's event.",
    budget: network,
  },
  ImageArchitecture: {
    means: "The image has no variant for the node's architecture, or its program is built for another.",
    recognised:
      "`no match for platform` in a failed pull, or `exec format error` from the runtime or in the log of the dead container.",
    budget: `${now} A program that only says so in its log: at its second end.`,
  },
  ImageNotFound: {
    means: "The registry does not have the image any more, although it was there before the release began.",
    recognised:
      "404, `manifest unknown` or `not found` in a failed pull. The registry is asked once more before it is believed.",
    budget: seconds(5, "until the registry has answered; at once when it says so too."),
  },
  ImageNameInvalid: {
    means: "The image's name cannot be read as a reference.",
    recognised: "A container waits with InvalidImageName.",
    budget: now,
  },
  ContainerCrash: {
    means: "The program ends with an error, again and again.",
    recognised:
      "Terminated containers of the new revision with an exit code that is not 0, or a signal. Ends that the node caused do not count.",
    budget: twice,
  },
  ContainerOOMKilled: {
    means: "The program uses more memory than its limit allows and is killed by the kernel.",
    recognised: "A terminated container with reason OOMKilled.",
    budget: twice,
  },
  ContainerCompleted: {
    means: "The program ends without an error although it should go on serving.",
    recognised: "Terminated containers with exit code 0, init containers excepted.",
    budget: twice,
  },
  ContainerStartFailed: {
    means:
      "The runtime cannot start the program, or may not: a command that is not there, a file that is not executable, a user that is not allowed.",
    recognised:
      "StartError, ContainerCannotRun, CreateContainerError or RunContainerError; the message tells whether the image is wrong.",
    budget:
      "None when the message says that the image or the manifest is wrong. Else 30 s, or the second time.",
  },
  PodSandboxFailed: {
    means: "The node cannot make the pod's network or its sandbox.",
    recognised: "FailedCreatePodSandBox events of a pod whose containers are not created.",
    budget: network,
  },
  ConfigMissing: {
    means: "A ConfigMap, a Secret or a key in one of them does not exist.",
    recognised:
      "CreateContainerConfigError, or FailedMount with `not found` or `non-existent`. `failed to sync … cache` is only the kubelet being late.",
    budget: "None for a container's environment, 9 s for a volume, 60 s while the kubelet's cache is late.",
  },
  LivenessFailed: {
    means: "The kubelet restarts the container because its liveness probe fails.",
    recognised: "Killing events that name the liveness probe, and ends of the container.",
    budget: twice,
  },
  StartupFailed: {
    means: "The container needs longer to start than its startup probe allows.",
    recognised: "Killing events that name the startup probe, and ends of the container.",
    budget: twice,
  },
  ReadinessFailed: {
    means: "The program runs and never says that it is ready.",
    recognised: "A running container that is not ready after the window that its own probe gives it.",
    budget:
      "Computed from the probe, counted from the start of the container: max(0, D + 2·timeout + (failureThreshold + successThreshold − 3)·period + period/2), with D = period + initialDelay (less after a startupProbe); 27 s for the API's defaults, never less than 15 s.",
  },
  ReadinessGateClosed: {
    means: "The pod is well, and somebody outside the kubelet who must agree, like a load balancer, has not.",
    recognised: "All containers are ready and a condition among the pod's readinessGates is not True.",
    budget: deadline,
  },
  MinReadySeconds: {
    means: "New pods are ready and must stay so for a while before they count.",
    recognised: "More ready than available pods in the new ReplicaSet.",
    budget: deadline,
  },
  Unschedulable: {
    means: "No node has room for the pod, or none may take it.",
    recognised: "The pod's condition PodScheduled is False.",
    budget:
      "30 s. With TriggeredScaleUp of an autoscaler, or when nodes are only away (not ready, cordoned, under pressure), 5 min. While pods are leaving, their grace period longer; while others are preempted, 2 min.",
  },
  VolumePending: {
    means: "A volume cannot be found, provisioned, attached or mounted.",
    recognised:
      "FailedMount and FailedAttachVolume events, or a claim that is unbound or missing in PodScheduled.",
    budget: "120 s; 30 s for a claim that does not exist.",
  },
  QuotaExceeded: {
    means:
      "The namespace's ResourceQuota does not allow another pod; the surge of a rollout needs room in it.",
    recognised:
      "`exceeded quota` or `failed quota` in the ReplicaSet's condition ReplicaFailure or its FailedCreate events.",
    budget: `${refused} While old pods leave, which gives quota back, their grace period longer. 120 s once a new pod is there and old ones are left: the rollout makes room by itself.`,
  },
  LimitRangeExceeded: {
    means: "A container asks for more or less than the namespace's LimitRange allows.",
    recognised: "`maximum … usage per` or `minimum … usage per` in a FailedCreate.",
    budget: refusedManifest,
  },
  PriorityClassMissing: {
    means: "The pod names a PriorityClass that does not exist.",
    recognised: "`no PriorityClass with name` in a FailedCreate.",
    budget: refusedManifest,
  },
  ServiceAccountMissing: {
    means: "The pod names a ServiceAccount that does not exist.",
    recognised: "`error looking up service account` in a FailedCreate.",
    budget: refusedManifest,
  },
  WebhookRefused: {
    means: "An admission webhook says no.",
    recognised: "`admission webhook … denied the request`, of pods in a FailedCreate or of the apply itself.",
    budget: `For pods ${refusedManifest} For the apply itself: none.`,
  },
  WebhookUnavailable: {
    means: "An admission webhook does not answer, and the cluster was told to refuse then.",
    recognised: "`failed calling webhook`, of pods in a FailedCreate or of the apply itself.",
    budget:
      "120 s for pods: a webhook that restarts comes back. 30 s for the apply itself, which is tried again meanwhile.",
  },
  CreationRefused: {
    means: "The cluster refuses to create the pods for a reason of its own, like a security policy.",
    recognised: "ReplicaFailure or FailedCreate in words that are none of the others.",
    budget: refused,
  },
  NodeLost: {
    means:
      "The node of a new pod does not answer any more. Kubernetes makes the pod again elsewhere after five minutes.",
    recognised: "NodeNotReady on the pod, whose containers were well, or its reason NodeLost.",
    budget: `${deadline} Never a failure on its own.`,
  },
  PodEvicted: {
    means: "New pods are taken away by the node: evicted, or refused by the kubelet.",
    recognised: "Pods of the new revision in phase Failed, with a reason like Evicted.",
    budget: `${deadline} Two pods that were evicted for exceeding their own limit of disk: at once.`,
  },
  JobFailed: {
    means: "A Job among the release's objects has failed.",
    recognised: "The Job's condition Failed.",
    budget: "The Job's own backoffLimit and activeDeadlineSeconds.",
  },
  ReplicasContested: {
    means: "Two controllers set the number of replicas in turn, and the rollout never ends.",
    recognised: "spec.replicas goes back and forth, two turns or more, after the apply.",
    budget: "30 s after the second turn.",
  },
  ObjectTerminating: {
    means: "An object of the release, or its namespace, is being deleted, and a finalizer keeps it.",
    recognised: "A deletionTimestamp on what was applied, or the API server's answer.",
    budget: "30 s, in which it may go and be made anew.",
  },
  ContainerStarting: {
    means: "The container is being started; nothing is wrong yet.",
    recognised: "A container that waits or runs without any of the other signs.",
    budget: deadline,
  },
  OldPodsTerminating: {
    means: "All new pods are available and the controller has still to take old ones away.",
    recognised:
      "As many available new pods as are wanted, and a Deployment that counts more pods than those.",
    budget: `${deadline} Pods in their grace period are not waited for; they drain while the release bakes.`,
  },
  RolloutNotObserved: {
    means: "The cluster has not begun to act on the change: its controllers may be down.",
    recognised: "The observedGeneration of the workload stays behind what the apply returned.",
    budget: seconds(60, "a controller manager that changes its leader needs some of it."),
  },
  WorkloadDeleted: {
    means:
      "What was applied was there, and is not any more: a person has deleted it, or another tool that prunes.",
    recognised:
      "A workload that was seen as it was applied, and that a new list of the cluster does not have.",
    budget: seconds(10, "whoever replaces an object deletes it first."),
  },
  RolloutPaused: {
    means: "The Deployment is paused and will not move.",
    recognised: "spec.paused while the rollout is not complete.",
    budget: now,
  },
  RolloutPending: {
    means: "The rollout is going on.",
    recognised: "Not complete, and no pod says why.",
    budget: `${deadline} A StatefulSet or DaemonSet, which has none: 600 s after its last step.`,
  },
  ProgressDeadlineExceeded: {
    means: "Nothing moved for a long time and no sign says why. What was seen last is in the sentence.",
    recognised:
      "The Deployment's condition Progressing with reason ProgressDeadlineExceeded, and no other cause.",
    budget: deadline,
  },
  RestartedWhileBaking: {
    means: "A container was ready and ended during the bake.",
    recognised: "More ends of a container than when the bake began, that the node did not cause.",
    budget: "None: one is enough.",
  },
  ApplyRefused: {
    means: "The API server refuses an object of the release.",
    recognised: "Its answer to the apply.",
    budget: now,
  },
  AccessDenied: {
    means:
      "Whoever deploys may not do that, or not any more: a role was changed, or a credential has expired.",
    recognised:
      "401, or 403 with `User … cannot …` or `attempting to grant RBAC permissions` as the answer to what is asked or applied.",
    budget: now,
  },
  FieldImmutable: {
    means: "The release changes a field that cannot be changed, like a selector or a clusterIP.",
    recognised: "422 with `field is immutable` and its like as the answer to the apply.",
    budget: now,
  },
  HookFailed: {
    means: "A hook, like a migration before the first cluster, has failed.",
    recognised: "Its Job failed, or its command ended with an error.",
    budget: now,
  },
  HookTimedOut: {
    means: "A hook has not ended in its time.",
    recognised: "The hook's timeout.",
    budget: "The hook's own timeout.",
  },
  GateFailed: {
    means: "What must hold after a wave's bake does not.",
    recognised: "The gate's own measurement, which is in the evidence.",
    budget: "The gate's own timeout.",
  },
  ClusterUnreachable: {
    means:
      "The cluster's API does not answer. Whether the release is well there is unknown, and is called so.",
    recognised: "No connection, or no answer in time, to any question.",
    budget: "60 s while a rollout is followed, 30 s for an apply.",
  },
  ClusterOverloaded: {
    means: "The cluster's API answers, and refuses everything for now.",
    recognised: "429 or 5xx to what is asked or applied.",
    budget: "As long as for one that does not answer: 60 s while a rollout is followed, 30 s for an apply.",
  },
  ClusterIdentityMismatch: {
    means: "The context leads to another cluster than the one that the releases before went to.",
    recognised: "The UID of the namespace kube-system.",
    budget: "None: nothing is changed.",
  },
  LockLost: {
    means: "Somebody else took the release's lock, so it stopped.",
    recognised: "The Lease names another holder, or could not be renewed in its time.",
    budget: "The lease's time to live.",
  },
};

/** An example of the cause as a release told it. */
export interface CauseExample {
  readonly case: string;
  readonly title: string;
  readonly recorded: string;
  readonly text: string;
}

/** `docs/causes/CODE.md`. */
export function renderCausePage(code: CauseCode, example: CauseExample | undefined): string {
  const { means, recognised, budget } = TEXTS[code];
  const { blame, todo, command } = causeAdvice(code);
  const blamed =
    blame === "release"
      ? "The release: the same one would fail again, so a rollback holds it."
      : "The cluster: the same release may work later, so nothing is held.";
  const shown =
    example === undefined
      ? ""
      : `\n## An example\n\n${example.title} (\`${example.case}\` of the corpus, ${example.recorded}):\n\n\`\`\`\n${example.text}\n\`\`\`\n`;
  return `# ${code}

${means}

| | |
|---|---|
| Recognised by | ${cell(recognised)} |
| Budget | ${cell(budget)} |
| To blame | ${cell(blamed)} |
| What to do | ${cell(todo)} |
| What shows it | \`${command}\` |
${shown}
[All causes](README.md)
`;
}

export function renderCauseIndex(): string {
  const rows = causeCodes.map((code) => `| [${code}](${code}.md) | ${cell(TEXTS[code].means)} |`);
  return `# Causes

Why a rollout does not move or has failed: a closed list of stable codes. Each page says what the code means, how it is
recognised, how long it may last, and what to do. These pages are made from the code.

| cause | what it means |
|---|---|
${rows.join("\n")}
`;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}
