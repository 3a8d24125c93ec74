import assert from "node:assert/strict";
import { test } from "node:test";
import type { ContainerStatus, Deployment, Event, Node, Pod, PodStatus, Service } from "@slipway/kube";
import { columnsOf } from "./columns.ts";
import { podReady, podRestarts, podStatus } from "./pod.ts";
import type { tableOfObject } from "./table.ts";

const now = Date.UTC(2026, 10, 22, 12, 0, 0);

const status = (over: Partial<ContainerStatus> = {}): ContainerStatus => ({
  name: "web",
  ready: false,
  restartCount: 0,
  image: "web:1",
  imageID: "",
  ...over,
});

const pod = (
  podStatus_: PodStatus,
  metadata: Partial<Pod["metadata"]> = {},
  spec: Partial<Pod["spec"]> = {},
): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "web-1", namespace: "default", ...metadata },
  spec: { containers: [{ name: "web" }], ...spec },
  status: podStatus_,
});

const running = status({ ready: true, state: { running: {} } });
const completed = status({ name: "job", state: { terminated: { exitCode: 0, reason: "Completed" } } });
const ready = [{ type: "Ready", status: "True" }] as const;
const twoContainers = { containers: [{ name: "web" }, { name: "job" }] };
const oneInit = { initContainers: [{ name: "init" }] };

const pods: readonly (readonly [string, Pod, string, string])[] = [
  ["pending", pod({ phase: "Pending" }), "Pending", "0/1"],
  [
    "creating",
    pod({
      phase: "Pending",
      containerStatuses: [status({ state: { waiting: { reason: "ContainerCreating" } } })],
    }),
    "ContainerCreating",
    "0/1",
  ],
  ["running", pod({ phase: "Running", containerStatuses: [running] }), "Running", "1/1"],
  [
    "crash loop",
    pod({
      phase: "Running",
      containerStatuses: [status({ state: { waiting: { reason: "CrashLoopBackOff" } } })],
    }),
    "CrashLoopBackOff",
    "0/1",
  ],
  [
    "exited without a reason",
    pod({ phase: "Running", containerStatuses: [status({ state: { terminated: { exitCode: 3 } } })] }),
    "ExitCode:3",
    "0/1",
  ],
  [
    "killed by a signal",
    pod({
      phase: "Running",
      containerStatuses: [status({ state: { terminated: { exitCode: 137, signal: 9 } } })],
    }),
    "Signal:9",
    "0/1",
  ],
  [
    "one done, one running and ready",
    pod({ phase: "Running", containerStatuses: [completed, running], conditions: ready }, {}, twoContainers),
    "Running",
    "1/2",
  ],
  [
    "one done, one running but not ready as a whole",
    pod({ phase: "Running", containerStatuses: [completed, running] }, {}, twoContainers),
    "NotReady",
    "1/2",
  ],
  [
    "initializing",
    pod({ phase: "Pending", initContainerStatuses: [status({ name: "init" })] }, {}, oneInit),
    "Init:0/1",
    "0/1",
  ],
  [
    "failing to initialize",
    pod(
      {
        phase: "Pending",
        initContainerStatuses: [
          status({ name: "init", state: { terminated: { exitCode: 1, reason: "Error" } } }),
        ],
      },
      {},
      oneInit,
    ),
    "Init:Error",
    "0/1",
  ],
  [
    "terminating",
    pod({ phase: "Running", containerStatuses: [running] }, { deletionTimestamp: "2026-11-22T12:00:00Z" }),
    "Terminating",
    "1/1",
  ],
  ["evicted", pod({ phase: "Failed", reason: "Evicted" }), "Evicted", "0/1"],
];

for (const [what, object, word, count] of pods) {
  test(`a pod that is ${what} shows ${word} and ${count}`, () => {
    assert.equal(podStatus(object), word);
    assert.equal(podReady(object), count);
  });
}

test("restarts tell when the last one was", () => {
  assert.equal(podRestarts(pod({ containerStatuses: [running] }), now), "0");
  const restarted = status({
    restartCount: 3,
    lastState: { terminated: { exitCode: 1, finishedAt: "2026-11-22T11:58:30Z" } },
  });
  assert.equal(podRestarts(pod({ containerStatuses: [restarted] }), now), "3 (90s ago)");
});

function cells(object: Parameters<typeof tableOfObject>[0]): Record<string, unknown> {
  return Object.fromEntries(columnsOf(object.kind).map((column) => [column.name, column.cell(object, now)]));
}

test("the columns of other kinds", () => {
  const created = { creationTimestamp: "2026-11-22T11:55:00Z" };
  const deployment: Deployment = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", ...created },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: "web" } },
      template: {
        spec: {
          containers: [
            { name: "a", image: "x:1" },
            { name: "b", image: "y:1" },
          ],
        },
      },
    },
    status: { readyReplicas: 2, updatedReplicas: 3, availableReplicas: 1 },
  };
  assert.deepEqual(cells(deployment), {
    Name: "web",
    Ready: "2/3",
    "Up-to-date": 3,
    Available: 1,
    Age: "5m",
    Containers: "a,b",
    Images: "x:1,y:1",
    Selector: "app=web",
  });
  const service: Service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web", ...created },
    spec: {
      type: "LoadBalancer",
      clusterIP: "10.96.0.9",
      ports: [{ port: 80, nodePort: 30001 }, { port: 81 }],
    },
  };
  assert.deepEqual(cells(service), {
    Name: "web",
    Type: "LoadBalancer",
    "Cluster-IP": "10.96.0.9",
    "External-IP": "<pending>",
    "Port(s)": "80:30001/TCP,81/TCP",
    Age: "5m",
    Selector: "<none>",
  });
  const node: Node = {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: "n1", labels: { "node-role.kubernetes.io/worker": "" } },
    spec: { unschedulable: true },
    status: { conditions: [{ type: "Ready", status: "False" }] },
  };
  const { Status: nodeStatus, Roles: roles, Age: age } = cells(node);
  assert.deepEqual([nodeStatus, roles, age], ["NotReady,SchedulingDisabled", "worker", "<unknown>"]);
  const event: Event = {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: "e" },
    involvedObject: { kind: "Deployment", name: "web" },
    lastTimestamp: "2026-11-22T11:59:50Z",
    firstTimestamp: "2026-11-22T11:50:00Z",
    count: 4,
    message: "hello\n",
  };
  const seen = cells(event);
  assert.deepEqual(
    [seen["Last Seen"], seen["First Seen"], seen["Object"], seen["Count"], seen["Message"]],
    ["10s", "10m", "deployment/web", 4, "hello"],
  );
});

test("a kind without columns of its own shows its name and creation", () => {
  const object = { apiVersion: "v1", kind: "Strange", metadata: { name: "x", creationTimestamp: "t" } };
  assert.deepEqual(cells(object), { Name: "x", "Created At": "t" });
});
