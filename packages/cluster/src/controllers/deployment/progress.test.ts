import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Deployment, DeploymentStatus } from "@slipway/kube";
import {
  condition,
  isComplete,
  isTimedOut,
  untilDeadlineMs,
  withCondition,
  withProgress,
} from "./progress.ts";

const START = Date.UTC(2026, 0, 1);

function deployment(status: DeploymentStatus, progressDeadlineSeconds = 10, replicas = 2): Deployment {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", generation: 1 },
    spec: {
      replicas,
      progressDeadlineSeconds,
      selector: { matchLabels: { app: "web" } },
      template: { spec: { containers: [] } },
    },
    status,
  };
}

const progressing = (reason: string, status: "True" | "False" | "Unknown" = "True"): DeploymentStatus => ({
  conditions: [condition("Progressing", status, reason, "", START)],
});

describe("the deadline", () => {
  const rows: readonly [string, DeploymentStatus, number, boolean, number | undefined][] = [
    // what, status, seconds since the last progress -> timed out, asked again after ms
    ["runs from the last progress", progressing("ReplicaSetUpdated"), 0, false, 11_000],
    ["is asked about when it is near", progressing("ReplicaSetUpdated"), 9, false, 2000],
    ["has not passed at its very second", progressing("ReplicaSetUpdated"), 10, false, 1000],
    ["passes after it", progressing("ReplicaSetUpdated"), 11, true, 1000],
    ["runs from the creation of the ReplicaSet too", progressing("NewReplicaSetCreated"), 11, true, 1000],
    ["runs on after a pause was lifted", progressing("DeploymentResumed", "Unknown"), 11, true, 1000],
    ["stays passed", progressing("ProgressDeadlineExceeded", "False"), 0, true, undefined],
    ["is over after success", progressing("NewReplicaSetAvailable"), 600, false, undefined],
    ["needs a condition to run from", {}, 600, false, undefined],
  ];
  for (const [what, status, seconds, timedOut, again] of rows) {
    test(what, () => {
      const now = START + seconds * 1000;
      assert.equal(isTimedOut(deployment(status), status, now), timedOut);
      assert.equal(untilDeadlineMs(deployment(status), status, now), again);
    });
  }

  test("does not exist at its largest value", () => {
    const status = progressing("ReplicaSetUpdated");
    assert.equal(isTimedOut(deployment(status, 2_147_483_647), status, START + 1e9), false);
    assert.equal(untilDeadlineMs(deployment(status, 2_147_483_647), status, START), undefined);
  });
});

describe("whether a rollout is complete", () => {
  const rows: readonly [string, DeploymentStatus, boolean][] = [
    ["all updated, available, none left", { replicas: 2, updatedReplicas: 2, availableReplicas: 2 }, true],
    ["one not available", { replicas: 2, updatedReplicas: 2, availableReplicas: 1 }, false],
    ["one not updated", { replicas: 2, updatedReplicas: 1, availableReplicas: 2 }, false],
    ["an old one left", { replicas: 3, updatedReplicas: 2, availableReplicas: 3 }, false],
  ];
  for (const [what, status, expected] of rows) {
    test(what, () =>
      assert.equal(isComplete(deployment({}), { ...status, observedGeneration: 1 }), expected),
    );
  }
  test("not before the generation was seen", () => {
    const status = { replicas: 2, updatedReplicas: 2, availableReplicas: 2, observedGeneration: 0 };
    assert.equal(isComplete(deployment({}), status), false);
  });
});

describe("what a look at the rollout reports", () => {
  const reasonOf = (
    before: DeploymentStatus,
    counted: DeploymentStatus,
    seconds: number,
  ): string | undefined =>
    withProgress(
      deployment(before),
      { ...counted, ...(before.conditions && { conditions: before.conditions }) },
      undefined,
      START + seconds * 1000,
    ).conditions?.find(({ type }) => type === "Progressing")?.reason;

  test("progress, when pods were updated, even after the deadline", () => {
    const before = { ...progressing("ProgressDeadlineExceeded", "False"), replicas: 2 };
    assert.equal(reasonOf(before, { replicas: 2, updatedReplicas: 1 }, 60), "ReplicaSetUpdated");
  });
  test("success, when complete", () => {
    const counted = { replicas: 2, updatedReplicas: 2, availableReplicas: 2, observedGeneration: 1 };
    assert.equal(reasonOf(progressing("ReplicaSetUpdated"), counted, 60), "NewReplicaSetAvailable");
  });
  test("the deadline, when nothing moved", () => {
    assert.equal(reasonOf(progressing("ReplicaSetUpdated"), {}, 60), "ProgressDeadlineExceeded");
  });
  test("nothing new, while there is time", () => {
    assert.equal(reasonOf(progressing("NewReplicaSetCreated"), {}, 5), "NewReplicaSetCreated");
  });
  test("still success, when pods fail after it", () => {
    const before = { ...progressing("NewReplicaSetAvailable"), replicas: 2, updatedReplicas: 2 };
    assert.equal(reasonOf(before, { replicas: 2, updatedReplicas: 2 }, 600), "NewReplicaSetAvailable");
  });
});

test("a condition with the same status keeps its transition time, with the same reason everything", () => {
  const first = progressing("NewReplicaSetCreated");
  const second = withCondition(
    first,
    condition("Progressing", "True", "ReplicaSetUpdated", "m", START + 5000),
  );
  assert.equal(second.conditions?.[0]?.lastTransitionTime, "2026-01-01T00:00:00Z");
  assert.equal(second.conditions?.[0]?.lastUpdateTime, "2026-01-01T00:00:05Z");
  assert.equal(
    withCondition(second, condition("Progressing", "True", "ReplicaSetUpdated", "x", START + 9000)),
    second,
  );
});
