/**
 * One simulated release under faults: a healthy release, then a change during which something strikes, then the next
 * command of somebody else, which must find its way. Which change, what strikes, where and how hard is drawn from the
 * seed; the cell of the matrix is the seed's number, so that enough seeds cover every cell.
 *
 * @example
 * const run = await simulateRelease(42);
 * if (run.violation !== undefined) console.log(describeRun(run));
 */
import { SlipwayError } from "@slipway/base";
import { Violation } from "@slipway/cluster";
import { createMemoryClient } from "@slipway/kube";
import type { ReleaseEvent } from "../events.ts";
import { readRecords } from "../history/records.ts";
import { LOCK_TTL_MS } from "../lock/lease.ts";
import type { ReleaseRecord, ReleaseResult, RenderedRelease } from "../model.ts";
import { deploy, rollback } from "../release.ts";
import { image, rendered } from "../testing.ts";
import { CELLS, type Fault, strike } from "./faults.ts";
import type { Process } from "./process.ts";
import {
  blastPromise,
  checkAnnounced,
  checkBake,
  checkEvidence,
  checkExplained,
  checkHealthy,
  checkHeard,
  checkKept,
  checkNeeds,
  checkRecords,
  checkRestored,
  checkTruth,
  floorPromise,
} from "./promises.ts";
import { type Settled, Stage } from "./stage.ts";
import type { Step } from "./steps.ts";

export interface SimulatedRun {
  readonly seed: number;
  readonly change: Change;
  readonly fault: Fault;
  /** Where it struck; undefined when the release never came there. */
  readonly struckAt: Step | undefined;
  readonly outcome: string;
  readonly recovery: string;
  readonly violation: Violation | undefined;
  /** Virtual time that it took. */
  readonly virtualMs: number;
  /** What happened, for people. */
  readonly log: readonly string[];
}

export type Change = "good" | "bad" | "rollback";
/** What somebody does afterwards. */
type Next = "deploy" | "rollback" | "the bad one again";

const REPLICAS = 3;
const PLACE = { service: "shop", namespace: "default" } as const;
const WAVES: readonly (readonly string[])[] = [["tokyo"], ["osaka"]];
const BAKE_MS = 6_000;
const CHANGE_AT_MOST_MS = 30 * 60_000;

export async function simulateRelease(seed: number): Promise<SimulatedRun> {
  const cell = CELLS[seed % CELLS.length] as (typeof CELLS)[number];
  const bad = image("web", "bad").reference;
  const floors = new Map(WAVES.flat().map((name) => [name, floorPromise(REPLICAS)]));
  const stage = new Stage({
    seed,
    clusters: WAVES.flat(),
    crashing: [bad],
    checkers: (name) => [
      floors.get(name) as ReturnType<typeof floorPromise>,
      ...(name === "osaka" ? [blastPromise(bad)] : []),
    ],
  });
  const change = changeFor(cell.step, stage);
  const log: string[] = [];
  const run: { struckAt: Step | undefined; outcome: string; recovery: string } = {
    struckAt: undefined,
    outcome: "",
    recovery: "",
  };
  let violation: Violation | undefined;
  try {
    await play({ seed, stage, cell, change, run, log, floors });
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    violation = error;
  }
  return { seed, change, fault: cell.fault, ...run, violation, virtualMs: stage.clock.monotonic(), log };
}

export function describeRun(run: SimulatedRun): string {
  const { seed, change, fault, struckAt, outcome, recovery, violation, log } = run;
  return [
    `seed ${seed}: ${change}, ${fault} at ${struckAt ?? "(never)"}: ${violation?.message ?? "all promises kept"}`,
    `  the change: ${outcome}`,
    `  the next command: ${recovery}`,
    ...log.map((line) => `  ${line}`),
  ].join("\n");
}

/** Faults that change what is stored: nobody can promise what somebody else has deleted. */
const DAMAGE: ReadonlySet<Fault> = new Set(["record corrupted", "record deleted", "lock deleted"]);
/** Faults under which a lock may run out, or be lost, while its holder lives. */
const LOCK_MAY_GO: ReadonlySet<Fault> = new Set([
  "stop",
  "stop, and a second goes on",
  "partition",
  "delay",
  "api errors",
  "lost reply",
  "lock deleted",
]);
/** Faults after which a cluster may honestly be unknown. */
const NETWORK: ReadonlySet<Fault> = new Set([
  "stop",
  "stop, and a second goes on",
  "partition",
  "delay",
  "api errors",
  "lost reply",
  "kill",
]);

/** Only a bad release has evidence to take and something to restore; a rollback does not bake. */
function changeFor(step: Step, { random }: Stage): Change {
  if (step === "evidence" || step === "restore") return "bad";
  if (step === "bake") return "good";
  return random.pick<Change>(["good", "good", "bad", "rollback"]);
}

interface Play {
  readonly seed: number;
  readonly stage: Stage;
  readonly cell: (typeof CELLS)[number];
  readonly change: Change;
  readonly run: { struckAt: Step | undefined; outcome: string; recovery: string };
  readonly log: string[];
  readonly floors: ReadonlyMap<string, ReturnType<typeof floorPromise>>;
}

type Task = () => Promise<ReleaseResult>;

async function play({ stage, cell, change, run, log, floors }: Play): Promise<void> {
  const keep = stage.random.pick([2, 20]);
  const release = { waves: WAVES, bakeMs: BAKE_MS, onFailure: "rollback-all", keep } as const;
  const tasks = new Map<Process, { deploy(tag: string): Task; rollback(): Task }>();
  const minReadySeconds = stage.random.pick([0, 0, 8]);
  const worker = (host: string): Process => {
    const process = stage.start(host);
    process.onTold = (event) => told(process, event);
    const context = process.context({ ...PLACE, release });
    tasks.set(process, {
      deploy: (tag) => () =>
        deploy(context, withMinReady(rendered(tag, { replicas: REPLICAS, setting: tag }), minReadySeconds), {
          onEvent: process.onEvent,
          lockWaitMs: 5 * 60_000,
        }),
      rollback: () => () => rollback(context, { onEvent: process.onEvent, lockWaitMs: 5 * 60_000 }),
    });
    return process;
  };
  const takenBack = change === "rollback" ? "two" : "bad";
  const does = (process: Process, what: Change | Next | "second"): Task => {
    const own = tasks.get(process) as { deploy(tag: string): Task; rollback(): Task };
    if (what === "rollback") return own.rollback();
    return own.deploy(what === "deploy" ? "next" : what === "the bad one again" ? takenBack : what);
  };
  const note = (text: string): void => {
    log.push(`+${(stage.clock.monotonic() / 1000).toFixed(1)}s ${text}`);
  };

  // A result is checked at the moment it is given: a moment later somebody else may have gone on.
  const broken: unknown[] = [];
  const keepViolation = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      broken.push(error);
    }
  };
  const judged = async (who: Process, ending: Promise<ReleaseResult>): Promise<Settled<ReleaseResult>> => {
    const end = await settle(ending);
    who.hasEnded = true;
    keepViolation(() => checkResult(stage, end, who));
    return end;
  };

  const told = (who: Process, event: ReleaseEvent): void => {
    if (event.type === "locked" && !LOCK_MAY_GO.has(cell.fault)) {
      const other = stage.processes.find(
        (one) => one !== who && one.lockedAtMs !== undefined && !one.hasEnded && !one.isDead,
      );
      if (other !== undefined)
        broken.push(new Violation("alone", `${other.pid} and ${who.pid} both have the lock`));
    }
    if (event.type === "verdict" && event.verdict === "healthy")
      keepViolation(() => checkHeard(stage.cluster(event.cluster)));
    if (event.type === "rolling-back" && !DAMAGE.has(cell.fault)) {
      // Read at once: the store answers without letting anything else happen in between.
      void copiesOf(stage).then((copies) => keepViolation(() => checkEvidence(numberOf(who), copies)));
    }
  };

  // --- A healthy beginning ---
  const first = worker("desk");
  await mustBeHealthy(stage, tasks.get(first)?.deploy("one") as Task);
  if (change === "rollback") await mustBeHealthy(stage, tasks.get(worker("desk"))?.deploy("two") as Task);
  for (const floor of floors.values()) floor.arm();

  // --- The change, and what strikes ---
  const process = worker("desk");
  const second = worker(stage.random.pick(["desk", "laptop"]));
  const others: Promise<Settled<ReleaseResult> | undefined>[] = [];
  let callsLeft = stage.random.int(3);
  process.onCall = ({ step, cluster, verb, kind }) => {
    // A process that was stopped finds its patience for the record over when it wakes.
    const isChecked = !DAMAGE.has(cell.fault) && !cell.fault.startsWith("stop");
    if (step === "apply" && verb === "apply" && kind === "Deployment" && isChecked) {
      void copiesOf(stage).then((copies) =>
        keepViolation(() => checkAnnounced(numberOf(process), cluster.name, copies)),
      );
    }
    if (run.struckAt !== undefined || step !== cell.step) return;
    if (callsLeft > 0) {
      callsLeft -= 1;
      return;
    }
    run.struckAt = step;
    note(`${cell.fault} strikes at ${step}, in ${cluster.name}`);
    // This runs inside a call of the engine: a fault that fails must not reach it as an answer of the API.
    keepViolation(() =>
      strike(cell.fault, { stage, process, cluster }, () => {
        const what = stage.random.pick(["second", "rollback"] as const);
        note(`a second process starts: ${what}`);
        const task = does(second, what)();
        task.catch(() => undefined);
        others.push(judged(second, task));
      }),
    );
  };
  const task = does(process, change)();
  task.catch(() => undefined);
  let settled: Settled<ReleaseResult> | undefined;
  void judged(process, task).then((end) => {
    settled = end;
  });
  const isOver = (): boolean => settled !== undefined || process.isDead;
  await stage.run({ forMs: CHANGE_AT_MOST_MS, until: isOver });
  if (settled === undefined && !isOver())
    throw new Violation("liveness", "the change neither ended nor died within half an hour");
  run.outcome = settled === undefined ? "its process died" : tell(settled);
  note(`the change: ${run.outcome}`);
  // While a second process is at it, an apply that the first had on its way when it was stopped may have come after the
  // second's: that one finds it when it judges, and the truth is asked for at the end.
  if (!DAMAGE.has(cell.fault) && others.length === 0) checkExplained(stage, await copiesOf(stage));
  if (change === "bad" && settled !== undefined && others.length === 0 && !NETWORK.has(cell.fault)) {
    checkRestored(stage, image("web", "bad").reference);
  }
  checkBake(process.events, BAKE_MS);
  let secondEnd: Settled<ReleaseResult> | undefined;
  for (const other of others) {
    let isDone = false;
    void other.then((end) => {
      isDone = true;
      secondEnd = end;
    });
    await stage.run({ forMs: CHANGE_AT_MOST_MS, until: () => isDone });
    if (!isDone) throw new Violation("liveness", "the second process did not end within half an hour");
    note(`the second process: ${secondEnd === undefined ? "" : tell(secondEnd)}`);
  }

  if (broken.length > 0) throw broken[0];

  // --- The faults end, and somebody else goes on ---
  stage.heal();
  await stage.run({ forMs: 1 + stage.random.int(20_000), until: () => false });
  const next = worker(stage.random.pick(["desk", "laptop"]));
  const beganAt = stage.clock.now();
  const ended = settled?.ok === true && others.length === 0 ? settled.value.record.outcome : undefined;
  const wasTakenBack = ended === (change === "bad" ? "rolled-back" : "healthy") && change !== "good";
  const recovery = stage.random.pick<Next>(
    wasTakenBack && !DAMAGE.has(cell.fault)
      ? ["deploy", "rollback", "the bad one again"]
      : ["deploy", "rollback"],
  );
  const end = await stage.finish(does(next, recovery)(), CHANGE_AT_MOST_MS);
  run.recovery = `${recovery}: ${end === undefined ? "did not end" : tell(end)}`;
  note(`the next command, ${run.recovery}`);
  if (end === undefined) throw new Violation("liveness", "the next command did not end within half an hour");
  const waitedMs = (next.lockedAtMs ?? beganAt) - beganAt;
  if (waitedMs > LOCK_TTL_MS) {
    throw new Violation("lock", `the next command waited ${waitedMs / 1000} s for the lock`);
  }
  checkResult(stage, end, next);
  if (recovery === "the bad one again") {
    const code = !end.ok && end.error instanceof SlipwayError ? end.error.code : "nothing";
    if (code !== "RELEASE_HELD")
      throw new Violation("hold", `a bad release was deployed again: ${tell(end)}`);
    return;
  }
  const copies = await copiesOf(stage);
  checkNeeds(stage);
  const started = stage.processes.flatMap(({ events }) =>
    events.flatMap((event) => (event.type === "started" ? [event.number] : [])),
  );
  checkRecords(
    started.filter((number) => number > Math.max(...started) - keep),
    [...copies.values()].flat(),
  );
  if (end.ok) {
    if (end.value.exitCode !== 0) throw new Violation("liveness", `the next command ended ${tell(end)}`);
    checkTruth(stage, copies);
    checkKept(stage, copies);
  } else if (!isHonestRefusal(end.error)) {
    throw new Violation("liveness", `the next command was refused: ${tell(end)}`);
  }
}

function numberOf({ events }: Process): number {
  return events.find((event) => event.type === "started")?.number ?? 0;
}

/** Ready is not available: then a rollout that is called done too early is found out. */
function withMinReady(release: RenderedRelease, minReadySeconds: number): RenderedRelease {
  if (minReadySeconds === 0) return release;
  const objects = release.objects.map((object) =>
    object.kind === "Deployment"
      ? ({ ...object, spec: { ...(object["spec"] as object), minReadySeconds } } as typeof object)
      : object,
  );
  return { ...release, objects };
}

function settle<T>(task: Promise<T>): Promise<Settled<T>> {
  return task.then(
    (value) => ({ ok: true, value }),
    (error: unknown) => ({ ok: false, error }),
  );
}

async function mustBeHealthy(stage: Stage, task: Task): Promise<void> {
  const end = await stage.finish(task(), CHANGE_AT_MOST_MS);
  for (const process of stage.processes) process.hasEnded = true;
  if (end?.ok !== true || end.value.exitCode !== 0) {
    throw new Error(`the beginning is not healthy: ${end === undefined ? "it did not end" : tell(end)}`);
  }
  checkHealthy(stage, end.value.record);
}

function checkResult(stage: Stage, end: Settled<ReleaseResult>, process: Process): void {
  if (process.isDead || !end.ok) return;
  const { record, exitCode } = end.value;
  if (exitCode === 0 && record.outcome !== "healthy") {
    throw new Violation("healthy", `exit code 0 for a release that is ${record.outcome}`);
  }
  if (exitCode === 0) checkHealthy(stage, record);
}

/** A rollback may find that there is nothing to go back to, and says so. */
function isHonestRefusal(error: unknown): boolean {
  return (
    error instanceof SlipwayError &&
    (error.code === "ROLLBACK_NO_TARGET" || error.code === "ROLLBACK_OF_ROLLBACK")
  );
}

function tell(end: Settled<ReleaseResult>): string {
  if (!end.ok) {
    const { error } = end;
    if (error instanceof SlipwayError) return `${error.code} at ${error.where}: ${error.message}`;
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  const { record, exitCode } = end.value;
  const clusters = Object.entries(record.clusters).map(
    ([name, { verdict, cause, runs, reason }]) =>
      `${name} ${verdict}${cause === undefined ? "" : ` (${cause.code})`}${reason === undefined ? "" : ` (${reason})`}, runs ${runs}`,
  );
  return `release ${record.number} ${record.outcome}, exit ${exitCode}: ${clusters.join("; ")}`;
}

/** What each cluster's own history says, read past the network. */
async function copiesOf(stage: Stage): Promise<ReadonlyMap<string, readonly ReleaseRecord[]>> {
  const copies = new Map<string, readonly ReleaseRecord[]>();
  for (const { name, world } of stage.clusters) {
    copies.set(name, await readRecords(createMemoryClient({ name, api: world.api }), PLACE, () => undefined));
  }
  return copies;
}
