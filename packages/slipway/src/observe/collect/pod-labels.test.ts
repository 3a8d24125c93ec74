import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "@slipway/kube";
import {
  labelsOfPath,
  labelsOfPod,
  type ReleaseFact,
  releaseOfPod,
  serviceOfPod,
  tagOf,
} from "./pod-labels.ts";
import { podLog } from "./testing.ts";

const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;
const at = (minute: number): number => Date.UTC(2026, 0, 1, 12, minute);

function pod(image: string, minute: number, metadata: Partial<Pod["metadata"]> = {}): Pod {
  const creationTimestamp = new Date(at(minute)).toISOString().replace(".000", "");
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web-5d9c7b4f6-x2x7q", namespace: "shop", creationTimestamp, ...metadata },
    spec: { nodeName: "node-a", containers: [{ name: "web", image }] },
  } as Pod;
}

function release(number: number, minute: number, letter: string, clusters = ["osaka"]): ReleaseFact {
  return { number, commit: `commit${number}`, startedAt: at(minute), digests: [digest(letter)], clusters };
}

/** Release 3 is a rollback to what 1 shipped. */
const releases = [release(3, 30, "a"), release(2, 20, "b"), release(1, 10, "a")];

const cases: readonly [what: string, pod: Pod, release: number, commit: string][] = [
  ["made by the first", pod(`r/web:v1@${digest("a")}`, 11), 1, "commit1"],
  ["of the second", pod(`r/web:v2@${digest("b")}`, 21), 2, "commit2"],
  ["of the rollback, though of the first's image", pod(`r/web:v1@${digest("a")}`, 31), 3, "commit3"],
  ["of before any release", pod(`r/web:v1@${digest("a")}`, 9), 0, "v1"],
  ["of an image that no release had", pod(`r/web:hot@${digest("f")}`, 40), 0, "hot"],
  ["without a digest", pod("r/web:v1", 11), 0, "v1"],
  ["made in the second in which the release began", pod(`r/web:v1@${digest("a")}`, 10), 1, "commit1"],
];

for (const [what, one, number, commit] of cases) {
  test(`the release of a pod ${what}`, () => {
    for (const order of [releases, releases.toReversed()])
      assert.deepEqual(releaseOfPod(one, "osaka", order), { release: number, commit });
  });
}

test("a release that did not go to this cluster made none of its pods", () => {
  const elsewhere = release(4, 32, "a", ["tokyo"]);
  assert.equal(releaseOfPod(pod(`r/web@${digest("a")}`, 33), "osaka", [elsewhere, ...releases]).release, 3);
});

test("a pod made in the same second, after its release began", () => {
  const late = { ...release(1, 10, "a"), startedAt: at(10) + 700 };
  assert.equal(releaseOfPod(pod(`r/web@${digest("a")}`, 10), "osaka", [late]).release, 1);
});

test("tags of images", () => {
  for (const [image, tag] of [
    ["registry:5000/web", ""],
    ["registry:5000/web:v1.2", "v1.2"],
    [`registry:5000/a/web:4c1f@${digest("a")}`, "4c1f"],
    [`web@${digest("a")}`, ""],
    ["", ""],
  ] as const)
    assert.equal(tagOf(image), tag, image);
});

const owned = (kind: string, name: string, labels = {}): Pod =>
  pod("web", 1, {
    labels,
    ownerReferences: [{ apiVersion: "apps/v1", kind, name, uid: "1", controller: true }],
  });

test("the service of a pod is the workload that somebody wrote", () => {
  assert.equal(serviceOfPod(owned("ReplicaSet", "web-5d9c", { "pod-template-hash": "5d9c" })), "web");
  assert.equal(serviceOfPod(owned("ReplicaSet", "by-hand")), "by-hand");
  assert.equal(serviceOfPod(owned("StatefulSet", "db")), "db");
  assert.equal(serviceOfPod(owned("Job", "migrate")), "migrate");
  assert.equal(serviceOfPod(owned("Job", "report-28930500")), "report");
  assert.equal(serviceOfPod(pod("web", 1)), "web-5d9c7b4f6-x2x7q");
});

test("labels from the pod, and from the path when there is none", () => {
  assert.deepEqual(labelsOfPod(pod(`r/web:v1@${digest("a")}`, 11), podLog(), releases), {
    origin: "pod",
    cluster: "osaka",
    namespace: "shop",
    node: "node-a",
    pod: "web-5d9c7b4f6-x2x7q",
    container: "web",
    service: "web-5d9c7b4f6-x2x7q",
    release: 1,
    commit: "commit1",
  });
  const path = labelsOfPath(podLog({ namespace: "shop", pod: "web-5d9c7b4f6-x2x7q", node: "node-a" }));
  assert.deepEqual([path.pod, path.service, path.release], ["web-5d9c7b4f6-x2x7q", "web", 0]);
  assert.equal(labelsOfPath(podLog()).pod, "uid-1");
});
