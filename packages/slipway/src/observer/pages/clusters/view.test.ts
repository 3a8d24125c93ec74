import assert from "node:assert/strict";
import { test } from "node:test";
import type { Deployment, Event, Node, Pod } from "@slipway/kube";
import { NOTHING_OBSERVED, type Observation } from "../../../release/engine/observe.ts";
import type { DaemonSet } from "../../../release/judge/workload.ts";
import { SERVICE_LABEL } from "../../../release/manifests/render.ts";
import { apiClient, recordOf } from "../../../release/testing.ts";
import { NOTHING_KNOWN } from "../answers/releases.ts";
import { clusterNow, clusterView, type PodMetrics, useOf } from "./view.ts";
import type { Sight } from "./watch.ts";

const sight = (seen: Partial<Observation>, away?: string): Sight => ({
  name: "tokyo",
  target: { name: "tokyo", client: apiClient() },
  seen: { ...NOTHING_OBSERVED, ...seen },
  away,
});
const labels = { [SERVICE_LABEL]: "shop" };

test("the pods of the service's workloads, whatever their kind, and of nobody else's", () => {
  const deployment = (name: string, changes: object): Deployment =>
    ({ metadata: { name, labels }, spec: {}, status: {}, ...changes }) as unknown as Deployment;
  const seen = {
    deployments: [
      deployment("web", { spec: { replicas: 3 }, status: { readyReplicas: 2 } }),
      deployment("fresh", {}),
      deployment("foreign", { metadata: { name: "foreign" }, spec: { replicas: 9 } }),
    ],
    daemonSets: [
      {
        metadata: { name: "logs", labels },
        status: { desiredNumberScheduled: 5, numberAvailable: 4 },
      } as unknown as DaemonSet,
    ],
  };
  const now = clusterNow(sight(seen), "shop", { ...NOTHING_KNOWN, records: [recordOf(4)] });
  assert.deepEqual(now, {
    name: "tokyo",
    reachable: true,
    reason: undefined,
    release: 4,
    pods: { ready: 6, wanted: 9 },
  });
});

test("a cluster that is away says why, by its own words or by those of who read its records", () => {
  assert.deepEqual(
    [
      clusterNow(sight({}, "connection refused"), "shop", NOTHING_KNOWN),
      clusterNow(sight({}), "shop", { ...NOTHING_KNOWN, unreachable: new Map([["tokyo", "no answer"]]) }),
    ].map(({ reachable, reason }) => [reachable, reason]),
    [
      [false, "connection refused"],
      [false, "no answer"],
    ],
  );
});

const pod = (name: string, changes: object = {}): Pod =>
  ({
    metadata: { name, namespace: "default" },
    spec: { nodeName: "node-1", containers: [{ name: "web", resources: { limits: { memory: "64Mi" } } }] },
    status: { phase: "Running", startTime: "2026-11-28T12:00:00Z" },
    ...changes,
  }) as unknown as Pod;

test("a pod is called by what holds it up, as kubectl does", () => {
  const waiting = (reason: string): object => ({
    status: {
      phase: "Pending",
      containerStatuses: [{ name: "web", restartCount: 7, state: { waiting: { reason } } }],
    },
  });
  const pods = [
    pod("d", { metadata: { name: "d", namespace: "default", deletionTimestamp: "2026-11-28T12:00:00Z" } }),
    pod("c", waiting("CrashLoopBackOff")),
    pod("b", { status: { phase: "Failed", reason: "Evicted" } }),
    pod("a"),
  ];
  const view = clusterView(sight({ pods }), [], { source: "nobody", pods: new Map() });
  assert.deepEqual(
    view.pods.map(({ name, phase, restarts }) => [name, phase, restarts]),
    [
      ["a", "Running", 0],
      ["b", "Evicted", 0],
      ["c", "CrashLoopBackOff", 7],
      ["d", "Terminating", 0],
    ],
  );
});

test("what pods use, from metrics.k8s.io; no limit where a container has none", () => {
  const metrics = {
    metadata: { name: "a", namespace: "default" },
    containers: [
      { name: "web", usage: { cpu: "250m", memory: "32Mi" } },
      { name: "side", usage: { cpu: "1500000n", memory: "1Mi" } },
    ],
  } as unknown as PodMetrics;
  const free = pod("b", { spec: { containers: [{ name: "web" }] } });
  const view = clusterView(sight({ pods: [pod("a"), free] }), [], useOf([metrics]));
  const [a, b] = view.pods;
  assert.equal(a?.memory, 33 * 1024 * 1024);
  assert.ok(Math.abs((a?.cpu ?? 0) - 0.252) < 0.001, String(a?.cpu));
  assert.equal(a?.memoryLimit, 64 * 1024 * 1024);
  assert.deepEqual([b?.memory, b?.memoryLimit], [undefined, undefined]);
  assert.equal(view.resources, "metrics.k8s.io");
});

test("the newest events first, no more than a page can show; nodes with their state", () => {
  const events = Array.from(
    { length: 300 },
    (_, index) =>
      ({
        metadata: { name: `e${index}` },
        involvedObject: { kind: "Pod", name: "web-1" },
        lastTimestamp: new Date(index * 1000).toISOString(),
        reason: "BackOff",
        count: index,
      }) as unknown as Event,
  );
  const node = {
    metadata: { name: "node-1" },
    status: { conditions: [{ type: "Ready", status: "Unknown" }] },
  } as unknown as Node;
  const view = clusterView(sight({ events }), [node], { source: "", pods: new Map() });
  assert.equal(view.events.length, 200);
  assert.deepEqual(
    [view.events[0]?.at, view.events[0]?.object, view.events[0]?.count],
    [299_000, "Pod web-1", 299],
  );
  assert.deepEqual(view.nodes, [{ name: "node-1", ready: false, version: "" }]);
});
