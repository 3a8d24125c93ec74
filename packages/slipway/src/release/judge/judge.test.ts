/** Tables of pods and events, and the verdict that follows: one row per line of the matrix. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type {
  Container,
  ContainerStatus,
  Deployment,
  DeploymentStatus,
  Event,
  Pod,
  PodStatus,
  ReplicaSet,
} from "@slipway/kube";
import type { CauseCode } from "./causes.ts";
import { type Judged, judge } from "./judge.ts";
import type { Seen } from "./judgement.ts";
import type { RolloutSnapshot } from "./snapshot.ts";
import type { DaemonSet, StatefulSet } from "./workload.ts";

const IMAGE = "registry.test/web:v2@sha256:2";

function deployment(
  changes: { spec?: object; status?: DeploymentStatus; generation?: number } = {},
): Deployment {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: {
      name: "web",
      namespace: "default",
      uid: "d",
      generation: changes.generation ?? 2,
      annotations: { "deployment.kubernetes.io/revision": "2" },
    },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: "web" } },
      template: { spec: { containers: [] } },
      ...changes.spec,
    },
    status: {
      observedGeneration: 2,
      replicas: 3,
      updatedReplicas: 1,
      availableReplicas: 2,
      ...changes.status,
    },
  };
}

function replicaSet(revision: number, status: Partial<ReplicaSet["status"]> = {}): ReplicaSet {
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name: `web-${revision}`,
      namespace: "default",
      uid: `rs${revision}`,
      annotations: { "deployment.kubernetes.io/revision": String(revision) },
      ownerReferences: [
        { apiVersion: "apps/v1", kind: "Deployment", name: "web", uid: "d", controller: true },
      ],
    },
    spec: { selector: {}, template: { spec: { containers: [] } } },
    status: { replicas: 1, availableReplicas: 0, ...status } as NonNullable<ReplicaSet["status"]>,
  };
}

function pod(
  status: PodStatus,
  changes: { revision?: number; container?: Partial<Container>; metadata?: object; spec?: object } = {},
): Pod {
  const revision = changes.revision ?? 2;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `web-${revision}-x`,
      namespace: "default",
      uid: `p${revision}`,
      ownerReferences: [
        { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web", uid: `rs${revision}`, controller: true },
      ],
      ...changes.metadata,
    },
    spec: { containers: [{ name: "web", image: IMAGE, ...changes.container }], ...changes.spec },
    status,
  };
}

function container(status: Partial<ContainerStatus>): PodStatus {
  return {
    phase: "Running",
    conditions: [{ type: "PodScheduled", status: "True" }],
    containerStatuses: [{ name: "web", ready: false, restartCount: 0, image: IMAGE, imageID: "", ...status }],
  };
}

const waiting = (reason: string, message = ""): PodStatus =>
  container({ state: { waiting: { reason, message } } });

const crashed = (
  restartCount: number,
  end: { exitCode: number; reason?: string; message?: string },
): PodStatus =>
  container({
    restartCount,
    state: { waiting: { reason: "CrashLoopBackOff" } },
    lastState: { terminated: end },
  });

function event(reason: string, message: string, about = "p2"): Event {
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: reason },
    involvedObject: { kind: "Pod", uid: about },
    reason,
    message,
    type: "Warning",
  };
}

function snapshot(changes: Partial<RolloutSnapshot> = {}): RolloutSnapshot {
  return {
    cluster: "tokyo",
    kubectl: "kubectl --context tokyo",
    deployments: [deployment()],
    expected: [{ kind: "Deployment", namespace: "default", name: "web", generation: 2 }],
    replicaSets: [replicaSet(1), replicaSet(2)],
    pods: [],
    events: [],
    baseline: new Map(),
    images: new Map(),
    ...changes,
  };
}

/** Judges the same snapshot now and after `laterMs`, as a rollout that does not move. */
function judgedAfter(of: RolloutSnapshot, laterMs: number): Judged {
  const start = 1_000_000;
  let seen: Seen = new Map();
  seen = judge(of, seen, start).seen;
  return judge(of, seen, start + laterMs);
}

function unscheduled(message: string): Pod {
  return pod({
    phase: "Pending",
    conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message }],
  });
}

function statefulSet(status: { updatedReplicas: number; readyReplicas: number }): StatefulSet {
  return {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: { name: "db", namespace: "default", uid: "s", generation: 2 },
    spec: { replicas: 3, selector: {}, template: { spec: { containers: [] } } },
    status: {
      observedGeneration: 2,
      replicas: 3,
      currentRevision: "db-1",
      updateRevision: "db-2",
      ...status,
    },
  };
}

interface Row {
  readonly what: string;
  readonly of: RolloutSnapshot;
  /** The verdict at once and after this many ms. */
  readonly verdicts: readonly [ms: number, verdict: "ok" | "waiting" | "doomed", code?: CauseCode][];
  readonly why?: RegExp;
}

const probe = { readinessProbe: { httpGet: { port: 80 }, periodSeconds: 10 } };
const complete: DeploymentStatus = { replicas: 2, updatedReplicas: 2, availableReplicas: 2 };
const ready = container({ ready: true, started: true, state: { running: {} } });
const readyPod = {
  ...ready,
  conditions: [{ type: "Ready", status: "True" as const }],
};

function daemonSet(status: Partial<DaemonSet["status"]>): DaemonSet {
  return {
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: {
      name: "agent",
      namespace: "default",
      uid: "ds",
      generation: 2,
      annotations: { "deprecated.daemonset.template.generation": "2" },
    },
    spec: { selector: {}, template: { spec: { containers: [] } } },
    status: { observedGeneration: 2, desiredNumberScheduled: 3, ...status },
  };
}

/** A pod of that DaemonSet, by the generation of its template. */
const ofAgent = (generation: string, nodeName?: string) => ({
  metadata: {
    labels: { "pod-template-generation": generation },
    ownerReferences: [
      { apiVersion: "apps/v1", kind: "DaemonSet", name: "agent", uid: "ds", controller: true },
    ],
  },
  ...(nodeName === undefined ? {} : { spec: { nodeName } }),
});

const rows: readonly Row[] = [
  {
    what: "all pods are new and available",
    of: snapshot({ deployments: [deployment({ status: complete })], pods: [pod(readyPod)] }),
    verdicts: [[0, "ok"]],
  },
  {
    what: "the controller has not seen the change",
    of: snapshot({ deployments: [deployment({ status: { ...complete, observedGeneration: 1 } })] }),
    verdicts: [
      [0, "waiting", "RolloutNotObserved"],
      [59_999, "waiting"],
      [60_000, "doomed", "RolloutNotObserved"],
    ],
  },
  {
    what: "our own view is older than the apply",
    of: snapshot({
      deployments: [deployment({ generation: 1, status: { ...complete, observedGeneration: 1 } })],
    }),
    verdicts: [[0, "waiting", "RolloutNotObserved"]],
  },
  {
    what: "an old pod is still terminating",
    of: snapshot({
      deployments: [deployment({ status: complete })],
      pods: [pod(readyPod), pod(readyPod, { revision: 1, spec: { terminationGracePeriodSeconds: 75 } })],
    }),
    // It drains while the release bakes; on a lost node it never goes, which is not the release's fault.
    verdicts: [[0, "ok"]],
  },
  {
    what: "an old pod is not taken away yet",
    of: snapshot({
      deployments: [deployment({ status: { ...complete, replicas: 3 } })],
      replicaSets: [replicaSet(1), replicaSet(2, { replicas: 2, availableReplicas: 2 })],
      pods: [pod(readyPod), pod(readyPod, { revision: 1 })],
    }),
    verdicts: [[600_000, "waiting", "OldPodsTerminating"]],
  },
  {
    what: "an old pod crashes",
    of: snapshot({
      deployments: [deployment()],
      pods: [pod(crashed(7, { exitCode: 1 }), { revision: 1 }), pod(waiting("ContainerCreating"))],
    }),
    verdicts: [[600_000, "waiting", "ContainerStarting"]],
  },
  {
    what: "a container has crashed once",
    of: snapshot({ pods: [pod(container({ state: { terminated: { exitCode: 1, reason: "Error" } } }))] }),
    verdicts: [[600_000, "waiting", "ContainerCrash"]],
  },
  {
    what: "a container has crashed twice",
    of: snapshot({ pods: [pod(crashed(1, { exitCode: 1, reason: "Error" }))] }),
    verdicts: [[0, "doomed", "ContainerCrash"]],
    why: /^crashed twice: exit code 1$/,
  },
  {
    what: "a container that crashed twice has been started again",
    of: snapshot({
      pods: [
        pod(
          container({
            restartCount: 2,
            state: { running: {} },
            lastState: { terminated: { exitCode: 139, reason: "Error" } },
          }),
        ),
      ],
    }),
    verdicts: [[0, "doomed", "ContainerCrash"]],
    why: /killed by SIGSEGV \(exit code 139\)/,
  },
  {
    what: "a pod from before this release has crashed long ago and serves",
    of: snapshot({
      deployments: [deployment({ status: complete })],
      pods: [
        pod({
          ...container({
            ready: true,
            restartCount: 9,
            state: { running: {} },
            lastState: { terminated: { exitCode: 1 } },
          }),
          conditions: [{ type: "Ready", status: "True" }],
        }),
      ],
      baseline: new Map([["p2/web", 9]]),
    }),
    verdicts: [[0, "ok"]],
  },
  {
    what: "a container is killed for its memory",
    of: snapshot({
      pods: [
        pod(crashed(1, { exitCode: 137, reason: "OOMKilled" }), {
          container: { resources: { limits: { memory: "128Mi" } } },
        }),
      ],
    }),
    verdicts: [[0, "doomed", "ContainerOOMKilled"]],
    why: /more than its memory limit of 128Mi/,
  },
  {
    what: "a container ends with success again and again",
    of: snapshot({ pods: [pod(crashed(1, { exitCode: 0, reason: "Completed" }))] }),
    verdicts: [[0, "doomed", "ContainerCompleted"]],
  },
  {
    what: "the liveness probe restarts the container",
    of: snapshot({
      pods: [pod(crashed(1, { exitCode: 143 }))],
      events: [
        event("Killing", "Container web failed liveness probe, will be restarted"),
        event("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500"),
      ],
    }),
    verdicts: [[0, "doomed", "LivenessFailed"]],
    why: /liveness probe failed: HTTP probe failed with statuscode: 500/,
  },
  {
    what: "a container ended twice as if it was told to, and only the probe's own event is there",
    of: snapshot({
      pods: [
        pod(crashed(1, { exitCode: 0, reason: "Completed" }), {
          container: { livenessProbe: { httpGet: { port: 80 } } },
        }),
      ],
      events: [event("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500")],
    }),
    verdicts: [[0, "doomed", "LivenessFailed"]],
    why: /liveness probe failed: HTTP probe failed with statuscode: 500/,
  },
  {
    what: "a container with a liveness probe ended twice as if it was told to, and events may be late",
    of: snapshot({
      pods: [
        pod(crashed(1, { exitCode: 0, reason: "Completed" }), {
          container: { livenessProbe: { httpGet: { port: 80 } } },
        }),
      ],
    }),
    verdicts: [
      [4_999, "waiting", "ContainerCompleted"],
      [5_000, "doomed", "ContainerCompleted"],
    ],
  },
  {
    what: "a container crashed once, runs again and is never ready",
    of: snapshot({
      pods: [
        pod(
          container({
            restartCount: 1,
            started: true,
            state: { running: {} },
            lastState: { terminated: { exitCode: 1, reason: "Error" } },
          }),
          { container: probe },
        ),
      ],
      events: [event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")],
    }),
    verdicts: [
      [26_999, "waiting", "ContainerCrash"],
      [27_000, "doomed", "ReadinessFailed"],
    ],
  },
  {
    what: "neither the readiness nor the liveness probe succeeds",
    of: snapshot({
      pods: [pod(container({ started: true, state: { running: {} } }), { container: probe })],
      events: [
        event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 500"),
        event("Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500"),
      ],
    }),
    verdicts: [
      [26_999, "waiting", "ReadinessFailed"],
      [27_000, "doomed", "LivenessFailed"],
    ],
  },
  {
    what: "the startup probe restarts the container",
    of: snapshot({
      pods: [pod(crashed(1, { exitCode: 143 }))],
      events: [event("Killing", "Container web failed startup probe, will be restarted")],
    }),
    verdicts: [[0, "doomed", "StartupFailed"]],
  },
  {
    what: "the command does not exist",
    of: snapshot({
      pods: [
        pod(
          crashed(0, {
            exitCode: 128,
            reason: "StartError",
            message: 'exec: "srv": executable file not found',
          }),
        ),
      ],
    }),
    verdicts: [[0, "doomed", "ContainerStartFailed"]],
  },
  {
    what: "the runtime failed to start it for another reason, once",
    of: snapshot({
      pods: [pod(crashed(0, { exitCode: 128, reason: "StartError", message: "cgroup is busy" }))],
    }),
    verdicts: [[600_000, "waiting", "ContainerStartFailed"]],
  },
  {
    what: "the node may not pull",
    of: snapshot({
      pods: [pod(waiting("ImagePullBackOff", "Back-off pulling image"))],
      events: [event("Failed", `Failed to pull image "${IMAGE}": 401 Unauthorized`)],
    }),
    verdicts: [[0, "doomed", "ImagePullAuth"]],
    why: /401 Unauthorized/,
  },
  {
    what: "the registry limits the rate",
    of: snapshot({ pods: [pod(waiting("ErrImagePull", "429 Too Many Requests: toomanyrequests"))] }),
    verdicts: [
      [0, "waiting", "ImagePullRateLimited"],
      [120_000, "doomed", "ImagePullRateLimited"],
    ],
  },
  {
    what: "the registry does not answer",
    of: snapshot({ pods: [pod(waiting("ErrImagePull", "dial tcp: i/o timeout"))] }),
    verdicts: [
      [0, "waiting", "ImagePullNetwork"],
      [119_999, "waiting"],
      [120_000, "doomed", "ImagePullNetwork"],
    ],
  },
  {
    what: "the image is not found and the registry has not been asked",
    of: snapshot({ pods: [pod(waiting("ErrImagePull", "manifest unknown"))] }),
    verdicts: [
      [4_999, "waiting", "ImageNotFound"],
      [5_000, "doomed", "ImageNotFound"],
    ],
  },
  {
    what: "the image is not found and the registry says so too",
    of: snapshot({
      pods: [pod(waiting("ErrImagePull", "404 not found"))],
      images: new Map([[IMAGE, "missing"]]),
    }),
    verdicts: [[0, "doomed", "ImageNotFound"]],
  },
  {
    what: "the image is not found by the node but is in the registry",
    of: snapshot({
      pods: [pod(waiting("ErrImagePull", "404 not found"))],
      images: new Map([[IMAGE, "exists"]]),
    }),
    verdicts: [
      [0, "waiting", "ImagePullNetwork"],
      [120_000, "doomed", "ImagePullNetwork"],
    ],
  },
  {
    what: "the image's name is invalid",
    of: snapshot({ pods: [pod(waiting("InvalidImageName", "couldn't parse image name"))] }),
    verdicts: [[0, "doomed", "ImageNameInvalid"]],
  },
  {
    what: "a ConfigMap is missing",
    of: snapshot({ pods: [pod(waiting("CreateContainerConfigError", 'configmap "settings" not found'))] }),
    verdicts: [[0, "doomed", "ConfigMissing"]],
    why: /configmap "settings" not found/,
  },
  {
    what: "the kubelet's own cache is late",
    of: snapshot({
      pods: [pod(waiting("CreateContainerConfigError", "failed to sync configmap cache: timed out"))],
    }),
    verdicts: [[59_999, "waiting", "ConfigMissing"]],
  },
  {
    what: "no node takes the pod",
    of: snapshot({
      pods: [
        pod({
          phase: "Pending",
          conditions: [
            {
              type: "PodScheduled",
              status: "False",
              reason: "Unschedulable",
              message: "0/3 nodes are available: 3 Insufficient cpu.",
            },
          ],
        }),
      ],
    }),
    verdicts: [
      [0, "waiting", "Unschedulable"],
      [29_999, "waiting"],
      [30_000, "doomed", "Unschedulable"],
    ],
    why: /3 Insufficient cpu/,
  },
  {
    what: "no node takes the pod but one is being added",
    of: snapshot({
      pods: [pod({ phase: "Pending", conditions: [{ type: "PodScheduled", status: "False" }] })],
      events: [event("TriggeredScaleUp", "pod triggered scale-up")],
    }),
    verdicts: [
      [299_999, "waiting", "Unschedulable"],
      [300_000, "doomed", "Unschedulable"],
    ],
  },
  {
    what: "a volume cannot be mounted",
    of: snapshot({
      pods: [pod(waiting("ContainerCreating"))],
      events: [event("FailedMount", "Unable to attach or mount volumes")],
    }),
    verdicts: [
      [0, "waiting", "VolumePending"],
      [120_000, "doomed", "VolumePending"],
    ],
  },
  {
    what: "the node cannot make the pod's sandbox",
    of: snapshot({
      pods: [pod(waiting("ContainerCreating"))],
      events: [event("FailedCreatePodSandBox", "Failed to create pod sandbox: no free address")],
    }),
    verdicts: [
      [0, "waiting", "PodSandboxFailed"],
      [120_000, "doomed", "PodSandboxFailed"],
    ],
    why: /no free address/,
  },
  {
    what: "a quota refuses the pods",
    of: snapshot({
      replicaSets: [
        replicaSet(2, {
          replicas: 0,
          conditions: [
            {
              type: "ReplicaFailure",
              status: "True",
              reason: "FailedCreate",
              message: 'pods "web" is forbidden: exceeded quota: small',
            },
          ],
        }),
      ],
    }),
    verdicts: [
      [0, "waiting", "QuotaExceeded"],
      [10_000, "doomed", "QuotaExceeded"],
    ],
    why: /exceeded quota: small/,
  },
  {
    what: "the readiness probe fails",
    of: snapshot({
      pods: [pod(container({ started: true, state: { running: {} } }), { container: probe })],
      events: [event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")],
    }),
    verdicts: [
      [0, "waiting", "ReadinessFailed"],
      [26_999, "waiting"],
      [27_000, "doomed", "ReadinessFailed"],
    ],
    why: /fails: HTTP probe failed with statuscode: 503/,
  },
  {
    what: "a readiness probe of 1 s fails while the program starts",
    of: snapshot({
      pods: [
        pod(container({ started: true, state: { running: {} } }), {
          container: { readinessProbe: { httpGet: { port: 80 }, periodSeconds: 1 } },
        }),
      ],
      events: [event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 404")],
    }),
    verdicts: [
      [14_999, "waiting", "ReadinessFailed"],
      [15_000, "doomed", "ReadinessFailed"],
    ],
  },
  {
    what: "the startup probe has not succeeded",
    of: snapshot({
      pods: [
        pod(container({ started: false, state: { running: {} } }), {
          container: { ...probe, startupProbe: { httpGet: { port: 80 } } },
        }),
      ],
    }),
    verdicts: [[600_000, "waiting", "ContainerStarting"]],
  },
  {
    what: "a readiness gate is closed",
    of: snapshot({
      pods: [
        pod(
          { ...ready, conditions: [{ type: "ContainersReady", status: "True" }] },
          { spec: { readinessGates: [{ conditionType: "example.com/neg-ready" }] } },
        ),
      ],
    }),
    verdicts: [[600_000, "waiting", "ReadinessGateClosed"]],
    why: /example.com\/neg-ready/,
  },
  {
    what: "a new pod was evicted",
    of: snapshot({ pods: [pod({ phase: "Failed", reason: "Evicted" })] }),
    verdicts: [[600_000, "waiting", "PodEvicted"]],
  },
  {
    what: "new pods are evicted again and again for the disk they use",
    of: snapshot({
      pods: ["a", "b"].map((uid) =>
        pod(
          {
            phase: "Failed",
            reason: "Evicted",
            message: "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ",
          },
          { metadata: { uid } },
        ),
      ),
    }),
    verdicts: [[0, "doomed", "PodEvicted"]],
    why: /2 new pods were taken away: Evicted: .*total limit of containers 10Mi/,
  },
  {
    what: "a node was rebooted and with it the containers ended",
    of: snapshot({
      pods: [pod(container({ restartCount: 1, state: { terminated: { exitCode: 255, reason: "Error" } } }))],
      events: [event("SandboxChanged", "Pod sandbox changed, it will be killed and re-created.")],
      baseline: new Map(),
    }),
    verdicts: [[600_000, "waiting", "ContainerCrash"]],
  },
  {
    what: "the node of a pod that was ready does not answer",
    of: snapshot({
      pods: [pod({ ...ready, conditions: [{ type: "Ready", status: "False" }] })],
      events: [event("NodeNotReady", "Node is not ready")],
    }),
    verdicts: [[600_000, "waiting", "NodeLost"]],
  },
  {
    what: "no node takes the pod while nodes are away",
    of: snapshot({
      pods: [
        unscheduled(
          "0/1 nodes are available: 1 node(s) had taint {node.kubernetes.io/not-ready: }, that the pod didn't tolerate.",
        ),
      ],
    }),
    verdicts: [
      [299_999, "waiting", "Unschedulable"],
      [300_000, "doomed", "Unschedulable"],
    ],
  },
  {
    what: "no node takes the pod while old ones are leaving",
    of: snapshot({
      pods: [
        unscheduled("0/1 nodes are available: 1 Insufficient cpu."),
        pod(readyPod, {
          revision: 1,
          metadata: { deletionTimestamp: "2026-01-01T00:00:00Z", deletionGracePeriodSeconds: 75 },
        }),
      ],
    }),
    verdicts: [
      [104_999, "waiting", "Unschedulable"],
      [105_000, "doomed", "Unschedulable"],
    ],
  },
  {
    what: "the autoscaler says that it cannot help",
    of: snapshot({
      pods: [unscheduled("0/1 nodes are available: 1 Insufficient cpu.")],
      events: [event("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached")],
    }),
    verdicts: [
      [29_999, "waiting", "Unschedulable"],
      [30_000, "doomed", "Unschedulable"],
    ],
  },
  {
    what: "a claim is being bound",
    of: snapshot({
      pods: [unscheduled("0/1 nodes are available: 1 pod has unbound immediate PersistentVolumeClaims.")],
    }),
    verdicts: [
      [119_999, "waiting", "VolumePending"],
      [120_000, "doomed", "VolumePending"],
    ],
  },
  {
    what: "the image was built for another architecture, as its log says",
    of: snapshot({
      pods: [pod(crashed(1, { exitCode: 1, reason: "Error" }))],
      logs: new Map([["p2/web", "standard_init_linux.go:219: exec user process caused: exec format error"]]),
    }),
    verdicts: [[0, "doomed", "ImageArchitecture"]],
  },
  {
    what: "an init container has crashed twice",
    of: snapshot({
      pods: [
        pod({
          ...waiting("PodInitializing"),
          initContainerStatuses: [
            {
              name: "migrate",
              ready: false,
              restartCount: 1,
              image: IMAGE,
              imageID: "",
              state: { waiting: { reason: "CrashLoopBackOff" } },
              lastState: { terminated: { exitCode: 2, reason: "Error" } },
            },
          ],
        }),
      ],
    }),
    verdicts: [[0, "doomed", "ContainerCrash"]],
    why: /exit code 2/,
  },
  {
    what: "only an event says that the pods are refused",
    of: snapshot({
      replicaSets: [
        {
          ...replicaSet(2, { replicas: 0 }),
          spec: { replicas: 1, selector: {}, template: { spec: { containers: [] } } },
        },
      ],
      events: [
        event(
          "FailedCreate",
          'Error creating: pods "web-2-" is forbidden: no PriorityClass with name top was found',
          "rs2",
        ),
      ],
    }),
    verdicts: [
      [0, "waiting", "PriorityClassMissing"],
      [5_000, "doomed", "PriorityClassMissing"],
    ],
  },
  {
    what: "a refusal has been got over",
    of: snapshot({
      replicaSets: [
        {
          ...replicaSet(2, { replicas: 0 }),
          spec: { replicas: 1, selector: {}, template: { spec: { containers: [] } } },
        },
      ],
      events: [
        event("FailedCreate", "Error creating: exceeded quota", "rs2"),
        event("SuccessfulCreate", "Created pod: web-2-x", "rs2"),
      ],
    }),
    verdicts: [[600_000, "waiting", "RolloutPending"]],
  },
  {
    what: "one pod of many is doomed and the others go on",
    of: snapshot({
      deployments: [
        deployment({
          spec: { replicas: 10, strategy: { rollingUpdate: { maxSurge: 3, maxUnavailable: 0 } } },
        }),
      ],
      pods: [
        pod(readyPod, { metadata: { uid: "a" } }),
        pod(crashed(1, { exitCode: 1 }), { metadata: { uid: "b" } }),
      ],
    }),
    verdicts: [[600_000, "waiting", "ContainerCrash"]],
  },
  {
    what: "the Deployment is being deleted and a finalizer keeps it",
    of: snapshot({
      deployments: [
        {
          ...deployment({ status: complete }),
          metadata: {
            ...deployment().metadata,
            deletionTimestamp: "2026-01-01T00:00:00Z",
            finalizers: ["example.com/drain"],
          },
        },
      ],
    }),
    verdicts: [
      [29_999, "waiting", "ObjectTerminating"],
      [30_000, "doomed", "ObjectTerminating"],
    ],
    why: /kept by example.com\/drain/,
  },
  {
    what: "an old pod is kept by a finalizer",
    of: snapshot({
      deployments: [deployment({ status: complete })],
      pods: [
        pod(readyPod),
        pod(readyPod, {
          revision: 1,
          spec: { terminationGracePeriodSeconds: 5 },
          metadata: { deletionTimestamp: "2026-01-01T00:00:00Z", finalizers: ["example.com/drain"] },
        }),
      ],
    }),
    verdicts: [
      [34_999, "waiting", "ObjectTerminating"],
      [35_000, "doomed", "ObjectTerminating"],
    ],
    why: /kept by example.com\/drain/,
  },
  {
    what: "nothing listens where the readiness probe asks",
    of: snapshot({
      pods: [
        pod(container({ started: true, state: { running: {} } }), {
          container: { readinessProbe: { httpGet: { port: 80 }, periodSeconds: 2 } },
        }),
      ],
      events: [
        event("Unhealthy", "Readiness probe failed: dial tcp 10.0.0.1:80: connect: connection refused"),
      ],
    }),
    verdicts: [
      [26_999, "waiting", "ReadinessFailed"],
      [27_000, "doomed", "ReadinessFailed"],
    ],
  },
  {
    what: "an init container never ends and the progress deadline passes",
    of: snapshot({
      deployments: [
        deployment({
          status: {
            conditions: [{ type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded" }],
          },
        }),
      ],
      pods: [
        pod({
          ...waiting("PodInitializing"),
          initContainerStatuses: [
            {
              name: "prepare",
              ready: false,
              restartCount: 0,
              image: IMAGE,
              imageID: "",
              state: { running: {} },
            },
          ],
        }),
      ],
    }),
    verdicts: [[0, "doomed", "ContainerStarting"]],
    why: /its init container runs and has not ended; nothing moved for 600 s/,
  },
  {
    what: "a rollback's new pods are available and old ones drain",
    of: snapshot({
      oldPods: "report",
      deployments: [deployment({ status: { replicas: 3, updatedReplicas: 2, availableReplicas: 3 } })],
      pods: [pod(readyPod), pod(readyPod, { revision: 1 })],
    }),
    verdicts: [[0, "ok"]],
  },
  {
    what: "a StatefulSet has done two of three pods",
    of: snapshot({
      expected: [{ kind: "StatefulSet", namespace: "default", name: "db", generation: 2 }],
      statefulSets: [statefulSet({ updatedReplicas: 2, readyReplicas: 3 })],
    }),
    verdicts: [
      [599_999, "waiting", "RolloutPending"],
      [600_000, "doomed", "RolloutPending"],
    ],
  },
  {
    what: "a StatefulSet has done all its pods",
    of: snapshot({
      expected: [{ kind: "StatefulSet", namespace: "default", name: "db", generation: 2 }],
      statefulSets: [statefulSet({ updatedReplicas: 3, readyReplicas: 3 })],
    }),
    verdicts: [[0, "ok"]],
  },
  {
    what: "a DaemonSet's new pod crashes",
    of: snapshot({
      expected: [{ kind: "DaemonSet", namespace: "default", name: "agent", generation: 2 }],
      daemonSets: [daemonSet({ updatedNumberScheduled: 1, numberAvailable: 2 })],
      pods: [pod(crashed(1, { exitCode: 1 }), ofAgent("2"))],
    }),
    verdicts: [[0, "doomed", "ContainerCrash"]],
  },
  {
    what: "a DaemonSet is well on every node that answers",
    of: snapshot({
      expected: [{ kind: "DaemonSet", namespace: "default", name: "agent", generation: 2 }],
      daemonSets: [daemonSet({ updatedNumberScheduled: 2, numberAvailable: 2 })],
      pods: [pod({ ...ready, conditions: [{ type: "Ready", status: "False" }] }, ofAgent("1", "node-3"))],
    }),
    verdicts: [[0, "ok"]],
  },
  {
    what: "a DaemonSet has a node that does not answer and another one to do",
    of: snapshot({
      expected: [{ kind: "DaemonSet", namespace: "default", name: "agent", generation: 2 }],
      daemonSets: [daemonSet({ updatedNumberScheduled: 1, numberAvailable: 2 })],
      pods: [pod({ ...ready, conditions: [{ type: "Ready", status: "False" }] }, ofAgent("1", "node-3"))],
    }),
    verdicts: [
      [599_999, "waiting", "RolloutPending"],
      [600_000, "doomed", "RolloutPending"],
    ],
    why: /1 of 2 nodes have the new pod, 2 are available; node-3 does not answer/,
  },
  {
    what: "a DaemonSet's pod with a readiness gate is not ready, which is no matter of its node",
    of: snapshot({
      expected: [{ kind: "DaemonSet", namespace: "default", name: "agent", generation: 2 }],
      daemonSets: [daemonSet({ updatedNumberScheduled: 3, numberAvailable: 2 })],
      pods: [
        pod(
          { ...ready, conditions: [{ type: "Ready", status: "False" }] },
          {
            ...ofAgent("1", "node-3"),
            spec: { nodeName: "node-3", readinessGates: [{ conditionType: "neg-ready" }] },
          },
        ),
      ],
    }),
    verdicts: [[0, "waiting", "RolloutPending"]],
  },
  {
    what: "a Job of Kubernetes 1.20, which has no generation, runs",
    of: snapshot({
      expected: [{ kind: "Job", namespace: "default", name: "seed", generation: 1 }],
      jobs: [
        {
          apiVersion: "batch/v1",
          kind: "Job",
          metadata: { name: "seed", namespace: "default", uid: "j" },
          status: { active: 1 },
        },
      ],
    }),
    verdicts: [[600_000, "waiting", "RolloutPending"]],
  },
  {
    what: "a Job has failed",
    of: snapshot({
      expected: [{ kind: "Job", namespace: "default", name: "seed", generation: 1 }],
      jobs: [
        {
          apiVersion: "batch/v1",
          kind: "Job",
          metadata: { name: "seed", namespace: "default", uid: "j", generation: 1 },
          status: {
            conditions: [
              {
                type: "Failed",
                status: "True",
                reason: "BackoffLimitExceeded",
                message: "Job has reached the specified backoff limit",
              },
            ],
          },
        },
      ],
    }),
    verdicts: [[0, "doomed", "JobFailed"]],
    why: /backoff limit/,
  },
  {
    what: "the Deployment is paused",
    of: snapshot({ deployments: [deployment({ spec: { paused: true } })] }),
    verdicts: [[0, "doomed", "RolloutPaused"]],
  },
  {
    what: "pods are ready but not for minReadySeconds",
    of: snapshot({
      deployments: [deployment({ spec: { minReadySeconds: 5 } })],
      replicaSets: [replicaSet(2, { readyReplicas: 2, availableReplicas: 1 })],
      pods: [pod(readyPod)],
    }),
    verdicts: [[600_000, "waiting", "MinReadySeconds"]],
  },
  {
    what: "the progress deadline passes",
    of: snapshot({
      deployments: [
        deployment({
          status: {
            conditions: [{ type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded" }],
          },
        }),
      ],
      pods: [pod(waiting("ErrImagePull", "dial tcp: i/o timeout"))],
    }),
    // The deadline alone is never the report.
    verdicts: [[0, "doomed", "ImagePullNetwork"]],
    why: /i\/o timeout; nothing moved for 600 s/,
  },
  {
    what: "the progress deadline passes and nothing else is known",
    of: snapshot({
      deployments: [
        deployment({
          status: {
            conditions: [{ type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded" }],
          },
        }),
      ],
      pods: [pod(waiting("ContainerCreating"))],
    }),
    verdicts: [[0, "doomed", "ProgressDeadlineExceeded"]],
    why: /last seen: the container is being created/,
  },
];

for (const row of rows) {
  const end = row.verdicts.at(-1);
  test(`when ${row.what}, the verdict is ${end?.[1]}${end?.[2] === undefined ? "" : ` (${end[2]})`}`, () => {
    for (const [ms, verdict, code] of row.verdicts) {
      const { judgement } = judgedAfter(row.of, ms);
      assert.equal(judgement.verdict, verdict, `after ${ms} ms: ${JSON.stringify(judgement)}`);
      const cause =
        judgement.verdict === "doomed"
          ? judgement.cause
          : judgement.verdict === "waiting"
            ? judgement.causes[0]
            : undefined;
      if (code !== undefined) assert.equal(cause?.code, code);
      if (row.why !== undefined) assert.match(cause?.why ?? "", row.why);
    }
  });
}

test("a cause that goes away and comes back has its whole budget again", () => {
  const broken = snapshot({ pods: [pod(waiting("ErrImagePull", "dial tcp: i/o timeout"))] });
  const fine = snapshot({ pods: [pod(waiting("ContainerCreating"))] });
  let seen = judge(broken, new Map(), 0).seen;
  seen = judge(fine, seen, 100_000).seen;
  assert.equal(judge(broken, seen, 130_000).judgement.verdict, "waiting");
});

test("a command in a cause names the cluster, the pod and the container", () => {
  const { judgement } = judge(snapshot({ pods: [pod(crashed(1, { exitCode: 1 }))] }), new Map(), 0);
  assert.equal(judgement.verdict, "doomed");
  assert.equal(
    judgement.verdict === "doomed" ? judgement.cause.command : "",
    "kubectl --context tokyo -n default logs web-2-x -c web --previous",
  );
});

test("progress counts old, new, available and serving pods", () => {
  const { progress } = judge(
    snapshot({
      replicaSets: [replicaSet(1), replicaSet(2, { availableReplicas: 1 })],
      pods: [pod(readyPod), pod(readyPod, { revision: 1 })],
    }),
    new Map(),
    0,
  );
  const { old, ready: available, total, serving } = progress;
  assert.deepEqual(
    { old, new: progress.new, available, total, serving },
    { old: 1, new: 1, available: 1, total: 2, serving: 2 },
  );
});

test("old pods drain until their grace period and 30 s have passed, even if they never go", () => {
  const draining = snapshot({
    deployments: [deployment({ status: complete })],
    pods: [pod(readyPod), pod(readyPod, { revision: 1, spec: { terminationGracePeriodSeconds: 75 } })],
  });
  const at = (now: number, seen: Seen) => judge(draining, seen, now);
  const first = at(0, new Map());
  assert.deepEqual(first.judgement, { verdict: "ok", notes: [], drainsUntil: 105_000 });
  assert.deepEqual(at(105_000, first.seen).judgement, { verdict: "ok", notes: [] });
});

test("a partition keeps pods of before, which is told", () => {
  const set = statefulSet({ updatedReplicas: 1, readyReplicas: 3 });
  const spec = { ...set.spec, updateStrategy: { rollingUpdate: { partition: 2 } } };
  const { judgement } = judge(
    snapshot({
      expected: [{ kind: "StatefulSet", namespace: "default", name: "db", generation: 2 }],
      statefulSets: [{ ...set, spec }],
    }),
    new Map(),
    0,
  );
  const note = "StatefulSet db has a partition: 2 of its 3 pods keep the revision before";
  assert.deepEqual(judgement, { verdict: "ok", notes: [note] });
});
