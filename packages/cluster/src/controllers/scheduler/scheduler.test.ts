import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createStore, type Node, type Pod } from "@slipway/kube";
import { aContainer, aNode, aPod, aService, put } from "../../testing.ts";
import { refusals } from "./filters.ts";
import { amountOf, nodeViews, requestsOf } from "./resources.ts";
import { schedulerController } from "./scheduler.ts";
import { balancedAllocation, leastAllocated } from "./scores.ts";

const NOW = Date.UTC(2026, 0, 1);

const requesting = (requests: Record<string, string>) => [aContainer("web", { resources: { requests } })];

function decide(pod: Pod, nodes: readonly Node[], others: readonly Pod[] = [], more: readonly Pod[] = []) {
  const store = createStore();
  put(store, ...nodes, ...others, ...more, pod);
  return schedulerController.decide(store, `default/${pod.metadata.name}`, NOW);
}

function boundTo(...args: Parameters<typeof decide>): string | undefined {
  const bind = decide(...args).commands.find((command) => command.do === "bind");
  return bind?.node;
}

function message(...args: Parameters<typeof decide>): string | undefined {
  const event = decide(...args).commands.find(
    (command) => command.do === "event" && command.reason === "FailedScheduling",
  );
  return event?.do === "event" ? event.message : undefined;
}

describe("amounts", () => {
  const rows: readonly [string, string | number, number][] = [
    ["cpu", "100m", 100],
    ["cpu", "2", 2000],
    ["cpu", 0.5, 500],
    ["cpu", "1.5", 1500],
    ["memory", "128Mi", 134_217_728],
    ["memory", "1G", 1_000_000_000],
    ["memory", "1e3", 1000],
    ["pods", "110", 110],
    ["cpu", "100n", 1],
  ];
  for (const [resource, quantity, expected] of rows) {
    test(`${quantity} of ${resource} counts ${expected}`, () => {
      assert.equal(amountOf(resource, quantity), expected);
    });
  }

  test("an init step that asks for more than the containers decides what the pod requests", () => {
    const pod = aPod("p", {
      spec: {
        containers: [
          ...requesting({ cpu: "100m" }),
          aContainer("b", { resources: { requests: { cpu: "100m" } } }),
        ],
        initContainers: [aContainer("init", { resources: { requests: { cpu: "500m", memory: "1Mi" } } })],
      },
    });
    assert.deepEqual(
      [...requestsOf(pod)],
      [
        ["cpu", 500],
        ["memory", 1_048_576],
      ],
    );
  });

  test("a sidecar is added to the containers and to every init step after it", () => {
    const pod = aPod("p", {
      spec: {
        containers: requesting({ cpu: "100m" }),
        initContainers: [
          aContainer("side", { restartPolicy: "Always", resources: { requests: { cpu: "50m" } } }),
          aContainer("step", { resources: { requests: { cpu: "200m" } } }),
        ],
      },
    });
    assert.equal(requestsOf(pod).get("cpu"), 250);
  });
});

describe("which node fits", () => {
  const master = aNode("m", {
    spec: { taints: [{ key: "node-role", value: "control", effect: "NoSchedule" }] },
  });
  const rows: readonly {
    readonly name: string;
    readonly pod: Pod;
    readonly node: Node;
    readonly others?: readonly Pod[];
    readonly expected: readonly string[];
  }[] = [
    { name: "a pod without requests", pod: aPod("p"), node: aNode("n"), expected: [] },
    {
      name: "exactly what is left",
      pod: aPod("p", { spec: { containers: requesting({ cpu: "1" }) } }),
      node: aNode("n", { cpu: "2" }),
      others: [aPod("o", { spec: { nodeName: "n", containers: requesting({ cpu: "1" }) } })],
      expected: [],
    },
    {
      name: "one millicore too much, and memory too",
      pod: aPod("p", { spec: { containers: requesting({ cpu: "1001m", memory: "9Gi" }) } }),
      node: aNode("n", { cpu: "1" }),
      expected: ["Insufficient cpu", "Insufficient memory"],
    },
    {
      name: "a terminated pod holds nothing",
      pod: aPod("p", { spec: { containers: requesting({ cpu: "1" }) } }),
      node: aNode("n", { cpu: "1" }),
      others: [
        aPod("o", {
          spec: { nodeName: "n", containers: requesting({ cpu: "1" }) },
          status: { phase: "Succeeded" },
        }),
      ],
      expected: [],
    },
    {
      name: "the number of pods",
      pod: aPod("p"),
      node: aNode("n", { pods: "1" }),
      others: [aPod("o", { spec: { nodeName: "n" } })],
      expected: ["Too many pods"],
    },
    {
      name: "an untolerated taint",
      pod: aPod("p"),
      node: master,
      expected: ["node(s) had untolerated taint {node-role: control}"],
    },
    {
      name: "a tolerated taint",
      pod: aPod("p", { spec: { tolerations: [{ key: "node-role", operator: "Exists" }] } }),
      node: master,
      expected: [],
    },
    {
      name: "a toleration of another value",
      pod: aPod("p", { spec: { tolerations: [{ key: "node-role", operator: "Equal", value: "worker" }] } }),
      node: master,
      expected: ["node(s) had untolerated taint {node-role: control}"],
    },
    {
      name: "a cordoned node",
      pod: aPod("p"),
      node: aNode("n", { spec: { unschedulable: true } }),
      expected: ["node(s) were unschedulable"],
    },
    {
      name: "a node selector",
      pod: aPod("p", { spec: { nodeSelector: { disk: "ssd" } } }),
      node: aNode("n", { labels: { disk: "hdd" } }),
      expected: ["node(s) didn't match Pod's node affinity/selector"],
    },
    {
      name: "a taken host port",
      pod: aPod("p", {
        spec: { containers: [aContainer("a", { ports: [{ containerPort: 80, hostPort: 80 }] })] },
      }),
      node: aNode("n"),
      others: [
        aPod("o", {
          spec: {
            nodeName: "n",
            containers: [aContainer("a", { ports: [{ containerPort: 8080, hostPort: 80 }] })],
          },
        }),
      ],
      expected: ["node(s) didn't have free ports for the requested pod ports"],
    },
  ];
  for (const { name, pod, node, others = [], expected } of rows) {
    test(`${name}: ${expected.length === 0 ? "fits" : expected.join(" and ")}`, () => {
      const views = nodeViews([node], others);
      assert.deepEqual(refusals(pod, views[0] as (typeof views)[0], views), expected);
    });
  }
});

describe("affinity and spreading", () => {
  const term = { topologyKey: "kubernetes.io/hostname", labelSelector: { matchLabels: { app: "web" } } };
  const web = { metadata: { labels: { app: "web" } } };
  const antiAffinity = { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } };

  test("required anti-affinity keeps two replicas off one node", () => {
    const pod = aPod("p", { ...web, spec: { affinity: antiAffinity } });
    const other = aPod("o", { ...web, spec: { nodeName: "a" } });
    assert.equal(boundTo(pod, [aNode("a"), aNode("b")], [other]), "b");
    assert.equal(
      message(pod, [aNode("a")], [other]),
      "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules.",
    );
  });

  test("the anti-affinity of a pod that runs keeps others away as well", () => {
    const other = aPod("o", { ...web, spec: { nodeName: "a", affinity: antiAffinity } });
    assert.equal(
      message(aPod("p", web), [aNode("a")], [other]),
      "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules.",
    );
  });

  test("the first pod that wants to be near its own kind may go anywhere, the second goes there", () => {
    const spec = { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } } };
    assert.equal(boundTo(aPod("p", { ...web, spec }), [aNode("a"), aNode("b")]), "a");
    const other = aPod("o", { ...web, spec: { nodeName: "b" } });
    assert.equal(boundTo(aPod("p", { ...web, spec }), [aNode("a"), aNode("b")], [other]), "b");
  });

  test("DoNotSchedule refuses the node that would be more than maxSkew ahead", () => {
    const spec = {
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: "kubernetes.io/hostname",
          whenUnsatisfiable: "DoNotSchedule" as const,
          labelSelector: { matchLabels: { app: "web" } },
        },
      ],
    };
    const on = (name: string, nodeName: string) => aPod(name, { ...web, spec: { nodeName } });
    // a has 1, b has 0: another on a would be 2 - 0.
    const full = aNode("b", { pods: "0" });
    assert.equal(boundTo(aPod("p", { ...web, spec }), [aNode("a"), aNode("b")], [on("x", "a")]), "b");
    assert.equal(
      message(aPod("p", { ...web, spec }), [aNode("a"), full], [on("x", "a")]),
      "0/2 nodes are available: 1 Too many pods, 1 node(s) didn't match pod topology spread constraints.",
    );
  });

  test("replicas of one Service spread over equal nodes", () => {
    const store = createStore();
    put(store, aNode("a"), aNode("b"), aNode("c"), aService("web"));
    for (const name of ["p1", "p2", "p3", "p4", "p5", "p6"]) {
      put(store, aPod(name, web));
      const [bind] = schedulerController.decide(store, `default/${name}`, NOW).commands;
      assert.equal(bind?.do, "bind");
      const pod = store.get("Pod", "default", name) as Pod;
      const nodeName = bind.do === "bind" ? bind.node : "";
      store.commit({ op: "update", object: { ...pod, spec: { ...pod.spec, nodeName } } as Pod });
    }
    const counts = Map.groupBy(store.list("Pod"), (pod) => pod.spec.nodeName);
    assert.deepEqual(
      [...counts.values()].map((pods) => pods.length),
      [2, 2, 2],
    );
  });
});

describe("scores", () => {
  const rows: readonly [string, Record<string, string>, number, number][] = [
    // Of 4 CPUs and 8 GiB: [request, least allocated, balanced allocation].
    ["a quarter of both", { cpu: "1", memory: "2Gi" }, 75, 100],
    ["half the CPU, a quarter of the memory", { cpu: "2", memory: "2Gi" }, 62, 87],
    ["all of both", { cpu: "4", memory: "8Gi" }, 0, 100],
    ["all the CPU, none of the memory", { cpu: "4", memory: "0" }, 50, 50],
  ];
  for (const [name, requests, least, balanced] of rows) {
    test(`${name}: least allocated ${least}, balanced ${balanced}`, () => {
      const pod = aPod("p", { spec: { containers: requesting(requests) } });
      const [view] = nodeViews([aNode("n")], []);
      assert.ok(view !== undefined);
      assert.deepEqual([leastAllocated(pod, view), balancedAllocation(pod, view)], [least, balanced]);
    });
  }

  test("the emptier node wins", () => {
    const other = aPod("o", { spec: { nodeName: "a", containers: requesting({ cpu: "2", memory: "4Gi" }) } });
    assert.equal(boundTo(aPod("p"), [aNode("a"), aNode("b")], [other]), "b");
  });
});

describe("what it says", () => {
  test("reasons are counted and sorted as kube-scheduler sorts them", () => {
    const nodes = [
      aNode("a", { cpu: "1" }),
      aNode("b", { spec: { taints: [{ key: "k", value: "v", effect: "NoSchedule" }] } }),
      aNode("c", { spec: { taints: [{ key: "k", value: "v", effect: "NoExecute" }] } }),
    ];
    const pod = aPod("p", { spec: { containers: requesting({ cpu: "2" }) } });
    assert.equal(
      message(pod, nodes),
      "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {k: v}.",
    );
  });

  test("a pod that cannot be placed gets the condition, once, and is asked again later", () => {
    const pod = aPod("p", { spec: { containers: requesting({ cpu: "20" }) } });
    const first = decide(pod, [aNode("a")]);
    const [status] = first.commands;
    assert.ok(status?.do === "update-status");
    const marked = status.object as Pod;
    assert.deepEqual(marked.status?.conditions, [
      {
        type: "PodScheduled",
        status: "False",
        reason: "Unschedulable",
        message: "0/1 nodes are available: 1 Insufficient cpu.",
        lastTransitionTime: "2026-01-01T00:00:00Z",
      },
    ]);
    assert.equal(first.requeueAfterMs, 60_000);
    assert.deepEqual(decide(marked, [aNode("a")]).commands, []);
  });

  test("without any node it says so", () => {
    assert.equal(message(aPod("p"), []), "no nodes available to schedule pods");
  });

  test("pods of another scheduler, bound pods and pods on their way out are left alone", () => {
    const nodes = [aNode("a")];
    assert.deepEqual(decide(aPod("p", { spec: { schedulerName: "mine" } }), nodes).commands, []);
    assert.deepEqual(decide(aPod("p", { spec: { nodeName: "a" } }), nodes).commands, []);
    const leaving = aPod("p", { metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } });
    assert.deepEqual(decide(leaving, nodes).commands, []);
  });
});

describe("which changes wake it", () => {
  const [pods, nodes] = schedulerController.watches;
  const store = createStore();
  put(store, aPod("waiting"));
  const bound = aPod("bound", { spec: { nodeName: "a" } });
  put(store, bound);

  test("a heartbeat wakes nobody, an uncordoned node wakes the waiting pods", () => {
    const cordoned = aNode("a", { spec: { unschedulable: true } });
    const heard = aNode("a", { spec: { unschedulable: true }, heardAt: "2026-01-01T00:01:00Z" });
    assert.deepEqual(nodes?.keys(heard, cordoned, store), []);
    assert.deepEqual(nodes?.keys(aNode("a"), cordoned, store), ["default/waiting"]);
  });

  test("a status change of a bound pod wakes nobody, its end wakes the waiting pods", () => {
    const running = { ...bound, status: { phase: "Running" as const } };
    const ended = { ...bound, status: { phase: "Failed" as const } };
    assert.deepEqual(pods?.keys(running, bound, store), []);
    assert.deepEqual(pods?.keys(ended, running, store), ["default/waiting"]);
  });
});
