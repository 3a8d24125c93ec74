/** Rolling updates on paper: which end, which stop, and at what. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveLimits } from "@slipway/cluster/scheduling";
import type { IntOrString, Node, Pod, PodSpec } from "@slipway/kube";
import { type Forecast, forecast } from "./forecast.ts";
import { quotasOf } from "./quota.ts";
import type { Rollout, Room } from "./walk.ts";

const NOW = Date.parse("2026-03-01T12:00:00Z");

function node(
  name: string,
  cpu: string,
  rest: { zone?: string; spec?: Node["spec"]; pods?: string } = {},
): Node {
  const amounts = { cpu, memory: "8Gi", pods: rest.pods ?? "110" };
  const labels = { "kubernetes.io/hostname": name, zone: rest.zone ?? "a" };
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name, labels },
    ...(rest.spec === undefined ? {} : { spec: rest.spec }),
    status: { allocatable: amounts, capacity: amounts },
  };
}

function pod(
  name: string,
  cpu: string,
  rest: { on?: string; app?: string; spec?: Partial<PodSpec> } = {},
): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, uid: name, namespace: "shop", labels: { app: rest.app ?? "web" } },
    spec: {
      containers: [{ name: "web", resources: cpu === "" ? {} : { requests: { cpu } } }],
      ...(rest.on === undefined ? {} : { nodeName: rest.on }),
      ...rest.spec,
    },
    status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] },
  };
}

function rollout(options: {
  readonly replicas: number;
  readonly surge?: IntOrString;
  readonly unavailable?: IntOrString;
  readonly pod: Pod;
  readonly old?: readonly Pod[];
  readonly current?: readonly Pod[];
  readonly recreate?: boolean;
  readonly name?: string;
}): Rollout {
  const { replicas, surge = 1, unavailable = 0 } = options;
  const { maxSurge, maxUnavailable } = resolveLimits(replicas, surge, unavailable);
  return {
    name: options.name ?? "web",
    namespace: "shop",
    limits: {
      replicas,
      maxSurge,
      maxUnavailable,
      maxTotal: replicas + maxSurge,
      minAvailable: replicas - maxUnavailable,
    },
    isRecreated: options.recreate ?? false,
    pod: options.pod,
    old: options.old === undefined ? [] : [options.old],
    current: options.current ?? [],
  };
}

const room = (nodes: readonly Node[], rest: Partial<Room> = {}): Room => ({
  nodes,
  others: [],
  quotas: [],
  ...rest,
});
const threeNodes = [node("n1", "1"), node("n2", "1"), node("n3", "1")];
const oldOnEach = (cpu: string, spec?: Partial<PodSpec>): readonly Pod[] =>
  threeNodes.map(({ metadata }, index) =>
    pod(`old-${index}`, cpu, { on: metadata.name, ...(spec === undefined ? {} : { spec }) }),
  );
const apart: Partial<PodSpec> = {
  affinity: {
    podAntiAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        { labelSelector: { matchLabels: { app: "web" } }, topologyKey: "kubernetes.io/hostname" },
      ],
    },
  },
};
const evenly: Partial<PodSpec> = {
  topologySpreadConstraints: [
    {
      maxSkew: 1,
      topologyKey: "zone",
      whenUnsatisfiable: "DoNotSchedule",
      labelSelector: { matchLabels: { app: "web" } },
    },
  ],
};
const quota = (hard: Record<string, string>, used: Record<string, string>, spec: object = {}) =>
  quotasOf([
    {
      apiVersion: "v1",
      kind: "ResourceQuota",
      metadata: { name: "team", namespace: "shop" },
      spec: { hard, ...spec },
      status: { hard, used },
    },
  ]);

const cases: readonly [
  what: string,
  room: Room,
  rollouts: readonly Rollout[],
  verdict: Forecast["verdict"],
][] = [
  [
    "a first release with room",
    room(threeNodes),
    [rollout({ replicas: 3, pod: pod("web", "500m") })],
    "fits",
  ],
  [
    "a first release with one pod too many",
    room(threeNodes),
    [rollout({ replicas: 4, pod: pod("web", "600m") })],
    "stops",
  ],
  [
    "the deadlock: full nodes, and no old pod may go first",
    room(threeNodes),
    [rollout({ replicas: 3, pod: pod("web", "600m"), old: oldOnEach("600m") })],
    "stops",
  ],
  [
    "full nodes, and one old pod may go first",
    room(threeNodes),
    [rollout({ replicas: 3, unavailable: 1, pod: pod("web", "600m"), old: oldOnEach("600m") })],
    "fits",
  ],
  [
    "full nodes, one old pod may go first, but the new ones are larger than a node",
    room(threeNodes),
    [rollout({ replicas: 3, unavailable: 1, pod: pod("web", "1500m"), old: oldOnEach("600m") })],
    "stops",
  ],
  [
    "recreated on full nodes",
    room(threeNodes),
    [rollout({ replicas: 3, recreate: true, pod: pod("web", "900m"), old: oldOnEach("600m") })],
    "fits",
  ],
  [
    "room for one surge pod is enough, since each step frees as much",
    room([...threeNodes, node("n4", "1")]),
    [rollout({ replicas: 3, pod: pod("web", "600m"), old: oldOnEach("600m") })],
    "fits",
  ],
  [
    "room only on a cordoned node",
    room([...threeNodes, node("n4", "1", { spec: { unschedulable: true } })]),
    [rollout({ replicas: 3, pod: pod("web", "600m"), old: oldOnEach("600m") })],
    "stops",
  ],
  [
    "room only on a tainted node",
    room([...threeNodes, node("n4", "1", { spec: { taints: [{ key: "gpu", effect: "NoSchedule" }] } })]),
    [rollout({ replicas: 3, pod: pod("web", "600m"), old: oldOnEach("600m") })],
    "stops",
  ],
  [
    "a taint that the new pods tolerate",
    room([...threeNodes, node("n4", "1", { spec: { taints: [{ key: "gpu", effect: "NoSchedule" }] } })]),
    [
      rollout({
        replicas: 3,
        pod: pod("web", "600m", { spec: { tolerations: [{ key: "gpu", operator: "Exists" }] } }),
        old: oldOnEach("600m"),
      }),
    ],
    "fits",
  ],
  [
    "one pod per node, as many nodes as pods, and a surge",
    room(threeNodes),
    [rollout({ replicas: 3, pod: pod("web", "100m", { spec: apart }), old: oldOnEach("100m", apart) })],
    "stops",
  ],
  [
    "one pod per node, and one may go first",
    room(threeNodes),
    [
      rollout({
        replicas: 3,
        surge: 0,
        unavailable: 1,
        pod: pod("web", "100m", { spec: apart }),
        old: oldOnEach("100m", apart),
      }),
    ],
    "fits",
  ],
  [
    "spread over zones, one of which is full",
    room([node("n1", "1", { zone: "a" }), node("n2", "4", { zone: "b" })], {
      others: [pod("other", "900m", { on: "n1", app: "other" })],
    }),
    [rollout({ replicas: 4, pod: pod("web", "500m", { spec: evenly }) })],
    "stops",
  ],
  [
    "a host port that the old pod holds on the only node",
    room([node("n1", "4")]),
    [
      rollout({
        replicas: 1,
        pod: {
          ...pod("web", "100m"),
          spec: { containers: [{ name: "web", ports: [{ containerPort: 80, hostPort: 80 }] }] },
        },
        old: [
          {
            ...pod("old", "100m", { on: "n1" }),
            spec: {
              nodeName: "n1",
              containers: [{ name: "web", ports: [{ containerPort: 80, hostPort: 80 }] }],
            },
          },
        ],
      }),
    ],
    "stops",
  ],
  [
    "too many pods for a node, whatever they request",
    room([node("n1", "4", { pods: "2" })]),
    [
      rollout({
        replicas: 2,
        pod: pod("web", ""),
        old: [pod("a", "", { on: "n1" }), pod("b", "", { on: "n1" })],
      }),
    ],
    "stops",
  ],
  [
    "two Deployments, of which one must come first",
    room([...threeNodes, node("n4", "600m")]),
    [
      rollout({ replicas: 3, surge: 1, pod: pod("web", "600m"), old: oldOnEach("600m") }),
      rollout({ name: "api", replicas: 1, pod: pod("api", "600m", { app: "api" }) }),
    ],
    "tight",
  ],
  [
    "two Deployments that each fit alone",
    room(threeNodes),
    [
      rollout({ replicas: 3, pod: pod("web", "600m") }),
      rollout({ name: "api", replicas: 3, pod: pod("api", "600m", { app: "api" }) }),
    ],
    "stops",
  ],
  [
    "another's pod waits for the same room",
    room([...threeNodes, node("n4", "600m")], { others: [pod("waiting", "500m", { app: "other" })] }),
    [rollout({ replicas: 3, pod: pod("web", "600m"), old: oldOnEach("600m") })],
    "stops",
  ],
  [
    "a rollout that was cut off half way goes on",
    room(threeNodes),
    [
      rollout({
        replicas: 3,
        pod: pod("web", "400m"),
        old: oldOnEach("400m").slice(0, 2),
        current: [pod("new", "400m", { on: "n3" })],
      }),
    ],
    "fits",
  ],
  [
    "old pods that never got ready do not block",
    room(threeNodes),
    [
      rollout({
        replicas: 3,
        unavailable: 1,
        pod: pod("web", "600m"),
        old: oldOnEach("600m").map((one) => ({ ...one, status: { phase: "Running" as const } })),
      }),
    ],
    "fits",
  ],
  [
    "a quota without room for the surge",
    room(threeNodes, { quotas: quota({ pods: "3" }, { pods: "3" }) }),
    [rollout({ replicas: 3, pod: pod("web", "100m"), old: oldOnEach("100m") })],
    "stops",
  ],
  [
    "a quota without room for the surge, but old pods may go first",
    room(threeNodes, { quotas: quota({ pods: "3" }, { pods: "3" }) }),
    [rollout({ replicas: 3, unavailable: 1, pod: pod("web", "100m"), old: oldOnEach("100m") })],
    "fits",
  ],
  [
    "a quota for other pods",
    room(threeNodes, { quotas: quota({ pods: "0" }, { pods: "0" }, { scopes: ["BestEffort"] }) }),
    [rollout({ replicas: 3, pod: pod("web", "100m"), old: oldOnEach("100m") })],
    "fits",
  ],
  [
    "whether it fits depends on where the small ones go",
    room([node("n1", "1"), node("n2", "1")]),
    [
      rollout({ name: "small", replicas: 2, pod: pod("small", "300m", { app: "small" }) }),
      rollout({ name: "big", replicas: 2, pod: pod("big", "700m", { app: "big" }) }),
    ],
    "tight",
  ],
];

for (const [what, where, rollouts, verdict] of cases) {
  test(`${what}: ${verdict}`, () => {
    const result = forecast(where, rollouts, NOW);
    assert.equal(
      result.verdict,
      verdict,
      JSON.stringify(result, (key, value) => (key === "views" ? "…" : value)),
    );
  });
}

test("a stop says how far it came and why", () => {
  const result = forecast(
    room(threeNodes),
    [rollout({ replicas: 3, pod: pod("web", "600m"), old: oldOnEach("600m") })],
    NOW,
  );
  const stop = result.likely.stops[0];
  assert.equal(stop?.placed, 0);
  assert.equal(stop?.old, 3);
  assert.equal(stop?.unschedulable, "0/3 nodes are available: 3 Insufficient cpu.");
});

test("a pod of the release that another of the release drives out waits again", () => {
  const important = pod("api", "600m", { app: "api", spec: { priority: 1000 } });
  const both = (nodes: readonly Node[]) =>
    forecast(
      room(nodes),
      [
        rollout({ name: "api", replicas: 1, pod: important }),
        rollout({ replicas: 1, pod: pod("web", "600m"), current: [pod("web-1", "600m", { on: "n1" })] }),
      ],
      NOW,
    );
  const alone = both([node("n1", "1")]);
  assert.equal(alone.verdict, "stops");
  assert.deepEqual(
    alone.likely.stops.map(({ rollout: { name }, placed }) => [name, placed]),
    [["web", 0]],
  );
  // Another node is room for both, whoever moves.
  assert.equal(both([node("n1", "1"), node("n2", "1")]).verdict, "fits");
  // An old one that was driven out serves no more, and goes for nothing.
  const update = forecast(
    room([node("n1", "1"), node("n2", "400m")]),
    [
      rollout({ name: "api", replicas: 1, pod: important }),
      rollout({ replicas: 1, pod: pod("web", "400m"), old: [pod("web-1", "600m", { on: "n1" })] }),
    ],
    NOW,
  );
  assert.deepEqual([update.verdict, update.likely.peak], ["fits", 3]);
});

test("higher priority drives others out, and says so", () => {
  const important = pod("web", "600m", { spec: { priority: 1000 } });
  const cheap = threeNodes.map(({ metadata }, index) =>
    pod(`batch-${index}`, "700m", { on: metadata.name, app: "batch" }),
  );
  const result = forecast(
    room(threeNodes, { others: cheap }),
    [rollout({ replicas: 2, pod: important })],
    NOW,
  );
  assert.equal(result.verdict, "fits");
  assert.equal(result.likely.preempted, 2);
});

test("the peak is replicas and surge, when there is room", () => {
  const result = forecast(
    room([node("n1", "8")]),
    [
      rollout({
        replicas: 10,
        surge: "25%",
        pod: pod("web", "100m"),
        old: Array.from({ length: 10 }, (_, index) => pod(`old-${index}`, "100m", { on: "n1" })),
      }),
    ],
    NOW,
  );
  assert.equal(result.verdict, "fits");
  assert.equal(result.likely.peak, 13);
});

test("far more pods than the nodes take are not all walked through", () => {
  const result = forecast(room(threeNodes), [rollout({ replicas: 100_000_000, pod: pod("new", "") })], NOW);
  assert.equal(result.verdict, "stops");
  const [stop] = result.verdict === "stops" ? result.stopped.stops : [];
  assert.deepEqual([stop?.placed, stop?.unschedulable], [330, "0/3 nodes are available: 3 Too many pods."]);
});
