import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createStore, type KubeObject, type Lease, type Node, type Pod, type Taint } from "@slipway/kube";
import { aNode, aPod, aRunningPod, put } from "../../testing.ts";
import { nodeLifecycleController } from "./nodelifecycle.ts";

const NOW = Date.UTC(2026, 0, 1);
const at = (seconds: number): string => new Date(NOW + seconds * 1000).toISOString();

function lease(node: string, renewTime: string): Lease {
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name: node, namespace: "kube-node-lease" },
    spec: { holderIdentity: node, renewTime },
  };
}

function decide(objects: readonly KubeObject[], now = NOW) {
  const store = createStore();
  put(store, ...objects);
  return nodeLifecycleController.decide(store, "n", now);
}

const taintsOf = (decision: ReturnType<typeof decide>): readonly string[] | undefined => {
  const [command] = decision.commands;
  if (command?.do !== "update") return undefined;
  return ((command.object as Node).spec?.taints ?? []).map(({ key, effect }) => `${key}:${effect}`);
};

const unreachable: readonly Taint[] = [
  { key: "node.kubernetes.io/unreachable", effect: "NoSchedule", timeAdded: at(0) },
  { key: "node.kubernetes.io/unreachable", effect: "NoExecute", timeAdded: at(0) },
];

describe("a node that falls silent", () => {
  test("is left alone for 40 s after its last sign, then Ready turns Unknown", () => {
    const objects = [aNode("n", { heardAt: at(0) }), lease("n", at(5))];
    const early = decide(objects, NOW + 44_000);
    assert.deepEqual(early, { commands: [], requeueAfterMs: 1000 });
    const [status, event] = decide(objects, NOW + 45_000).commands;
    assert.ok(status?.do === "update-status" && event?.do === "event");
    assert.deepEqual((status.object as Node).status?.conditions?.[0], {
      type: "Ready",
      status: "Unknown",
      reason: "NodeStatusUnknown",
      message: "Kubelet stopped posting node status.",
      lastHeartbeatTime: at(0),
      lastTransitionTime: "2026-01-01T00:00:45Z",
    });
    assert.equal(event.message, "Node n status is now: NodeNotReady");
  });
});

describe("taints", () => {
  const rows: readonly [string, Parameters<typeof aNode>[1], readonly string[] | undefined][] = [
    ["a ready node has none", {}, undefined],
    [
      "a node that is not ready",
      { ready: "False" },
      ["node.kubernetes.io/not-ready:NoSchedule", "node.kubernetes.io/not-ready:NoExecute"],
    ],
    [
      "a node that is unknown",
      { ready: "Unknown" },
      ["node.kubernetes.io/unreachable:NoSchedule", "node.kubernetes.io/unreachable:NoExecute"],
    ],
    ["a node that became ready loses them", { spec: { taints: unreachable } }, []],
    ["a cordoned node", { spec: { unschedulable: true } }, ["node.kubernetes.io/unschedulable:NoSchedule"]],
    [
      "other people's taints stay",
      { ready: "False", spec: { taints: [{ key: "mine", effect: "NoSchedule" }] } },
      [
        "mine:NoSchedule",
        "node.kubernetes.io/not-ready:NoSchedule",
        "node.kubernetes.io/not-ready:NoExecute",
      ],
    ],
  ];
  for (const [name, node, expected] of rows) {
    test(`${name}: ${expected?.join(", ") ?? "nothing to do"}`, () => {
      assert.deepEqual(taintsOf(decide([aNode("n", node)])), expected);
    });
  }
});

describe("the pods of a lost node", () => {
  const lost = aNode("n", { ready: "Unknown", spec: { taints: unreachable } });
  const tolerating = (tolerationSeconds?: number) => [
    {
      key: "node.kubernetes.io/unreachable",
      operator: "Exists" as const,
      effect: "NoExecute" as const,
      ...(tolerationSeconds === undefined ? {} : { tolerationSeconds }),
    },
  ];

  test("are not ready at once, so that Services stop sending to them", () => {
    const pod = aRunningPod("p", "10.244.0.2", { spec: { nodeName: "n", tolerations: tolerating(300) } });
    const [status, event] = decide([lost, pod]).commands;
    assert.ok(status?.do === "update-status" && event?.do === "event");
    assert.equal((status.object as Pod).status?.conditions?.[0]?.status, "False");
    assert.equal(event.message, "Node is not ready");
  });

  const rows: readonly [
    string,
    ReturnType<typeof tolerating> | undefined,
    number,
    string[],
    number | undefined,
  ][] = [
    ["without a toleration goes at once", undefined, 0, ["event", "delete"], undefined],
    ["with 300 s stays until then", tolerating(300), 299, [], 1000],
    ["with 300 s goes after them", tolerating(300), 300, ["event", "delete"], undefined],
    ["that tolerates for ever stays", tolerating(), 86_400, [], undefined],
  ];
  for (const [name, tolerations, seconds, commands, requeueAfterMs] of rows) {
    test(`a pod ${name}`, () => {
      const pod = aRunningPod("p", "10.244.0.2", {
        ready: false,
        spec: { nodeName: "n", ...(tolerations === undefined ? {} : { tolerations }) },
      });
      const decision = decide([lost, pod], NOW + seconds * 1000);
      assert.deepEqual(
        decision.commands.map((command) => command.do),
        commands,
      );
      assert.equal(decision.requeueAfterMs, requeueAfterMs);
    });
  }
});

test("a pod on a node that does not exist is swept away after 40 s", () => {
  const pod = aPod("p", { spec: { nodeName: "n" } });
  assert.deepEqual(decide([pod], NOW + 39_000), { commands: [], requeueAfterMs: 1000 });
  const [command] = decide([pod], NOW + 40_000).commands;
  assert.ok(command?.do === "delete");
  assert.equal(command.gracePeriodSeconds, 0);
});
