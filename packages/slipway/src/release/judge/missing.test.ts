/** What was applied and is not there: not there yet, or deleted since. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Deployment } from "@slipway/kube";
import { causeSentence } from "./causes.ts";
import { judge } from "./judge.ts";
import type { Judgement, Seen } from "./judgement.ts";

function deployment(uid: string, generation: number): Deployment {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace: "shop", uid, generation },
    spec: { replicas: 0, selector: {}, template: { spec: { containers: [] } } },
    status: { observedGeneration: generation },
  };
}

/** Looks one after the other, each at its own time: what is there then, and what is judged of it. */
function looks(): (at: number, ...deployments: readonly Deployment[]) => Judgement {
  let seen: Seen = new Map();
  return (at, ...deployments) => {
    const judged = judge(
      {
        cluster: "tokyo",
        kubectl: "kubectl --context tokyo",
        expected: [{ kind: "Deployment", namespace: "shop", name: "web", generation: 2 }],
        deployments,
        ...{ replicaSets: [], pods: [], events: [], baseline: new Map(), images: new Map() },
      },
      seen,
      at,
    );
    seen = judged.seen;
    return judged.judgement;
  };
}

const told = (judgement: Judgement): string => {
  if (judgement.verdict === "ok") return "ok";
  if (judgement.verdict === "doomed") return `doomed ${judgement.cause.code}`;
  return `waiting ${judgement.causes.map(({ code }) => code).join()}`;
};

test("what was there and is gone is told as deleted, ten seconds later", () => {
  const look = looks();
  assert.equal(told(look(0)), "waiting RolloutNotObserved");
  assert.equal(told(look(1_000, deployment("a", 2))), "ok");
  assert.equal(told(look(2_000)), "waiting WorkloadDeleted");
  assert.equal(told(look(11_999)), "waiting WorkloadDeleted");
  const judgement = look(12_000);
  assert.ok(judgement.verdict === "doomed");
  const { cause } = judgement;
  assert.equal(
    causeSentence(cause),
    "tokyo: Deployment web: was applied and is gone: somebody has deleted it since (WorkloadDeleted)",
  );
  assert.equal(cause.command, "kubectl --context tokyo -n shop get events --sort-by=.lastTimestamp");
  assert.equal(cause.blame, "cluster");
});

test("what is made anew meanwhile is judged as what it is", () => {
  const look = looks();
  look(0, deployment("a", 2));
  look(1_000);
  assert.equal(told(look(2_000, deployment("b", 1))), "waiting RolloutNotObserved", "not what was applied");
  assert.equal(told(look(20_000, deployment("b", 2))), "ok");
  assert.equal(told(look(30_000)), "waiting WorkloadDeleted", "the ten seconds begin again");
});

test("what was never there has not been seen", () => {
  const look = looks();
  assert.equal(told(look(0)), "waiting RolloutNotObserved");
  assert.equal(told(look(60_000)), "doomed RolloutNotObserved");
});
