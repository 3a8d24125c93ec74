import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { KubeObject } from "@slipway/kube";
import type { CheckOf, ObjectExpectation, ObjectsExpectation, WorkloadExpectation } from "../check.ts";
import { contains, patternOf } from "../cluster/match.ts";
import type { WorkloadView } from "../cluster/pods.ts";
import { judgeObject, judgeObjects, judgeWorkload } from "./objects.ts";

const digestOf = (letter: string): string => `sha256:${letter.repeat(64)}`;
const pod = (name: string, phase: string, more: object = {}): KubeObject =>
  ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      labels: { "pod-template-hash": "h" },
      ownerReferences: [{ uid: "rs", controller: true }],
    },
    spec: { containers: [{ name: "web", image: `registry/web@${digestOf("a")}` }] },
    status: { phase, conditions: [{ type: "Ready", status: "True" }], ...more },
  }) as unknown as KubeObject;

const object = (expectation: ObjectExpectation): Pick<CheckOf<"object">, "expectation"> => ({ expectation });
const objects = (expectation: ObjectsExpectation): Pick<CheckOf<"objects">, "expectation"> => ({
  expectation,
});

describe("one object", () => {
  const running = pod("a", "Running");
  const wanted = patternOf({ status: { phase: "Failed" } });
  const rows: readonly [string, ObjectExpectation, KubeObject | undefined, string, string][] = [
    ["exists", { matcher: "exists" }, running, "pass", ""],
    ["exists and is not there", { matcher: "exists" }, undefined, "fail", "there is no such object"],
    ["absent", { matcher: "absent" }, undefined, "pass", ""],
    ["absent and is there", { matcher: "absent" }, running, "fail", "it is there since ?"],
    ["matches", { matcher: "matches", pattern: patternOf({ kind: "Pod" }) }, running, "pass", ""],
    [
      "matches and is not there",
      { matcher: "matches", pattern: wanted },
      undefined,
      "fail",
      "there is no such object",
    ],
    [
      "matches and differs",
      { matcher: "matches", pattern: wanted },
      running,
      "fail",
      'status.phase: expected "Failed", found "Running"',
    ],
  ];
  for (const [name, expectation, seen, verdict, evidence] of rows) {
    test(name, () => assert.deepEqual(judgeObject(object(expectation), seen), { verdict, evidence }));
  }
});

describe("several objects", () => {
  const two = [pod("a", "Running"), pod("b", "Failed")];
  const failed = patternOf({ status: { phase: "Failed" } });
  const rows: readonly [string, ObjectsExpectation, readonly KubeObject[], string, RegExp][] = [
    ["none at all", { matcher: "none", pattern: undefined }, [], "pass", /^0 looked at$/],
    ["none at all, and there are", { matcher: "none", pattern: undefined }, two, "fail", /^2: a, b$/],
    [
      "none that matches",
      { matcher: "none", pattern: patternOf({ kind: "Job" }) },
      two,
      "pass",
      /^2 looked at$/,
    ],
    ["none that matches, and one does", { matcher: "none", pattern: failed }, two, "fail", /^1: b$/],
    ["some", { matcher: "some", pattern: failed }, two, "pass", /^$/],
    ["some of nothing", { matcher: "some", pattern: failed }, [], "fail", /finds no object/],
    [
      "some, with the nearest",
      { matcher: "some", pattern: patternOf({ status: { phase: "X" } }) },
      two,
      "fail",
      /none of 2; nearest is a/,
    ],
    [
      "every one",
      { matcher: "every", pattern: patternOf({ status: { conditions: contains({ type: "Ready" }) } }) },
      two,
      "pass",
      /^$/,
    ],
    [
      "every one of nothing holds nothing",
      { matcher: "every", pattern: failed },
      [],
      "fail",
      /finds no object/,
    ],
    ["every one, and one differs", { matcher: "every", pattern: failed }, two, "fail", /^a: status\.phase/],
    ["a count", { matcher: "count", count: 2 }, two, "pass", /^$/],
    ["another count", { matcher: "count", count: 3 }, two, "fail", /^2: a, b$/],
  ];
  for (const [name, expectation, seen, verdict, evidence] of rows) {
    test(name, () => {
      const judged = judgeObjects(objects(expectation), seen);
      assert.equal(judged.verdict, verdict);
      assert.match(judged.evidence, evidence);
    });
  }
});

describe("a workload", () => {
  const view = (pods: readonly KubeObject[], status: object = {}): WorkloadView =>
    ({
      workload: {
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: { name: "web", uid: "d", generation: 1 },
        spec: { replicas: 1 },
        status: { observedGeneration: 1, updatedReplicas: 1, availableReplicas: 1, ...status },
      },
      revisions: [
        {
          metadata: {
            name: "rs",
            uid: "rs",
            labels: { "pod-template-hash": "h" },
            annotations: { "deployment.kubernetes.io/revision": "1" },
            ownerReferences: [{ uid: "d", controller: true }],
          },
        },
      ],
      pods,
    }) as unknown as WorkloadView;
  const judge = (expectation: WorkloadExpectation, seen: WorkloadView, built: readonly string[] = []) =>
    judgeWorkload({ expectation } as CheckOf<"workload">, seen, built);
  const built: WorkloadExpectation = { matcher: "digest", digest: undefined };

  test("is available, or says what its pods wait for", () => {
    assert.equal(judge({ matcher: "available" }, view([pod("a", "Running")])).verdict, "pass");
    const waiting = pod("a", "Pending", {
      conditions: [],
      containerStatuses: [
        { name: "web", state: { waiting: { reason: "ImagePullBackOff", message: "not found" } } },
      ],
    });
    const judged = judge({ matcher: "available" }, view([waiting], { availableReplicas: 0 }));
    assert.equal(judged.verdict, "fail");
    assert.equal(judged.evidence, "0 of 1 pods are available\na web: ImagePullBackOff (not found)");
  });

  test("runs what was built, beside what others made, and nothing by a tag", () => {
    assert.equal(judge(built, view([pod("a", "Running")]), [digestOf("a")]).verdict, "pass");
    assert.equal(judge(built, view([pod("a", "Running")]), [digestOf("b")]).verdict, "fail");
    assert.equal(judge(built, view([]), [digestOf("a")]).verdict, "fail");
    assert.equal(
      judge({ matcher: "digest", digest: digestOf("a") }, view([pod("a", "Running")])).verdict,
      "pass",
    );
    assert.equal(
      judge({ matcher: "digest", digest: digestOf("b") }, view([pod("a", "Running")])).verdict,
      "fail",
    );
  });

  test("what its rollout leaves is final: its deadline is over, or it has the wrong image where nobody else changes it", () => {
    const isFinal = (expectation: WorkloadExpectation, seen: WorkloadView, isOwn: boolean) => {
      const judged = judgeWorkload({ expectation } as CheckOf<"workload">, seen, [digestOf("b")], isOwn);
      assert.equal(judged.verdict, "fail");
      return judged.isFinal === true;
    };
    const available: WorkloadExpectation = { matcher: "available" };
    const givenUp = { type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded" };
    const late = (status: object) => view([pod("a", "Pending")], { availableReplicas: 0, ...status });
    assert.equal(isFinal(available, late({}), true), false);
    assert.equal(isFinal(available, late({ conditions: [{ ...givenUp, status: "True" }] }), true), false);
    assert.equal(isFinal(available, late({ conditions: [givenUp] }), true), true);
    // Said of the change before.
    assert.equal(isFinal(available, late({ conditions: [givenUp], observedGeneration: 0 }), true), false);
    const over = view([pod("a", "Running")]);
    assert.equal(isFinal(built, over, true), true);
    assert.equal(isFinal(built, over, false), false);
    assert.equal(isFinal(built, view([pod("a", "Running")], { updatedReplicas: 0 }), true), false);
    assert.equal(isFinal(built, view([]), true), false);
  });

  describe("was not started again", () => {
    const expectation: WorkloadExpectation = { matcher: "noRestarts", ms: 0 };
    const status = (one: object) => ({ containerStatuses: [{ name: "web", restartCount: 0, ...one }] });
    const rows: readonly [string, readonly KubeObject[], string, string][] = [
      ["a ready pod", [pod("a", "Running")], "pass", ""],
      [
        "one that was",
        [pod("a", "Running", status({ restartCount: 2, lastState: { terminated: { exitCode: 137 } } }))],
        "fail",
        "a web: 2 restarts, exited 137 before",
      ],
      [
        "one that has just ended, and is not started again yet",
        [pod("a", "Running", status({ state: { terminated: { exitCode: 3 } } }))],
        "fail",
        "a web: exited 3",
      ],
      [
        "one that is not ready",
        [pod("a", "Running", { conditions: [{ type: "Ready", status: "False" }] })],
        "fail",
        "a runs and is not ready",
      ],
      ["no pod at all", [], "unknown", "its newest revision has no pods that could be started again"],
    ];
    for (const [name, pods, verdict, evidence] of rows) {
      test(name, () => {
        const judged = judge(expectation, view(pods));
        assert.deepEqual([judged.verdict, judged.evidence], [verdict, evidence]);
      });
    }
  });
});
