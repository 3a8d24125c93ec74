import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Pod } from "@slipway/kube";
import { podsToDelete } from "./ranking.ts";

const NOW = Date.UTC(2026, 0, 1, 12);
const ago = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString().replace(".000", "");

interface Traits {
  readonly node?: string | undefined;
  readonly phase?: "Pending" | "Unknown" | "Running";
  /** Seconds since it became ready; not ready when absent. */
  readonly readyFor?: number;
  readonly restarts?: number;
  /** Seconds since its creation. */
  readonly age?: number;
  readonly cost?: string;
}

function pod(name: string, traits: Traits): Pod {
  const { node = "node-1", phase = "Running", readyFor, restarts = 0, age = 1000, cost } = traits;
  const annotations: Record<string, string> =
    cost === undefined ? {} : { "controller.kubernetes.io/pod-deletion-cost": cost };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, uid: name, creationTimestamp: ago(age), annotations },
    spec: { containers: [], ...("node" in traits && traits.node === undefined ? {} : { nodeName: node }) },
    status: {
      phase,
      conditions: [
        readyFor === undefined
          ? { type: "Ready", status: "False" }
          : { type: "Ready", status: "True", lastTransitionTime: ago(readyFor) },
      ],
      containerStatuses: [
        { name: "web", ready: readyFor !== undefined, restartCount: restarts, image: "", imageID: "" },
      ],
    },
  };
}

describe("which of two pods dies first", () => {
  // The uids would decide for the survivor, so that only the named trait can explain the victim.
  const rows: readonly [string, Traits, Traits][] = [
    ["not assigned before assigned", { node: undefined, phase: "Pending" }, { phase: "Pending" }],
    ["pending before running", { phase: "Pending" }, { phase: "Running" }],
    ["pending before unknown", { phase: "Pending" }, { phase: "Unknown" }],
    ["unknown before running", { phase: "Unknown" }, { phase: "Running" }],
    [
      "not assigned before pending elsewhere",
      { node: undefined, phase: "Running", readyFor: 9 },
      { phase: "Pending" },
    ],
    ["not ready before ready", {}, { readyFor: 10 }],
    ["not ready before ready, even when it costs more", { cost: "100" }, { readyFor: 10, cost: "1" }],
    ["lower deletion cost before higher", { readyFor: 900, cost: "-5" }, { readyFor: 1 }],
    ["a cost that is no number is 0", { readyFor: 900, cost: "+3" }, { readyFor: 1, cost: "1" }],
    ["ready for less before ready for longer", { readyFor: 10 }, { readyFor: 1000 }],
    ["more restarts before fewer", { restarts: 3 }, { restarts: 1 }],
    [
      "more restarts before fewer, also when both are ready equally long",
      { readyFor: 60, restarts: 3 },
      { readyFor: 60 },
    ],
    ["newer before older", { age: 10 }, { age: 1000 }],
    ["newer before older only when all else is equal", { restarts: 1, age: 1000 }, { age: 10 }],
  ];
  for (const [what, victim, survivor] of rows) {
    test(what, () => {
      const pods = [pod("a-survivor", survivor), pod("z-victim", victim)];
      const [dead] = podsToDelete(pods, pods, 1, { minReadySeconds: 0, now: NOW });
      assert.equal(dead?.metadata.name, "z-victim");
    });
  }

  test("ages of one power of two are equal, and the uid decides", () => {
    // 40 s and 60 s lie between 2^35 ns (34 s) and 2^36 ns (69 s); 30 s does not.
    const choose = (a: number, b: number): string | undefined => {
      const pods = [pod("a", { readyFor: a }), pod("b", { readyFor: b })];
      return podsToDelete(pods, pods, 1, { minReadySeconds: 0, now: NOW })[0]?.metadata.name;
    };
    assert.equal(choose(60, 40), "a");
    assert.equal(choose(60, 30), "b");
  });

  test("a pod that shares its node with a sibling, of whichever ReplicaSet, before one that is alone", () => {
    const pods = [pod("a", { node: "node-1", readyFor: 10 }), pod("b", { node: "node-2", readyFor: 900 })];
    const sibling = pod("old", { node: "node-2", readyFor: 900 });
    const [dead] = podsToDelete(pods, [...pods, sibling], 1, { minReadySeconds: 0, now: NOW });
    assert.equal(dead?.metadata.name, "b");
  });

  test("not yet available before available, before where they run counts", () => {
    const pods = [
      pod("a", { node: "node-1", readyFor: 100 }),
      pod("b", { node: "node-1", readyFor: 100 }),
      pod("c", { node: "node-2", readyFor: 2 }),
    ];
    const [dead] = podsToDelete(pods, pods, 1, { minReadySeconds: 5, now: NOW });
    assert.equal(dead?.metadata.name, "c");
    const [without] = podsToDelete(pods, pods, 1, { minReadySeconds: 0, now: NOW });
    assert.equal(without?.metadata.name, "a");
  });

  test("all, when all must go", () => {
    const pods = [pod("a", {}), pod("b", {})];
    assert.equal(podsToDelete(pods, pods, 5, { minReadySeconds: 0, now: NOW }).length, 2);
  });
});
