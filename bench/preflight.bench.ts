/**
 * How long preflight thinks: the checks and the forecast for clusters of 200 nodes and 5,000 pods with a rollout of 5
 * Deployments each, without the network. Writes results/preflight.md.
 *
 *   node bench/preflight.bench.ts [rounds, 5] [nodes, 200] [pods, 5000]
 */
import { cpus } from "node:os";
import { join } from "node:path";
import { renderTable, seededRandom, writeAtomic } from "../packages/base/src/index.ts";
import type { AnyObject, Node, Pod } from "../packages/kube/src/index.ts";
import type { ClusterFacts } from "../packages/slipway/src/release/preflight/facts.ts";
import { checkCluster } from "../packages/slipway/src/release/preflight/preflight.ts";
import type { SeenObject } from "../packages/slipway/src/release/preflight/seen.ts";
import { MISSED_GOAL } from "./machine.ts";

const rounds = Number(process.argv[2] ?? 5);
const NODES = Number(process.argv[3] ?? 200);
const PODS = Number(process.argv[4] ?? 5000);
const CLUSTERS = 3;
const DEPLOYMENTS = 5;
const REPLICAS = 20;
const NOW = Date.parse("2026-03-01T12:00:00Z");

const placings: readonly object[] = [
  {},
  {
    topologySpreadConstraints: [
      { maxSkew: 1, topologyKey: "zone", whenUnsatisfiable: "DoNotSchedule", labelSelector: {} },
    ],
  },
  {
    affinity: {
      podAntiAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: [
          { labelSelector: { matchLabels: { tier: "web" } }, topologyKey: "kubernetes.io/hostname" },
        ],
      },
    },
  },
];

function clusterOf(seed: number): { readonly facts: ClusterFacts; readonly seen: readonly SeenObject[] } {
  const random = seededRandom(seed);
  const amounts = { cpu: "8", memory: "32Gi", pods: "110" };
  const nodes = Array.from(
    { length: NODES },
    (_, index): Node => ({
      apiVersion: "v1",
      kind: "Node",
      metadata: {
        name: `n${index}`,
        labels: {
          "kubernetes.io/hostname": `n${index}`,
          zone: `z${index % 3}`,
          "kubernetes.io/arch": "amd64",
        },
      },
      status: { allocatable: amounts, capacity: amounts },
    }),
  );
  const ready = { phase: "Running", conditions: [{ type: "Ready", status: "True" }] } as const;
  const ours: Pod[] = [];
  const sets: AnyObject[] = [];
  const seen = Array.from({ length: DEPLOYMENTS }, (_, index): SeenObject => {
    const name = `d${index}`;
    const object = (version: string): AnyObject => ({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name, namespace: "shop", uid: name },
      spec: {
        replicas: REPLICAS,
        selector: { matchLabels: { app: name } },
        strategy: { rollingUpdate: { maxSurge: "10%", maxUnavailable: 0 } },
        template: {
          metadata: { labels: { app: name, tier: index % 3 === 2 ? "web" : "other" } },
          spec: {
            containers: [
              {
                name,
                image: `${name}:${version}`,
                resources: { requests: { cpu: "500m", memory: "512Mi" } },
              },
            ],
            ...placings[index % placings.length],
          },
        },
      },
    });
    const live = object("v1");
    const { template } = live["spec"] as { template: { metadata: Pod["metadata"]; spec: Pod["spec"] } };
    const set = {
      apiVersion: "apps/v1",
      kind: "ReplicaSet",
      name: `${name}-1`,
      uid: `${name}-1`,
      controller: true,
    };
    sets.push({
      ...live,
      kind: "ReplicaSet",
      metadata: { name: set.name, namespace: "shop", uid: set.uid, ownerReferences: [{ ...set, uid: name }] },
    });
    for (let replica = 0; replica < REPLICAS; replica += 1) {
      ours.push({
        apiVersion: "v1",
        kind: "Pod",
        metadata: {
          ...template.metadata,
          name: `${name}-${replica}`,
          namespace: "shop",
          uid: `${name}-${replica}`,
          ownerReferences: [set],
        },
        spec: { ...template.spec, nodeName: `n${(index * REPLICAS + replica) % NODES}` },
        status: ready,
      });
    }
    return { object: object("v2"), live, after: object("v2") };
  });
  const others = Array.from(
    { length: PODS - ours.length },
    (_, index): Pod => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name: `o${index}`,
        namespace: `ns${index % 20}`,
        uid: `o${index}`,
        labels: { app: `o${index % 50}` },
      },
      spec: {
        nodeName: `n${random.int(NODES)}`,
        containers: [
          { name: "o", resources: { requests: { cpu: `${50 + 10 * random.int(20)}m`, memory: "128Mi" } } },
        ],
      },
      status: ready,
    }),
  );
  const none: readonly AnyObject[] = [];
  const facts: ClusterFacts = {
    nodes,
    pods: [...ours, ...others],
    replicaSets: sets,
    autoscalers: none,
    budgets: none,
    quotas: none,
    limitRanges: none,
    priorityClasses: none,
    autoscalerStatus: undefined,
    referenced: new Map(),
    unreadable: [],
  };
  return { facts, seen };
}

const clusters = Array.from({ length: CLUSTERS }, (_, index) => clusterOf(index + 1));
const busy: number[] = [];
const seconds = Array.from({ length: rounds }, () => {
  const started = performance.now();
  const before = process.cpuUsage();
  for (const cluster of clusters) {
    const found = checkCluster({ ...cluster, images: [], isPruned: () => false, service: "shop", now: NOW });
    if (found.some(({ code }) => code !== "CAPACITY_TIGHT")) throw new Error(JSON.stringify(found));
  }
  const { user, system } = process.cpuUsage(before);
  busy.push((user + system) / 1e6);
  return (performance.now() - started) / 1000;
});
const median = [...seconds].sort((a, b) => a - b)[Math.floor(seconds.length / 2)] as number;
const table = renderTable([
  ["clusters", "nodes each", "pods each", "Deployments each", "median s", "slowest s", "processor s"],
  [
    CLUSTERS,
    NODES,
    PODS,
    DEPLOYMENTS,
    median.toFixed(2),
    Math.max(...seconds).toFixed(2),
    Math.min(...busy).toFixed(2),
  ].map(String),
]);
const head = [
  `${rounds} rounds; a third of the Deployments spread over zones, a third one pod per node (goal: at most 2 s of one processor)`,
  `Node ${process.version}, ${cpus().length} cores (${cpus()[0]?.model ?? "unknown"}), one process; reading the clusters not included`,
];
const page = ["# Preflight", "", ...head.map((line) => `- ${line}`), "", "```", table, "```", ""];
console.log(page.join("\n"));
await writeAtomic(join(import.meta.dirname, "results", "preflight.md"), page.join("\n"));
// One thread's work: what it takes of the processor is what a quiet machine shows on the clock.
if (Math.min(...busy) > 2) {
  console.error(`preflight takes ${Math.min(...busy).toFixed(2)} s`);
  process.exitCode = MISSED_GOAL;
}
