/**
 * What must hold of the waves whatever happens and in whatever order: the world's answers are drawn by fast-check, so
 * a case that fails shrinks to the few answers that matter.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { makeCause } from "../judge/causes.ts";
import {
  bakeOf,
  type ClusterState,
  decide,
  type Forward,
  isTouched,
  type Passage,
  type WaveCommand,
  type WaveState,
} from "./decide.ts";

const cause = makeCause("ContainerCrash", {
  cluster: "a",
  kubectl: "kubectl",
  object: { namespace: "default" },
  why: "crashed twice: exit code 1",
});

const policies = fc.record({
  onFailure: fc.constantFrom("rollback-all" as const, "rollback-wave" as const, "halt" as const),
  unreachable: fc.constantFrom("fail" as const, "skip" as const, "requeue" as const),
  backTo: fc.constantFrom(undefined, 6),
  bakes: fc.array(fc.constantFrom(undefined, 0, 300), { minLength: 3, maxLength: 3 }),
  maxParallel: fc.array(fc.constantFrom(undefined, 1, 2), { minLength: 3, maxLength: 3 }),
  gates: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 3, maxLength: 3 }),
  before: fc.boolean(),
  after: fc.boolean(),
});
type Policies = typeof policies extends fc.Arbitrary<infer T> ? T : never;

/** The next drawn number below `count`; when all are used, the highest, which is a good answer. */
interface Draw {
  (count: number): number;
  isOver(): boolean;
}

const WAVES = [["a"], ["b", "c", "d"], ["e", "f"]];

/** A release that is played with drawn answers; every command is checked when it is given. */
class Play {
  now = 0;
  state: WaveState;
  readonly log: WaveCommand[] = [];
  readonly restored: string[] = [];
  /** Gates that have been asked, so that none is asked twice. */
  readonly asked = new Set<string>();
  readonly policies: Policies;
  hasFailed = false;

  constructor(drawn: Policies) {
    this.policies = drawn;
    const clusters: Record<string, ClusterState> = {};
    for (const name of WAVES.flat()) {
      clusters[name] = { forward: { step: "pending" }, restore: { step: "none" } };
    }
    this.state = {
      waves: WAVES,
      bakeMs: 100,
      bakes: drawn.bakes,
      maxParallel: drawn.maxParallel,
      gates: drawn.gates.map((count) => Array.from({ length: count }, () => "pending" as const)),
      before: drawn.before ? "pending" : undefined,
      after: drawn.after ? "pending" : undefined,
      onFailure: drawn.onFailure,
      backTo: drawn.backTo,
      clusters,
      stopped: undefined,
    };
  }

  set(name: string, change: Partial<ClusterState>): void {
    const cluster = this.state.clusters[name] as ClusterState;
    this.change({ clusters: { ...this.state.clusters, [name]: { ...cluster, ...change } } });
  }

  change(part: Partial<WaveState>): void {
    this.state = { ...this.state, ...part };
  }

  forward(name: string): Forward {
    return (this.state.clusters[name] as ClusterState).forward;
  }

  fail(name: string): void {
    this.hasFailed = true;
    this.set(name, {
      forward: { step: "failed", startedAt: 0, finishedAt: this.now, cause, evidence: "missing" },
    });
  }

  silent(name: string): void {
    const before = this.forward(name);
    const startedAt = before.step === "pending" ? undefined : before.startedAt;
    if (this.policies.unreachable !== "requeue") {
      const isLeftBehind = this.policies.unreachable === "skip";
      const common = { startedAt: 0, finishedAt: this.now, reason: "silent" };
      return this.set(name, { forward: { step: "unknown", ...common, isLeftBehind } });
    }
    const left = this.state.waves.slice(0, 3).map((wave) => wave.filter((one) => one !== name));
    const last = (this.state.waves[3] ?? []).filter((one) => one !== name);
    this.change({ waves: [...left, [...last, name]] });
    this.set(name, {
      forward: { step: "requeued", startedAt, reason: "silent", retryAt: this.now + 50 },
    });
  }

  refuse(name: string): void {
    const common = { startedAt: 0, finishedAt: this.now, reason: "no Secret" };
    this.set(name, { forward: { step: "refused", ...common } });
  }

  /** Does a command as the engine would, after checking that it may be given. */
  obey(command: WaveCommand): void {
    this.log.push(command);
    switch (command.do) {
      case "run-hooks":
        assert.ok(!this.hasFailed && this.state.stopped === undefined, "hooks after a failure or a stop");
        return this.change({ [command.when]: "running" });
      case "start":
        this.mayStart(command.cluster, command.wave);
        this.set(command.cluster, { forward: { step: "applying", startedAt: this.now } });
        if (command.wave === 3) this.change({ requeueUntil: this.state.requeueUntil ?? this.now + 500 });
        return;
      case "ask-gate":
        return this.ask(command.wave, command.gate);
      case "take-evidence": {
        const forward = this.forward(command.cluster);
        assert.ok(forward.step === "failed" && forward.evidence === "missing");
        return this.set(command.cluster, { forward: { ...forward, evidence: "taking" } });
      }
      case "settle":
        return this.set(command.cluster, {
          forward: { step: "healthy", startedAt: 0, finishedAt: this.now },
        });
      case "fail-unwell":
        return this.fail(command.cluster);
      case "give-up":
        return this.set(command.cluster, {
          forward: { step: "unknown", startedAt: 0, finishedAt: this.now, reason: "silent" },
        });
      case "restore":
        this.mayRestore(command.cluster);
        this.restored.push(command.cluster);
        return this.set(command.cluster, { restore: { step: "running" } });
      case "finish":
        return this.mayFinish(command.outcome);
    }
  }

  mayStart(name: string, wave: number): void {
    assert.ok(!this.hasFailed, "a cluster is begun after a failure");
    assert.equal(this.state.stopped, undefined, "a cluster is begun after a stop");
    assert.ok(this.state.before === undefined || this.state.before === "passed", "begun before its hooks");
    for (const [index, members] of this.state.waves.slice(0, wave).entries()) {
      for (const one of members) {
        const forward = this.forward(one);
        const isBehind =
          (forward.step === "healthy" && forward.unwellSince === undefined) ||
          forward.step === "refused" ||
          (forward.step === "unknown" && forward.isLeftBehind === true);
        assert.ok(isBehind, `wave ${wave} begins while ${one} of wave ${index} is ${forward.step}`);
      }
      const gates = this.state.gates?.[index] ?? [];
      const isAnyHealthy = members.some((one) => this.forward(one).step === "healthy");
      assert.ok(!isAnyHealthy || gates.every((gate) => gate === "passed"), "a gate was passed over");
    }
    const moving = (this.state.waves[wave] ?? []).filter((one) => {
      const forward = this.forward(one);
      return forward.step === "applying" || (forward.step === "rolling" && forward.okSince === undefined);
    });
    const limit = this.state.maxParallel?.[wave] ?? Number.POSITIVE_INFINITY;
    assert.ok(moving.length < limit, `more than ${limit} at a time`);
    assert.ok(this.state.waves[wave]?.includes(name));
  }

  ask(wave: number, gate: number): void {
    assert.ok(!this.asked.has(`${wave}/${gate}`), "a gate is asked twice");
    this.asked.add(`${wave}/${gate}`);
    for (const name of this.state.waves[wave] ?? []) {
      const forward = this.forward(name);
      if (forward.step === "unknown" || forward.step === "healthy" || forward.step === "refused") continue;
      assert.ok(forward.step === "rolling" && forward.okSince !== undefined, "a gate before it is ok");
      assert.ok(this.now >= forward.okSince + bakeOf(this.state, wave), "a gate before the bake is over");
    }
    this.passage(wave, gate, "running");
  }

  passage(wave: number, gate: number, passage: Passage): void {
    const gates = this.state.gates ?? [];
    this.change({ gates: gates.with(wave, (gates[wave] ?? []).with(gate, passage)) });
  }

  mayRestore(name: string): void {
    const forward = this.forward(name);
    assert.ok(this.hasFailed && this.state.backTo !== undefined && this.state.onFailure !== "halt");
    assert.ok(forward.step !== "failed" || forward.evidence === "taken", "restored before its evidence");
    assert.ok(isTouched(this.state.clusters[name] as ClusterState), "restored although nothing was sent");
    const wave = this.state.waves.findIndex((members) => members.includes(name));
    for (const later of this.state.waves.slice(wave + 1).flat()) {
      const cluster = this.state.clusters[later] as ClusterState;
      const isDone = !isTouched(cluster) || ["ok", "failed"].includes(cluster.restore.step);
      assert.ok(isDone, `${name} goes back before ${later} of a later wave`);
    }
  }

  mayFinish(outcome: string): void {
    const all = Object.values(this.state.clusters);
    if (outcome === "healthy") {
      const isWell = ({ forward }: ClusterState): boolean =>
        forward.step === "healthy" && forward.unwellSince === undefined;
      assert.ok(all.every(isWell), "healthy without every cluster's word");
      assert.ok(this.state.after === undefined || this.state.after === "passed", "healthy without its hooks");
    }
    if (outcome === "rolled-back") {
      assert.ok(
        all.every((cluster) => !isTouched(cluster) || cluster.restore.step === "ok"),
        "rolled back without every touched cluster's word",
      );
    }
    if (outcome === "unknown") {
      assert.ok(all.some(({ forward: { step } }) => step === "unknown" || step === "refused"));
      assert.ok(
        all.every(({ forward }) => forward.step !== "applying" && forward.step !== "rolling"),
        "ended while a cluster was on its way",
      );
    }
  }

  /** One thing that the world answers; `draw` chooses which and how. */
  happen(draw: Draw): void {
    const moves: (() => void)[] = [];
    for (const when of ["before", "after"] as const) {
      if (this.state[when] !== "running") continue;
      moves.push(() => {
        if (draw(6) > 0) return this.change({ [when]: "passed" });
        this.change({ [when]: "failed" });
        // As the engine does it: hooks after the last wave count against that wave.
        if (when === "after") for (const name of WAVES[2] ?? []) this.fail(name);
      });
    }
    for (const [wave, gates] of (this.state.gates ?? []).entries()) {
      for (const [gate, passage] of gates.entries()) {
        if (passage !== "running") continue;
        moves.push(() => {
          const isFine = draw(5) > 0;
          this.passage(wave, gate, isFine ? "passed" : "failed");
          const members = this.state.waves[wave] ?? [];
          if (!isFine) {
            for (const name of members) if (this.forward(name).step === "rolling") this.fail(name);
          }
        });
      }
    }
    for (const [name, { forward, restore }] of Object.entries(this.state.clusters)) {
      if (restore.step === "running") {
        const next = (): ClusterState["restore"] =>
          draw(5) > 0 ? { step: "ok" } : { step: "failed", reason: "no" };
        moves.push(() => this.set(name, { restore: next() }));
      } else if (restore.step === "none") {
        const move = this.answer(name, forward, draw);
        if (move !== undefined) moves.push(move);
      }
    }
    if (moves.length === 0) return;
    if (draw.isOver()) for (const move of moves) move();
    else (moves[draw(moves.length)] as () => void)();
  }

  answer(name: string, forward: Forward, draw: Draw): (() => void) | undefined {
    switch (forward.step) {
      case "failed":
        if (forward.evidence !== "taking") return undefined;
        return () => this.set(name, { forward: { ...forward, evidence: "taken" } });
      case "applying":
        return () => {
          const chance = draw(8);
          if (chance === 0) return this.silent(name);
          // Only what comes back late is let in.
          if (chance === 1 && this.state.waves[3]?.includes(name) === true) return this.refuse(name);
          this.set(name, { forward: { step: "rolling", startedAt: 0, okSince: undefined } });
        };
      case "rolling":
        return () => {
          const chance = draw(12);
          if (chance === 0) return this.fail(name);
          if (chance === 1) return this.silent(name);
          const isOk = chance > 3;
          const okSince = isOk ? (forward.okSince ?? this.now) : undefined;
          this.set(name, { forward: { ...forward, okSince } });
        };
      case "healthy":
        return () => {
          const chance = draw(12);
          if (chance === 0) return this.fail(name);
          if (chance === 1) return this.silent(name);
          const unwellSince = chance === 2 ? (forward.unwellSince ?? this.now) : undefined;
          this.set(name, { forward: { ...forward, unwellSince } });
        };
      default:
        return undefined;
    }
  }
}

/** Plays to the end with the drawn numbers; when they run out the world answers well. */
function play(drawn: Policies, numbers: readonly number[], stopAt: number | undefined): Play {
  const game = new Play(drawn);
  let index = 0;
  const next = (count: number): number => {
    const number = numbers[index];
    index += 1;
    return number === undefined ? count - 1 : number % count;
  };
  const draw: Draw = Object.assign(next, { isOver: () => index >= numbers.length });
  for (let step = 0; step < 5_000; step += 1) {
    if (step === stopAt) game.change({ stopped: "it was interrupted" });
    const { commands, requeueAfterMs } = decide(game.state, game.now);
    for (const command of commands) game.obey(command);
    if (commands.some((command) => command.do === "finish")) return game;
    if (commands.length > 0) continue;
    game.happen(draw);
    game.now += Math.min(requeueAfterMs ?? 20, 20);
  }
  return assert.fail(`the release does not end: ${JSON.stringify(game.state.clusters)}`);
}

const answers = fc.array(fc.nat({ max: 1_000 }), { maxLength: 150 });

test("every release ends, no wave begins early, what goes back goes in reverse, nothing begins after a failure", () => {
  fc.assert(
    fc.property(policies, answers, (drawn, numbers) => {
      play(drawn, numbers, undefined);
    }),
    { numRuns: 3_000 },
  );
});

test("a release that is told to stop ends as interrupted, and has begun nothing since", () => {
  fc.assert(
    fc.property(policies, answers, fc.nat({ max: 30 }), (drawn, numbers, stopAt) => {
      const game = play(drawn, numbers, stopAt);
      const last = game.log.at(-1);
      if (game.state.stopped === undefined) return;
      assert.deepEqual(last, { do: "finish", outcome: "interrupted" });
    }),
    { numRuns: 1_000 },
  );
});

test("when everything answers well, every cluster is begun once and the release is healthy", () => {
  fc.assert(
    fc.property(policies, (drawn) => {
      const game = play(drawn, [], undefined);
      assert.deepEqual(game.log.at(-1), { do: "finish", outcome: "healthy" });
      const begun = game.log.flatMap((command) => (command.do === "start" ? [command.cluster] : []));
      assert.deepEqual([...begun].sort(), WAVES.flat().sort());
      assert.equal(
        game.asked.size,
        drawn.gates.reduce((sum, count) => sum + count, 0),
      );
    }),
  );
});
