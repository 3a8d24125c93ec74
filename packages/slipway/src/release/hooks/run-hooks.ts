/**
 * Runs the hooks of one side, one after the other; the first that fails ends the release. Of a Job that goes to every
 * cluster, all run at once. What failed before the first change has changed nothing; a hook after the last wave counts
 * against that wave, which `onFailure` then speaks about.
 */
import { assertNever } from "@slipway/base";
import { kubectlFor, type Run } from "../engine/run.ts";
import { failed } from "../engine/verdict.ts";
import { environmentOf } from "../gates/ask.ts";
import { askCommand } from "../gates/command.ts";
import type { GatePorts } from "../gates/gate.ts";
import { type Cause, type CauseCode, makeCause } from "../judge/causes.ts";
import type { Hook, HookRecord, HookRun } from "./hook.ts";
import { runJob, tidyJobs } from "./hook-job.ts";

export function runHooks(run: Run, when: "before" | "after"): void {
  run.change({ [when]: "running" });
  run.spawn(
    allHooks(run, when).then(
      (isFine) => run.change({ [when]: isFine ? "passed" : "failed" }),
      () => run.change({ [when]: "failed" }),
    ),
  );
}

/**
 * The hooks of before that go to every cluster, in one that was away when the others had them. Resolves with the one that
 * did not succeed, behind which nothing may be changed there; undefined when all have. Where they had run already this
 * does nothing.
 */
export async function runLateHooks(
  run: Run,
  cluster: string,
  signal: AbortSignal,
): Promise<HookRun | undefined> {
  // By position: what one of them reports replaces the list.
  for (const index of run.hooks.keys()) {
    const { hook, runs } = run.hooks[index] as HookRecord;
    const isOfEach = hook.when === "before" && hook.run.kind === "job" && hook.run.in === "each";
    if (!isOfEach || hasSucceeded(runs, cluster)) continue;
    const ended = await oneRun(run, hook, cluster, { signal, isRetried: true });
    if (ended.outcome !== "succeeded") return ended;
  }
  return undefined;
}

async function allHooks(run: Run, when: "before" | "after"): Promise<boolean> {
  for (const { hook, runs } of run.hooks) {
    if (hook.when !== when) continue;
    // What succeeded before an interruption is not done twice.
    const places = placesOf(run, hook, runs).filter((cluster) => !hasSucceeded(runs, cluster));
    const done = await Promise.all(places.map((cluster) => oneRun(run, hook, cluster)));
    const bad = done.find((one) => one.outcome !== "succeeded");
    if (bad === undefined) continue;
    if (when === "after" && bad.cause !== undefined) failLastWave(run, bad.cause);
    return false;
  }
  return true;
}

function hasSucceeded(runs: readonly HookRun[], cluster: string | undefined): boolean {
  return runs.some((one) => one.cluster === cluster && one.outcome === "succeeded");
}

/**
 * Clusters that were left behind get no Job; a program runs once, here. A Job of one cluster that was begun stays where
 * it is, also when that cluster is away now: run in another one as well, a migration would be done twice.
 */
function placesOf(run: Run, hook: Hook, runs: readonly HookRun[]): readonly (string | undefined)[] {
  if (hook.run.kind === "command") return [undefined];
  const begunIn = runs[0]?.cluster;
  if (hook.run.in === "first-cluster" && begunIn !== undefined) return [begunIn];
  const clusters = run.state.waves.flat().filter((name) => {
    const { step } = run.forward(name);
    return step !== "unknown" && step !== "requeued" && step !== "refused";
  });
  return hook.run.in === "each" ? clusters : clusters.slice(0, 1);
}

async function oneRun(
  run: Run,
  hook: Hook,
  cluster: string | undefined,
  options: { readonly signal?: AbortSignal; readonly isRetried?: boolean } = {},
): Promise<HookRun> {
  const { emit } = run.input;
  const { signal = run.stop.signal, isRetried = false } = options;
  const begun: HookRun = {
    ...(cluster === undefined ? {} : { cluster }),
    outcome: "running",
    startedAt: run.now(),
  };
  keep(run, hook, begun);
  // The record says that a hook runs before it does.
  await run.keeper.saved();
  emit({ type: "hook-started", hook: hook.name, when: hook.when, cluster, timeoutMs: hook.timeoutMs });
  const lines: string[] = [];
  const onLine = (line: string): void => {
    lines.push(line);
    if (lines.length > LINES_KEPT) lines.shift();
    emit({ type: "hook-log", hook: hook.name, cluster, line });
  };
  const result = await execute(run, hook, { cluster, onLine, signal });
  const ended: HookRun = { ...begun, ...result, finishedAt: run.now() };
  keep(run, hook, ended);
  if (ended.outcome === "succeeded" && hook.run.kind === "job") {
    // Only what the record knows to have succeeded may go: with keep 0 the Job itself is nobody's proof any more.
    await run.keeper.saved();
    await tidyJobs(run, { hook, ...hook.run, cluster: cluster as string, onLine, signal });
  }
  emit({
    type: "hook-finished",
    hook: hook.name,
    cluster,
    outcome: ended.outcome,
    cause: ended.cause,
    durationMs: run.now() - begun.startedAt,
  });
  // A cluster that is tried every few seconds would leave the same evidence of its silence each time.
  const isKnown = isRetried && ended.cause !== undefined && isSilence(ended.cause.code);
  if (ended.cause !== undefined && !isKnown) keepEvidence(run, { cause: ended.cause, hook, lines });
  return ended;
}

const LINES_KEPT = 25;

/** The cluster did not answer, or could not: it is asked again, where a refusal is an answer. */
export function isSilence(code: CauseCode): boolean {
  return code === "ClusterUnreachable" || code === "ClusterOverloaded" || code === "WebhookUnavailable";
}

type Result = Pick<HookRun, "outcome" | "cause" | "job">;

async function execute(
  run: Run,
  hook: Hook,
  at: {
    readonly cluster: string | undefined;
    readonly onLine: (line: string) => void;
    readonly signal: AbortSignal;
  },
): Promise<Result> {
  switch (hook.run.kind) {
    case "command":
      return program(run, { hook, command: hook.run.command, onLine: at.onLine });
    case "job":
      return runJob(run, { hook, ...hook.run, ...at, cluster: at.cluster as string });
    default:
      return assertNever(hook.run);
  }
}

async function program(
  run: Run,
  given: {
    readonly hook: Hook;
    readonly command: readonly string[];
    readonly onLine: (line: string) => void;
  },
): Promise<Result> {
  const { clock, gates: ports } = run.input.context;
  await run.input.assureLock?.();
  const timer = new AbortController();
  const over = new AbortController();
  clock.sleep(given.hook.timeoutMs, timer.signal).then(
    () => over.abort(),
    () => undefined,
  );
  const clusters = run.state.waves.flat();
  const found = await askCommand(
    given.command,
    {
      clock,
      ports: ports ?? NO_PROGRAMS,
      signal: AbortSignal.any([over.signal, run.stop.signal]),
      waiting: () => undefined,
    },
    { env: environmentOf(run, 0, clusters), onLine: given.onLine },
  );
  timer.abort();
  if (found.outcome === "passed") return { outcome: "succeeded" };
  if (run.stop.signal.aborted) return { outcome: "cancelled" };
  const isLate = over.signal.aborted;
  const cause = makeCause(isLate ? "HookTimedOut" : "HookFailed", {
    cluster: clusters[0] ?? "",
    kubectl: kubectlFor(run.input.context, clusters[0] ?? ""),
    object: { namespace: run.input.record.namespace },
    why: `hook ${given.hook.name}: ${found.said}`,
  });
  return { outcome: isLate ? "timed-out" : "failed", cause };
}

const NO_PROGRAMS: GatePorts = {
  get: () => Promise.reject(new Error("nothing here can ask over HTTP")),
  run: () => Promise.reject(new Error("nothing here can run a program")),
  variable: () => undefined,
};

function keepEvidence(
  run: Run,
  { cause, hook, lines }: { readonly cause: Cause; readonly hook: Hook; readonly lines: readonly string[] },
): void {
  const notes = [
    `hook ${hook.name}, ${hook.when} the release: ${cause.why}`,
    ...lines.map((line) => `| ${line}`),
  ];
  if (hook.when === "after") {
    // Taken with the clusters' own evidence, when they fail for it.
    for (const name of lastWave(run)) run.notes.set(name, notes);
    return;
  }
  const evidence = { cluster: cause.cluster, cause, takenAt: run.now(), events: [], notes, gaps: [] };
  run.evidence.push(evidence);
  run.input.emit({ type: "evidence", cluster: cause.cluster, evidence });
  run.keeper.save();
}

function lastWave(run: Run): readonly string[] {
  const healthy = (name: string): boolean => run.forward(name).step === "healthy";
  return run.state.waves.findLast((wave) => wave.some(healthy))?.filter(healthy) ?? [];
}

function failLastWave(run: Run, cause: Cause): void {
  for (const cluster of lastWave(run)) failed(run, cluster, cause);
}

/** One entry for each place; a second run there replaces the first. */
function keep(run: Run, hook: Hook, ended: HookRun): void {
  run.hooks = run.hooks.map((one) =>
    one.hook === hook || (one.hook.name === hook.name && one.hook.when === hook.when)
      ? { ...one, runs: [...one.runs.filter(({ cluster }) => cluster !== ended.cluster), ended] }
      : one,
  );
  run.keeper.save();
}
