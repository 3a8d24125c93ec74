import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createStore, type PodDisruptionBudget, type ReplicaSet } from "@slipway/kube";
import { aRunningPod, put } from "../../testing.ts";
import { disruptionController } from "./disruption.ts";

const NOW = Date.UTC(2026, 0, 1);
type Spec = Pick<PodDisruptionBudget["spec"], "minAvailable" | "maxUnavailable">;

function statusOf(spec: Spec, replicas: number, pods: number, ready: number) {
  const store = createStore();
  const selector = { matchLabels: { app: "web" } };
  put(
    store,
    {
      apiVersion: "policy/v1",
      kind: "PodDisruptionBudget",
      metadata: { name: "web", namespace: "default", generation: 1 },
      spec: { ...spec, selector },
    } as PodDisruptionBudget,
    {
      apiVersion: "apps/v1",
      kind: "ReplicaSet",
      metadata: { name: "web", namespace: "default", uid: "rs" },
      spec: { replicas, selector, template: { spec: { containers: [] } } },
    } as ReplicaSet,
  );
  const ownerReferences = [
    { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web", uid: "rs", controller: true },
  ];
  for (let index = 0; index < pods; index += 1) {
    const metadata = { labels: { app: "web" }, ownerReferences };
    put(store, aRunningPod(`p${index}`, `10.244.0.${index}`, { metadata, ready: index < ready }));
  }
  const [command] = disruptionController.decide(store, "default/web", NOW).commands;
  assert.ok(command?.do === "update-status");
  const { status } = command.object as PodDisruptionBudget;
  assert.ok(status !== undefined);
  const { expectedPods, desiredHealthy, currentHealthy, disruptionsAllowed } = status;
  return [expectedPods, desiredHealthy, currentHealthy, disruptionsAllowed];
}

describe("a budget's status: expected, desired, healthy, allowed", () => {
  const rows: readonly [Spec, number, number, number, number[]][] = [
    // [spec, replicas, pods, ready pods]
    [{ minAvailable: 2 }, 3, 3, 3, [3, 2, 3, 1]],
    [{ minAvailable: 2 }, 3, 3, 2, [3, 2, 2, 0]],
    [{ minAvailable: 2 }, 3, 3, 1, [3, 2, 1, 0]],
    // A number looks at the pods there are, not at the scale.
    [{ minAvailable: 2 }, 5, 3, 3, [3, 2, 3, 1]],
    // 80 % of 6 is 4.8: 5.
    [{ minAvailable: "80%" }, 6, 6, 6, [6, 5, 6, 1]],
    [{ maxUnavailable: 1 }, 3, 3, 3, [3, 2, 3, 1]],
    [{ maxUnavailable: 1 }, 3, 2, 2, [3, 2, 2, 0]],
    // 30 % of 5 is 1.5: 2 may be missing.
    [{ maxUnavailable: "30%" }, 5, 5, 5, [5, 3, 5, 2]],
    [{ maxUnavailable: 0 }, 3, 3, 3, [3, 3, 3, 0]],
    [{ maxUnavailable: 10 }, 3, 3, 3, [3, 0, 3, 3]],
    [{ minAvailable: 1 }, 0, 0, 0, [0, 1, 0, 0]],
  ];
  for (const [spec, replicas, pods, ready, expected] of rows) {
    test(`${JSON.stringify(spec)} of ${replicas}, ${ready} of ${pods} ready: ${expected.join(" ")}`, () => {
      assert.deepEqual(statusOf(spec, replicas, pods, ready), expected);
    });
  }
});
