import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "@slipway/kube";
import type { StatefulSet } from "../judge/workload.ts";
import { stuckPods } from "./stuck-pods.ts";

function set(spec: Partial<StatefulSet["spec"]> = {}, generation = 2): StatefulSet {
  return {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: { name: "db", namespace: "shop", uid: "s", generation },
    spec: { replicas: 3, selector: {}, template: { spec: { containers: [] } }, ...spec },
    status: { observedGeneration: 2, updateRevision: "good" },
  };
}

function pod(ordinal: number, revision: string, ready: boolean, changes: Partial<Pod["metadata"]> = {}): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `db-${ordinal}`,
      uid: `p${ordinal}`,
      labels: { "controller-revision-hash": revision },
      ownerReferences: [
        { apiVersion: "apps/v1", kind: "StatefulSet", name: "db", uid: "s", controller: true },
      ],
      ...changes,
    },
    spec: { containers: [] },
    status: { conditions: [{ type: "Ready", status: ready ? "True" : "False" }] },
  } as Pod;
}

const broken = [pod(0, "good", true), pod(1, "good", true), pod(2, "bad", false)];

const rows: readonly (readonly [string, StatefulSet, readonly Pod[], readonly string[]])[] = [
  ["the broken pod that the set waits for", set(), broken, ["db-2"]],
  ["an old pod that is ready goes in its turn", set(), [pod(2, "bad", true)], []],
  ["a new pod that is not ready yet is the judge's matter", set(), [pod(2, "good", false)], []],
  [
    "one that is going already",
    set(),
    [pod(2, "bad", false, { deletionTimestamp: "2026-01-01T00:00:00Z" })],
    [],
  ],
  ["a pod of somebody else", set(), [pod(2, "bad", false, { ownerReferences: [] })], []],
  ["Parallel waits for nobody", set({ podManagementPolicy: "Parallel" }), broken, []],
  ["OnDelete replaces nobody", set({ updateStrategy: { type: "OnDelete" } }), broken, []],
  [
    "below the partition nobody is to be replaced",
    set({ updateStrategy: { rollingUpdate: { partition: 3 } } }),
    broken,
    [],
  ],
  ["a status of before the apply says nothing", set({}, 3), broken, []],
  [
    "while a wanted pod is not ready, the set waits for that one",
    set(),
    [pod(0, "good", false), pod(2, "bad", false)],
    [],
  ],
  [
    "a partition counts from the first ordinal",
    set({ ordinals: { start: 5 }, updateStrategy: { rollingUpdate: { partition: 1 } } }),
    [pod(5, "bad", false), pod(6, "bad", false)],
    ["db-6"],
  ],
];

for (const [what, statefulSet, pods, expected] of rows)
  test(what, () => {
    assert.deepEqual(
      stuckPods([statefulSet], pods, true).map(({ metadata }) => metadata.name),
      expected,
    );
  });

test("forward, only what cannot get well by itself is ended", () => {
  const recovering = pod(1, "old", false);
  const waiting = { name: "db", ready: false, state: { waiting: { reason: "CrashLoopBackOff" } } };
  const crashing = {
    ...pod(2, "old", false),
    status: { ...pod(2, "old", false).status, containerStatuses: [waiting] },
  } as unknown as Pod;
  const found = stuckPods([set()], [recovering, crashing], false);
  assert.deepEqual(
    found.map(({ metadata }) => metadata.name),
    ["db-2"],
  );
});
