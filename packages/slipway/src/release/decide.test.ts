/** Waves as tables: states in, commands out. No cluster, no clock. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "@slipway/base";
import { makeCause } from "./causes.ts";
import { type ClusterState, decide, type Forward, type Restore, type WaveState } from "./decide.ts";

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
    "it was told to stop",
    state({ a: waiting, b: pending, c: pending }, { stopped: "Ctrl-C" }),
    "finish interrupted",
  ],
];

for (const [what, of, commands, requeueAfterMs] of rows) {
  test(`when ${what}: ${commands === "" ? "wait" : commands}`, () => {
    const decision = decide(of, 5000);
    const told = decision.commands.map((command) =>
      command.do === "finish" ? `finish ${command.outcome}` : `${command.do} ${command.cluster}`,
    );
    assert.equal(told.join(", "), commands);
    assert.equal(decision.requeueAfterMs, requeueAfterMs);
  });
}

test("whatever happens in whatever order, evidence precedes every restore and a release ends", () => {
  for (let seed = 1; seed <= 2000; seed += 1) runToEnd(seed);
});

/** Plays a release with random events and checks what must always hold. */
function runToEnd(seed: number): void {
  const random = seededRandom(seed);
  let now = 0;
  let current = state(
    { a: pending, b: pending, c: pending },
    {
      onFailure: random.pick(["rollback-all", "rollback-wave", "halt"]),
      backTo: random.ratio(1, 4) ? undefined : 6,
    },
  );
  const set = (name: string, change: Partial<ClusterState>): void => {
    const cluster = current.clusters[name] as ClusterState;
    current = { ...current, clusters: { ...current.clusters, [name]: { ...cluster, ...change } } };
  };
  for (let step = 0; step < 200; step += 1) {
    const { commands, requeueAfterMs } = decide(current, now);
    for (const command of commands) {
      if (command.do === "finish") return checkEnd(current, command.outcome, seed);
      const { forward } = current.clusters[command.cluster] as ClusterState;
      if (command.do === "start") {
        const earlier = current.waves.slice(0, command.wave).flat();
        const isBaked = earlier.every((name) => current.clusters[name]?.forward.step === "healthy");
        assert.ok(isBaked, `seed ${seed}: a wave began before the one before it was healthy`);
        set(command.cluster, { forward: applying });
      } else if (command.do === "take-evidence") set(command.cluster, { forward: failed("taking") });
      else if (command.do === "settle") set(command.cluster, { forward: healthy });
      else {
        const isUntaken = forward.step === "failed" && forward.evidence !== "taken";
        assert.ok(!isUntaken, `seed ${seed}: restored before the evidence was taken`);
        set(command.cluster, { restore: { step: "running" } });
      }
    }
    if (commands.length > 0) continue;
    now += requeueAfterMs ?? 100;
    const moving = Object.entries(current.clusters).filter(
      ([, { forward, restore }]) =>
        restore.step === "running" ||
        (restore.step === "none" && ["applying", "rolling"].includes(forward.step)) ||
        (forward.step === "failed" && forward.evidence === "taking"),
    );
    if (moving.length === 0) continue;
    const [name, { forward, restore }] = random.pick(moving);
    if (restore.step === "running") {
      set(name, { restore: random.ratio(1, 5) ? { step: "failed", reason: "no" } : { step: "ok" } });
    } else if (forward.step === "failed") set(name, { forward: failed("taken") });
    else if (forward.step === "applying") set(name, { forward: random.ratio(1, 10) ? unknown : waiting });
    else if (forward.step === "rolling") {
      const chance = random.int(10);
      if (chance < 6) set(name, { forward: forward.okSince === undefined ? okAt(now) : forward });
      else set(name, { forward: chance < 8 ? waiting : chance === 8 ? failed("missing") : unknown });
    }
  }
  assert.fail(`seed ${seed}: the release does not end`);
}

function checkEnd(end: WaveState, outcome: string, seed: number): void {
  const all = Object.values(end.clusters);
  if (outcome === "healthy") {
    assert.ok(
      all.every(({ forward }) => forward.step === "healthy"),
      `seed ${seed}: healthy without every cluster's word`,
    );
  }
  if (outcome === "rolled-back") {
    assert.ok(
      all.every(({ forward, restore }) => forward.step === "pending" || restore.step === "ok"),
      `seed ${seed}: rolled back without every touched cluster's word`,
    );
  }
}
