import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { KubeObject, Pod } from "@slipway/kube";
import { availability, currentPods, type Workload, type WorkloadView } from "./pods.ts";

const owner = (uid: string): object => ({ ownerReferences: [{ uid, controller: true }] });

function pod(
  name: string,
  uid: string,
  labels: Record<string, string>,
  more: { ready?: boolean; ending?: boolean } = {},
): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      labels,
      ...owner(uid),
      ...(more.ending ? { deletionTimestamp: "2024-05-01T10:00:00Z" } : {}),
    },
    spec: { containers: [] },
    status: { conditions: [{ type: "Ready", status: more.ready === false ? "False" : "True" }] },
  } as unknown as Pod;
}

const replicaSet = (uid: string, hash: string, revision: number, of = "d1"): KubeObject =>
  ({
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name: uid,
      uid,
      labels: { "pod-template-hash": hash },
      annotations: { "deployment.kubernetes.io/revision": String(revision) },
      ...owner(of),
    },
  }) as unknown as KubeObject;

const workload = (kind: string, more: object = {}): Workload =>
  ({
    apiVersion: "apps/v1",
    kind,
    metadata: { name: "web", uid: "d1", generation: 2 },
    spec: {},
    status: { observedGeneration: 2 },
    ...more,
  }) as unknown as Workload;

const names = (view: WorkloadView): readonly string[] =>
  currentPods(view).map(({ metadata }) => metadata.name);

describe("the pods that a check means", () => {
  test("of a Deployment: ready, not ending, of the newest ReplicaSet by revision and not by age", () => {
    const view: WorkloadView = {
      workload: workload("Deployment"),
      revisions: [
        replicaSet("rs1", "aaa", 3),
        replicaSet("rs2", "bbb", 10),
        replicaSet("other", "ccc", 99, "d2"),
      ],
      pods: [
        pod("old", "rs1", { "pod-template-hash": "aaa" }),
        pod("b", "rs2", { "pod-template-hash": "bbb" }),
        pod("a", "rs2", { "pod-template-hash": "bbb" }),
        pod("starting", "rs2", { "pod-template-hash": "bbb" }, { ready: false }),
        pod("ending", "rs2", { "pod-template-hash": "bbb" }, { ending: true }),
        pod("stranger", "other", { "pod-template-hash": "ccc" }),
      ],
    };
    assert.deepEqual(names(view), ["a", "b"]);
    assert.deepEqual(names({ ...view, revisions: [] }), []);
    // The newest ReplicaSet is still the one of before.
    const unseen = workload("Deployment", { status: { observedGeneration: 1 } });
    assert.deepEqual(names({ ...view, workload: unseen }), []);
  });

  test("of a StatefulSet: those of the revision that it updates to", () => {
    const view: WorkloadView = {
      workload: workload("StatefulSet", { status: { observedGeneration: 2, updateRevision: "web-2" } }),
      revisions: [],
      pods: [
        pod("web-0", "d1", { "controller-revision-hash": "web-1" }),
        pod("web-1", "d1", { "controller-revision-hash": "web-2" }),
      ],
    };
    assert.deepEqual(names(view), ["web-1"]);
  });

  test("of a DaemonSet: those of its newest ControllerRevision", () => {
    const revision = (name: string, hash: string, number: number): KubeObject =>
      ({
        apiVersion: "apps/v1",
        kind: "ControllerRevision",
        metadata: { name, labels: { "controller-revision-hash": hash }, ...owner("d1") },
        revision: number,
      }) as unknown as KubeObject;
    const view: WorkloadView = {
      workload: workload("DaemonSet"),
      revisions: [revision("r2", "bbb", 2), revision("r1", "aaa", 1)],
      pods: [
        pod("n1", "d1", { "controller-revision-hash": "aaa" }),
        pod("n2", "d1", { "controller-revision-hash": "bbb" }),
      ],
    };
    assert.deepEqual(names(view), ["n2"]);
  });
});

describe("available, or what is missing", () => {
  const rows: readonly [name: string, workload: Workload, missing: string | undefined][] = [
    [
      "a Deployment whose change was not seen yet",
      workload("Deployment", {
        spec: { replicas: 1 },
        status: { observedGeneration: 1, updatedReplicas: 1, availableReplicas: 1 },
      }),
      "its controller has not seen the newest change yet",
    ],
    [
      "a Deployment with old pods among the available ones",
      workload("Deployment", {
        spec: { replicas: 3 },
        status: { observedGeneration: 2, updatedReplicas: 1, availableReplicas: 3 },
      }),
      "1 of 3 pods are of the newest revision",
    ],
    [
      "a Deployment that is done",
      workload("Deployment", {
        spec: { replicas: 2 },
        status: { observedGeneration: 2, updatedReplicas: 2, availableReplicas: 2 },
      }),
      undefined,
    ],
    [
      "a Deployment of none",
      workload("Deployment", { spec: { replicas: 0 }, status: { observedGeneration: 2 } }),
      undefined,
    ],
    [
      "a StatefulSet counts ready pods: it has no others before 1.22",
      workload("StatefulSet", {
        spec: { replicas: 2 },
        status: { observedGeneration: 2, updatedReplicas: 2, readyReplicas: 1 },
      }),
      "1 of 2 pods are available",
    ],
    [
      "a DaemonSet wants as many as there are nodes for it",
      workload("DaemonSet", {
        status: {
          observedGeneration: 2,
          desiredNumberScheduled: 3,
          updatedNumberScheduled: 3,
          numberAvailable: 2,
        },
      }),
      "2 of 3 pods are available",
    ],
  ];
  for (const [name, one, missing] of rows) {
    test(name, () => assert.equal(availability({ workload: one }).missing, missing));
  }
});
