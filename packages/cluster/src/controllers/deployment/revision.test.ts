import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Deployment, ReplicaSet } from "@slipway/kube";
import { expiredReplicaSets, newReplicaSetAnnotations, REVISION, REVISION_HISTORY } from "./revision.ts";

const selector = { matchLabels: { app: "web" } };
const template = {
  metadata: { labels: { app: "web" } },
  spec: { containers: [{ name: "web", image: "web:1" }] },
};

function deployment(annotations: Record<string, string> = {}, revisionHistoryLimit = 2): Deployment {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", annotations },
    spec: { selector, template, revisionHistoryLimit },
  };
}

function replicaSet(revision: number, replicas = 0, pods = 0): ReplicaSet {
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: { name: `web-${revision}`, generation: 1, annotations: { [REVISION]: String(revision) } },
    spec: { replicas, selector, template },
    status: { replicas: pods, observedGeneration: 1 },
  };
}

describe("the revision of the new ReplicaSet", () => {
  const rows: readonly [
    string,
    string | undefined,
    string | undefined,
    number,
    string,
    string | undefined,
  ][] = [
    // what, revision, history, next -> revision, history
    ["a new one takes the next", undefined, undefined, 3, "3", undefined],
    ["a current one keeps its own", "3", undefined, 3, "3", undefined],
    ["one above all others keeps its own", "7", undefined, 3, "7", undefined],
    ["a former one takes the next and remembers", "1", undefined, 4, "4", "1"],
    ["and remembers again", "4", "1", 6, "6", "1,4"],
  ];
  for (const [what, revision, history, next, expected, expectedHistory] of rows) {
    test(what, () => {
      const current = {
        ...(revision === undefined ? {} : { [REVISION]: revision }),
        ...(history === undefined ? {} : { [REVISION_HISTORY]: history }),
      };
      const annotations = newReplicaSetAnnotations(deployment(), current, next);
      assert.deepEqual([annotations[REVISION], annotations[REVISION_HISTORY]], [expected, expectedHistory]);
    });
  }

  test("a long history loses its oldest numbers", () => {
    const history = Array.from({ length: 500 }, (_, index) => String(1000 + index)).join(",");
    const annotations = newReplicaSetAnnotations(
      deployment(),
      { [REVISION]: "2000", [REVISION_HISTORY]: history },
      2001,
    );
    const kept = annotations[REVISION_HISTORY] ?? "";
    assert.ok(kept.length <= 2000);
    assert.ok(kept.endsWith(",1499,2000"));
    assert.ok(!kept.startsWith("1000,"));
  });

  test("the Deployment's annotations are copied, except those that are each one's own", () => {
    const source = deployment({
      "kubernetes.io/change-cause": "hotfix",
      "kubectl.kubernetes.io/last-applied-configuration": "{}",
      [REVISION]: "9",
    });
    assert.deepEqual(newReplicaSetAnnotations(source, {}, 1), {
      "kubernetes.io/change-cause": "hotfix",
      [REVISION]: "1",
    });
  });
});

describe("which old ReplicaSets are deleted", () => {
  const names = (limit: number, old: readonly ReplicaSet[]): readonly string[] =>
    expiredReplicaSets(deployment({}, limit), old).map(({ metadata }) => metadata.name);

  test("the lowest revisions above the limit", () => {
    assert.deepEqual(names(2, [replicaSet(4), replicaSet(1), replicaSet(3), replicaSet(2)]), [
      "web-1",
      "web-2",
    ]);
  });
  test("none within the limit", () => assert.deepEqual(names(2, [replicaSet(1), replicaSet(2)]), []));
  test("all with limit 0", () =>
    assert.deepEqual(names(0, [replicaSet(1), replicaSet(2)]), ["web-1", "web-2"]));
  test("none that should have or still has pods", () => {
    assert.deepEqual(names(0, [replicaSet(1, 1), replicaSet(2, 0, 1), replicaSet(3)]), ["web-3"]);
  });
  test("none whose status is behind", () => {
    const behind = replicaSet(1);
    assert.deepEqual(names(0, [{ ...behind, metadata: { ...behind.metadata, generation: 2 } }]), []);
  });
});
