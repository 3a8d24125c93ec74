/** Two Deployments whose containers have the same name, and what is said and held when one of them ends during the bake. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ContainerStateTerminated, Deployment, Pod, ReplicaSet } from "@slipway/kube";
import { heldAfter } from "../history/held-after.ts";
import { parseManifest } from "../manifests/manifests.ts";
import { recordOf } from "../testing.ts";
import { type Cause, causeSentence } from "./causes.ts";
import { baselineOf } from "./crash.ts";
import { newPodsOf, type RolloutSnapshot } from "./snapshot.ts";
import { restartedWhileBaking } from "./while-baking.ts";

const REVISION = { "deployment.kubernetes.io/revision": "1" };
const owner = (kind: string, name: string) => ({
  ...{ apiVersion: "apps/v1", kind, name, uid: `${kind} ${name}`, controller: true },
});

function deployment(name: string): Deployment {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: {
      ...{ name, namespace: "default", uid: `Deployment ${name}`, generation: 1, annotations: REVISION },
    },
    spec: { replicas: 1, selector: {}, template: { spec: { containers: [] } } },
    status: { observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 1 },
  };
}

function replicaSet(name: string): ReplicaSet {
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      ...{ name: `${name}-1`, namespace: "default", uid: `ReplicaSet ${name}-1`, annotations: REVISION },
      ownerReferences: [owner("Deployment", name)],
    },
    spec: { selector: {}, template: { spec: { containers: [] } } },
    status: { replicas: 1, availableReplicas: 1 },
  };
}

/** With its container `app` running; `end` is how the one before it ended. */
function pod(name: string, end?: ContainerStateTerminated): Pod {
  const restartCount = end === undefined ? 0 : 1;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      ...{ name: `${name}-1-x`, namespace: "default", uid: `Pod ${name}` },
      ownerReferences: [owner("ReplicaSet", `${name}-1`)],
    },
    spec: { containers: [{ name: "app", image: name, resources: { limits: { memory: "64Mi" } } }] },
    status: {
      phase: "Running",
      containerStatuses: [
        {
          ...{ name: "app", ready: true, restartCount, image: name, imageID: "", state: { running: {} } },
          ...(end === undefined ? {} : { lastState: { terminated: end } }),
        },
      ],
    },
  };
}

function seen(pods: readonly Pod[]): RolloutSnapshot {
  const names = ["web", "worker"];
  return {
    cluster: "tokyo",
    kubectl: "kubectl --context tokyo",
    expected: names.map((name) => ({ kind: "Deployment", namespace: "default", name, generation: 1 })),
    deployments: names.map(deployment),
    replicaSets: names.map(replicaSet),
    pods,
    events: [],
    baseline: new Map(),
    images: new Map(),
  };
}

const well = seen([pod("web"), pod("worker")]);
const baked = baselineOf(newPodsOf(well));
const causeAfter = (end: ContainerStateTerminated): Cause | undefined =>
  restartedWhileBaking(seen([pod("web"), pod("worker", end)]), baked)?.cause;

test("nothing that ended before the bake is held against it", () => {
  assert.equal(restartedWhileBaking(well, baked), undefined);
  const earlier = seen([pod("web", { exitCode: 1 }), pod("worker")]);
  assert.equal(restartedWhileBaking(earlier, baselineOf(newPodsOf(earlier))), undefined);
});

test("a container that ends during the bake is named with its Deployment, and how it ended", () => {
  const ends: readonly (readonly [ContainerStateTerminated, string])[] = [
    [{ exitCode: 3, reason: "Error" }, "exit code 3"],
    [{ exitCode: 139, reason: "Error" }, "killed by SIGSEGV (exit code 139)"],
    [{ exitCode: 137, reason: "OOMKilled" }, "killed for using more than its memory limit of 64Mi"],
  ];
  for (const [end, how] of ends) {
    const cause = causeAfter(end);
    assert.equal(
      cause === undefined ? "" : causeSentence(cause),
      `tokyo: Deployment worker, pod worker-1-x, container app: was ready and then ended during the bake time: ${how} (RestartedWhileBaking)`,
    );
    assert.equal(cause?.object.replicaSet, "worker-1");
  }
});

test("the image that is held is the one of the Deployment that the container is of", () => {
  const manifest = (name: string, namespace = "default"): string => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} } }
    spec: { containers: [{ name: app, image: "registry.test/${name}@sha256:${namespace}-${name}" }] }
`;
  const texts = [manifest("web"), manifest("worker", "batch"), manifest("worker")];
  const objects = texts.flatMap((text) => parseManifest(text, "all.yaml").map(({ object }) => object));
  const record = recordOf(2, { objects, content: "sha256:content" });
  const cause = causeAfter({ exitCode: 3 });
  const restored = { to: 1, ok: true };
  const clusters = { tokyo: { verdict: "failed", step: "done", cause, restored } } as const;
  assert.deepEqual(heldAfter(record, clusters, undefined), ["sha256:content", "sha256:default-worker"]);
});
