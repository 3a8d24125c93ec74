/** Asks one gate of a wave, keeps and tells what it found, and fails the wave's clusters when it did not pass. */
import { assertNever, formatDuration } from "@slipway/base";
import type { GateConfig } from "../../config/types.ts";
import { newestReplicaSets } from "../engine/observe.ts";
import { kubectlFor, type Run } from "../engine/run.ts";
import { failed } from "../engine/verdict.ts";
import { makeCause } from "../judge/causes.ts";
import { askApproval } from "./approval.ts";
import { askCommand } from "./command.ts";
import { askErrorRatio, type ReplicaSetsOf, sidesOf } from "./error-ratio.ts";
import type { Asking, GateFinding, GatePorts, GateRecord } from "./gate.ts";
import { askHttp } from "./http.ts";
import { askPrometheus } from "./prometheus.ts";

export function askGate(run: Run, wave: number, index: number): void {
  const gate = run.input.settings?.[wave]?.gates[index];
  if (gate === undefined) throw new Error(`wave ${wave} has no gate ${index}`);
  if (run.gating.signal.aborted) run.gating = new AbortController();
  const clusters = (run.state.waves[wave] ?? []).filter((name) => run.forward(name).step === "rolling");
  const begun: GateRecord = {
    wave,
    clusters,
    name: gate.name,
    kind: gate.kind,
    outcome: "waiting",
    said: "",
    values: {},
    startedAt: run.now(),
  };
  setPassage(run, { wave, index, passage: "running" });
  keep(run, begun);
  run.input.emit({ type: "gate-started", wave, gate: gate.name, kind: gate.kind, timeoutMs: gate.timeoutMs });
  const ask = async (): Promise<void> => {
    const found = await within(run, gate, begun);
    const { lines, ...stored } = found;
    keep(run, { ...begun, ...stored, finishedAt: run.now() });
    const { outcome, said, values, by } = found;
    const durationMs = run.now() - begun.startedAt;
    run.input.emit({
      type: "gate-finished",
      wave,
      gate: gate.name,
      ...{ outcome, said, values, by, durationMs },
    });
    if (outcome === "passed") {
      // The record says so before anything follows from it: whoever goes on with the release must not ask again.
      await run.keeper.saved();
      return setPassage(run, { wave, index, passage: "passed" });
    }
    setPassage(run, { wave, index, passage: outcome === "cancelled" ? "pending" : "failed" });
    if (outcome !== "cancelled") failWave(run, { wave, gate, found, lines: lines ?? [] });
  };
  run.spawn(ask().catch((error: unknown) => failWave(run, { wave, gate, found: broken(error), lines: [] })));
}

/** A gate that throws has concluded nothing. */
function broken(error: unknown): GateFinding {
  return { outcome: "undecided", said: error instanceof Error ? error.message : String(error), values: {} };
}

/** The gate's own answer, or what it last said when its time is over. */
async function within(run: Run, gate: GateConfig, begun: GateRecord): Promise<GateFinding> {
  const { clock, gates: ports = NO_PORTS } = run.input.context;
  const timer = new AbortController();
  const over = new AbortController();
  const ended = AbortSignal.any([run.gating.signal, run.stop.signal]);
  clock.sleep(gate.timeoutMs, timer.signal).then(
    () => over.abort(),
    () => undefined,
  );
  let waiting: Pick<GateFinding, "said" | "values"> = { said: "", values: {} };
  const asking: Asking = {
    clock,
    ports,
    signal: AbortSignal.any([over.signal, ended]),
    waiting(said, values = {}) {
      if (said !== waiting.said) {
        run.input.emit({ type: "gate-waiting", wave: begun.wave, gate: gate.name, said });
      }
      waiting = { said, values };
    },
  };
  const found = await ask(run, gate, { asking, begun }).catch(broken);
  timer.abort();
  if (found.outcome === "passed" || found.outcome === "failed") return found;
  if (ended.aborted) {
    return { outcome: "cancelled", said: "the wave ended while it was asked", values: waiting.values };
  }
  if (!over.signal.aborted) return found;
  const last = [waiting.said, found.said].find((said) => said !== "");
  const limit = `not passed within ${formatDuration(gate.timeoutMs)}`;
  return {
    ...found,
    said: last === undefined ? limit : `${limit}: ${last}`,
    values: { ...waiting.values, ...found.values },
  };
}

async function ask(
  run: Run,
  gate: GateConfig,
  { asking, begun }: { readonly asking: Asking; readonly begun: GateRecord },
): Promise<GateFinding> {
  const { record, context, emit, approveGates } = run.input;
  const release = `release ${record.number}`;
  switch (gate.kind) {
    case "http":
      return askHttp(gate, asking);
    case "error-ratio":
      return askErrorRatio(gate, asking, {
        sides: () => sidesOf(replicaSetsOf(run), begun.clusters),
        wave: begun.clusters,
        startedAt: record.startedAt,
        before: run.servedBefore,
      });
    case "prometheus":
      return askPrometheus(gate, asking);
    case "command":
      return askCommand(gate.command, asking, {
        env: environmentOf(run, begun.wave, begun.clusters),
        onLine: (line) => emit({ type: "gate-waiting", wave: begun.wave, gate: gate.name, said: line }),
      });
    case "approval": {
      if (approveGates === true) {
        const by = context.who;
        return { outcome: "passed", said: `approved by ${by}, with --approve-gates`, values: {}, by };
      }
      const next = run.state.waves[begun.wave + 1];
      const then = next === undefined ? "finish the release" : `go on to ${next.join(", ")}`;
      const question = `${release} is healthy in ${begun.clusters.join(", ")}: ${then}?`;
      return askApproval(asking, {
        record,
        gate: begun,
        targets: context.targets,
        question,
        who: context.who,
      });
    }
    default:
      return assertNever(gate);
  }
}

const NO_PORTS: GatePorts = {
  get: () => Promise.reject(new Error("nothing here can ask over HTTP")),
  run: () => Promise.reject(new Error("nothing here can run a program")),
  variable: () => undefined,
};

/** For programs of gates and hooks. */
export function environmentOf(
  run: Run,
  wave: number,
  clusters: readonly string[],
): Readonly<Record<string, string>> {
  return {
    SLIPWAY_RELEASE: String(run.input.record.number),
    SLIPWAY_WAVE: String(wave + 1),
    SLIPWAY_CLUSTERS: clusters.join(" "),
  };
}

/** Of the clusters that the release has come to. */
function replicaSetsOf(run: Run): ReadonlyMap<string, ReplicaSetsOf> {
  return new Map(
    [...run.replicaSetsBefore].flatMap(([cluster, before]) => {
      const observation = run.observed(cluster)?.current();
      return observation === undefined ? [] : [[cluster, { now: newestReplicaSets(observation), before }]];
    }),
  );
}

function failWave(
  run: Run,
  {
    wave,
    gate,
    found,
    lines,
  }: {
    readonly wave: number;
    readonly gate: GateConfig;
    readonly found: GateFinding;
    readonly lines: readonly string[];
  },
): void {
  const { context, record } = run.input;
  for (const name of run.state.waves[wave] ?? []) {
    const { step } = run.forward(name);
    if (step !== "rolling" && step !== "applying") continue;
    const values = Object.entries(found.values).map(([key, value]) => `${key}: ${value}`);
    run.notes.set(name, [`gate ${gate.name}: ${found.outcome}: ${found.said}`, ...values, ...lines]);
    const cause = makeCause("GateFailed", {
      cluster: name,
      kubectl: kubectlFor(context, name),
      object: { namespace: record.namespace },
      why: `gate ${gate.name} of wave ${wave + 1} did not let the release through: ${found.said}`,
      // What could not be concluded says nothing against the release: nothing is held then.
      blame: found.outcome === "failed" ? "release" : "cluster",
    });
    failed(run, name, cause);
  }
}

function setPassage(
  run: Run,
  at: {
    readonly wave: number;
    readonly index: number;
    readonly passage: "pending" | "running" | "passed" | "failed";
  },
): void {
  const gates = run.state.gates ?? [];
  const ofWave = (gates[at.wave] ?? []).with(at.index, at.passage);
  run.change({ gates: gates.with(at.wave, ofWave) });
}

function keep(run: Run, record: GateRecord): void {
  run.gates = [...run.gates.filter((one) => one.wave !== record.wave || one.name !== record.name), record];
  run.keeper.save();
}
