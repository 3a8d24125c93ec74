/** Waves as tables: states in, commands out. No cluster, no clock. What holds in whatever order: decide.property.test.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { makeCause } from "../judge/causes.ts";
import {
  type ClusterState,
  decide,
  type Forward,
  type Restore,
  type WaveCommand,
  type WaveState,
} from "./decide.ts";

const cause = makeCause("ContainerCrash", {
  cluster: "tokyo",
  kubectl: "kubectl",
  object: { namespace: "default" },
  why: "crashed twice: exit code 1",
});
const pending: Forward = { step: "pending" };
const applying: Forward = { step: "applying", startedAt: 0 };
const waiting: Forward = { step: "rolling", startedAt: 0, okSince: undefined };
const okAt = (okSince: number): Forward => ({ step: "rolling", startedAt: 0, okSince });
const healthy: Forward = { step: "healthy", startedAt: 0, finishedAt: 1 };
const failed = (evidence: "missing" | "taking" | "taken" = "taken"): Forward => ({
  step: "failed",
  startedAt: 0,
  finishedAt: 1,
  cause,
  evidence,
});
const unknown: Forward = { step: "unknown", startedAt: 0, finishedAt: 1, reason: "no answer" };

const left: Forward = { ...unknown, isLeftBehind: true };
const requeued = (retryAt: number, startedAt?: number): Forward => ({
  step: "requeued",
  startedAt,
  reason: "no answer",
  retryAt,
});
const unwell = (unwellSince: number): Forward => ({ ...healthy, unwellSince }) as Forward;

function state(
  forwards: Readonly<Record<string, Forward | readonly [Forward, Restore["step"]]>>,
  changes: Partial<WaveState> = {},
): WaveState {
  const clusters: Record<string, ClusterState> = {};
  for (const [name, value] of Object.entries(forwards)) {
    const [forward, step] = Array.isArray(value) ? value : [value as Forward, "none"];
    const restore: Restore = step === "failed" ? { step, reason: "no" } : { step: step as "none" };
    clusters[name] = { forward: forward as Forward, restore };
  }
  return {
    waves: [["a"], ["b", "c"]],
    bakeMs: 1000,
    onFailure: "rollback-all",
    backTo: 6,
    clusters,
    stopped: undefined,
    ...changes,
  };
}

const rows: readonly [what: string, state: WaveState, commands: string, requeueAfterMs?: number][] = [
  ["nothing has begun", state({ a: pending, b: pending, c: pending }), "start a"],
  ["the first wave is being applied", state({ a: applying, b: pending, c: pending }), ""],
  ["the first wave is waiting", state({ a: waiting, b: pending, c: pending }), ""],
  ["the first wave bakes", state({ a: okAt(4800), b: pending, c: pending }), "", 800],
  ["the first wave has baked", state({ a: okAt(4000), b: pending, c: pending }), "settle a"],
  ["the first wave is healthy", state({ a: healthy, b: pending, c: pending }), "start b, start c"],
  ["one of two is still waiting", state({ a: healthy, b: okAt(0), c: waiting }), ""],
  ["two bake, the later one counts", state({ a: healthy, b: okAt(0), c: okAt(4500) }), "", 500],
  ["both have baked", state({ a: healthy, b: okAt(0), c: okAt(0) }), "settle b, settle c"],
  ["all are healthy", state({ a: healthy, b: healthy, c: healthy }), "finish healthy"],
  ["a cluster has failed", state({ a: failed("missing"), b: pending, c: pending }), "take-evidence a"],
  ["evidence is being taken", state({ a: failed("taking"), b: pending, c: pending }), ""],
  ["the evidence is there", state({ a: failed(), b: pending, c: pending }), "restore a"],
  ["it is going back", state({ a: [failed(), "running"], b: pending, c: pending }), ""],
  ["it is back", state({ a: [failed(), "ok"], b: pending, c: pending }), "finish rolled-back"],
  ["it could not go back", state({ a: [failed(), "failed"], b: pending, c: pending }), "finish failed"],
  ["the second wave fails", state({ a: healthy, b: failed(), c: waiting }), "restore b, restore c"],
  ["the second wave is back", state({ a: healthy, b: [failed(), "ok"], c: [waiting, "ok"] }), "restore a"],
  [
    "the second wave is not wholly back yet",
    state({ a: healthy, b: [failed(), "ok"], c: [waiting, "running"] }),
    "",
  ],
  [
    "both waves are back",
    state({ a: [healthy, "ok"], b: [failed(), "ok"], c: [waiting, "ok"] }),
    "finish rolled-back",
  ],
  [
    "the policy is rollback-wave",
    state({ a: healthy, b: [failed(), "ok"], c: [waiting, "ok"] }, { onFailure: "rollback-wave" }),
    // The first wave keeps the failed release: this is not rolled back.
    "finish failed",
  ],
  ["the policy is halt", state({ a: healthy, b: failed(), c: waiting }, { onFailure: "halt" }), ""],
  [
    "halt and the other one is ok",
    state({ a: healthy, b: failed(), c: okAt(0) }, { onFailure: "halt" }),
    "settle c",
  ],
  [
    "halt and all are judged",
    state({ a: healthy, b: failed(), c: healthy }, { onFailure: "halt" }),
    "finish failed",
  ],
  ["there is nothing to go back to", state({ a: failed() }, { backTo: undefined }), "finish failed"],
  ["a cluster is unknown", state({ a: unknown, b: pending, c: pending }), "finish unknown"],
  ["one is unknown and its neighbour waits", state({ a: healthy, b: unknown, c: waiting }), ""],
  ["one is unknown and its neighbour has baked", state({ a: healthy, b: unknown, c: okAt(0) }), "settle c"],
  [
    "one is unknown and its neighbour is healthy",
    state({ a: healthy, b: unknown, c: healthy }),
    "finish unknown",
  ],
  [
    "a wave bakes longer than others",
    state({ a: okAt(4000), b: pending, c: pending }, { bakes: [3000] }),
    "",
    2000,
  ],
  [
    "a wave has a bake of its own",
    state({ a: healthy, b: okAt(4000), c: okAt(4000) }, { bakes: [undefined, 3000] }),
    "",
    2000,
  ],
  [
    "two may begin and one at a time",
    state({ a: healthy, b: pending, c: pending }, { maxParallel: [1, 1] }),
    "start b",
  ],
  [
    "the one at a time is rolling",
    state({ a: healthy, b: waiting, c: pending }, { maxParallel: [1, 1] }),
    "",
  ],
  [
    "the one at a time is ok",
    state({ a: healthy, b: okAt(0), c: pending }, { maxParallel: [1, 1] }),
    "start c",
  ],
  [
    "the one at a time does not answer",
    state({ a: healthy, b: unknown, c: pending }, { maxParallel: [1, 1] }),
    "finish unknown",
  ],
  [
    "a wave has baked and has gates",
    state({ a: okAt(0), b: pending, c: pending }, { gates: [["pending", "pending"]] }),
    "ask-gate 0/0",
  ],
  ["a gate is asked", state({ a: okAt(0), b: pending, c: pending }, { gates: [["running", "pending"]] }), ""],
  [
    "the first gate has passed",
    state({ a: okAt(0), b: pending, c: pending }, { gates: [["passed", "pending"]] }),
    "ask-gate 0/1",
  ],
  [
    "a cluster wavers after its gate",
    state({ a: waiting, b: pending, c: pending }, { gates: [["passed", "pending"]] }),
    "",
  ],
  [
    "all gates have passed",
    state({ a: okAt(0), b: pending, c: pending }, { gates: [["passed", "passed"]] }),
    "settle a",
  ],
  [
    "a gate is due and the bake is not over",
    state({ a: okAt(4800), b: pending, c: pending }, { gates: [["pending"]] }),
    "",
    800,
  ],
  [
    "hooks come first",
    state({ a: pending, b: pending, c: pending }, { before: "pending" }),
    "run-hooks before",
  ],
  ["hooks run", state({ a: pending, b: pending, c: pending }, { before: "running" }), ""],
  ["a hook has failed", state({ a: pending, b: pending, c: pending }, { before: "failed" }), "finish failed"],
  ["hooks have passed", state({ a: pending, b: pending, c: pending }, { before: "passed" }), "start a"],
  ["hooks come last", state({ a: healthy, b: healthy, c: healthy }, { after: "pending" }), "run-hooks after"],
  ["the last hooks run", state({ a: healthy, b: healthy, c: healthy }, { after: "running" }), ""],
  [
    "the last hooks have passed",
    state({ a: healthy, b: healthy, c: healthy }, { after: "passed" }),
    "finish healthy",
  ],
  [
    "the last hooks have failed",
    state({ a: healthy, b: failed(), c: failed() }, { after: "failed" }),
    "restore b, restore c",
  ],
  ["a cluster is left behind", state({ a: left, b: pending, c: pending }), "start b, start c"],
  ["the others are done", state({ a: left, b: healthy, c: healthy }, { after: "pending" }), "finish unknown"],
  [
    "a cluster is requeued",
    state({ a: requeued(9000), b: pending, c: pending }, { waves: [[], ["b", "c"], ["a"]] }),
    "start b, start c",
  ],
  [
    "a requeued cluster's wave has come and it is too early",
    state({ a: requeued(9000), b: healthy, c: healthy }, { waves: [[], ["b", "c"], ["a"]] }),
    "",
    4000,
  ],
  [
    "a requeued cluster's time has come",
    state({ a: requeued(5000), b: healthy, c: healthy }, { waves: [[], ["b", "c"], ["a"]] }),
    "start a",
  ],
  [
    "a requeued cluster stays away",
    state(
      { a: requeued(5000), b: healthy, c: healthy },
      { waves: [[], ["b", "c"], ["a"]], requeueUntil: 5000 },
    ),
    "give-up a",
  ],
  [
    "a requeued cluster never got anything and the release fails",
    state({ a: requeued(5000), b: [failed(), "ok"], c: [waiting, "ok"] }, { waves: [[], ["b", "c"], ["a"]] }),
    "finish rolled-back",
  ],
  [
    "a requeued cluster may have got something and the release fails",
    state({ a: requeued(5000, 1), b: failed(), c: pending }, { waves: [[], ["b", "c"], ["a"]] }),
    "restore a",
  ],
  ["an earlier cluster is unwell", state({ a: unwell(4000), b: pending, c: pending }), "", 599_000],
  [
    "an earlier cluster is unwell and the next is done",
    state({ a: unwell(4000), b: okAt(0), c: okAt(0) }),
    "settle b, settle c",
  ],
  [
    "an earlier cluster is unwell and all are done",
    state({ a: unwell(4000), b: healthy, c: healthy }),
    "",
    599_000,
  ],
  [
    "an earlier cluster stays unwell",
    state({ a: unwell(-595_000), b: waiting, c: pending }),
    "fail-unwell a",
  ],
  [
    "an earlier cluster fails while the next wave rolls",
    state({ a: failed(), b: waiting, c: pending }),
    "restore b",
  ],
  [
    "an earlier cluster fails and the policy is rollback-wave: what came after it goes back too",
    state({ a: failed(), b: waiting, c: pending }, { onFailure: "rollback-wave" }),
    "restore b",
  ],
  [
    "an earlier cluster stops answering while the next wave rolls: that one gets its verdict",
    state({ a: unknown, b: okAt(0), c: okAt(0) }),
    "settle b, settle c",
  ],
  [
    "an earlier cluster stops answering: nothing more begins",
    state({ a: unknown, b: healthy, c: pending }),
    "finish unknown",
  ],
  [
    "it was told to stop",
    state({ a: waiting, b: pending, c: pending }, { stopped: "Ctrl-C" }),
    "finish interrupted",
  ],
];

function told(command: WaveCommand): string {
  switch (command.do) {
    case "finish":
      return `finish ${command.outcome}`;
    case "run-hooks":
      return `run-hooks ${command.when}`;
    case "ask-gate":
      return `ask-gate ${command.wave}/${command.gate}`;
    default:
      return `${command.do} ${command.cluster}`;
  }
}

for (const [what, of, commands, requeueAfterMs] of rows) {
  test(`when ${what}: ${commands === "" ? "wait" : commands}`, () => {
    const decision = decide(of, 5000);
    assert.equal(decision.commands.map(told).join(", "), commands);
    assert.equal(decision.requeueAfterMs, requeueAfterMs);
  });
}
