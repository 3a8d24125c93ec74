/** The release section resolved: durations in milliseconds, names and defaults for every gate and hook. */
import { basename } from "node:path";
import { parseDuration } from "@slipway/base";
import type { ParsedConfig } from "./schema.ts";
import type { GateConfig, HookConfig, ReleaseConfig, WaveConfig } from "./types.ts";

type ParsedRelease = NonNullable<ParsedConfig["release"]>;
type ParsedWave = NonNullable<ParsedRelease["waves"]>[number];
type ParsedGate = NonNullable<ParsedRelease["gates"]>[number];
type ParsedHooks = NonNullable<ParsedRelease["hooks"]>;
type ParsedHook = NonNullable<ParsedHooks["before"]>[number];

export function clustersOf(wave: ParsedWave): readonly string[] {
  return "clusters" in wave ? wave.clusters : wave;
}

export function waveOf(wave: ParsedWave): WaveConfig {
  if (!("clusters" in wave)) return {};
  return {
    bakeMs: wave.bake === undefined ? undefined : parseDuration(wave.bake),
    maxParallel: wave.maxParallel,
    gates: wave.gates === undefined ? undefined : gatesOf(wave.gates),
  };
}

export function gatesOf(gates: readonly ParsedGate[]): readonly GateConfig[] {
  return toldApart(gates.map(gateOf));
}

/** The first gate of a release, or of its waves, that needs somebody who counts requests. */
export function ratioGateOf({ gates = [], waveSettings = [] }: ReleaseConfig): GateConfig | undefined {
  return [gates, ...waveSettings.map((wave) => wave.gates ?? [])]
    .flat()
    .find(({ kind }) => kind === "error-ratio");
}

/** Records know gates and hooks by their names, so two of one name get a number: `http`, `http 2`. */
function toldApart<T extends { readonly name: string }>(all: readonly T[]): readonly T[] {
  const taken = new Set<string>();
  return all.map((one) => {
    let { name } = one;
    for (let count = 2; taken.has(name); count += 1) name = `${one.name} ${count}`;
    taken.add(name);
    return { ...one, name };
  });
}

function gateOf(gate: ParsedGate): GateConfig {
  const times = (name: string, fallback: string): { name: string; timeoutMs: number } => ({
    name: gate.name ?? name,
    timeoutMs: parseDuration(gate.timeout ?? fallback),
  });
  if ("http" in gate) {
    const { http } = gate;
    return {
      kind: "http",
      ...times("http", "1m"),
      url: http.url,
      status: http.status ?? 200,
      body: http.body,
      headers: http.headers ?? {},
      attempts: http.attempts ?? 3,
      intervalMs: parseDuration(http.interval ?? "2s"),
    };
  }
  if ("errorRatio" in gate) {
    const { errorRatio } = gate;
    return {
      kind: "error-ratio",
      ...times("error-ratio", "5m"),
      service: errorRatio.service,
      maxIncrease: errorRatio.maxIncrease ?? 0.01,
      minRequests: errorRatio.minRequests ?? 100,
      tooFew: errorRatio.tooFew ?? "fail",
      p95:
        errorRatio.p95 === undefined
          ? undefined
          : {
              maxIncrease: errorRatio.p95.maxIncrease ?? 0.5,
              ignoreBelowMs: parseDuration(errorRatio.p95.ignoreBelow ?? "20ms"),
            },
    };
  }
  if ("prometheus" in gate) {
    const { prometheus } = gate;
    return {
      kind: "prometheus",
      ...times("prometheus", "1m"),
      url: prometheus.url,
      query: prometheus.query,
      expect: expectationOf(prometheus.expect),
      tokenFrom: prometheus.tokenFrom ?? "PROMETHEUS_TOKEN",
      noData: prometheus.noData ?? "fail",
    };
  }
  if ("command" in gate) return { kind: "command", ...times("command", "5m"), command: gate.command };
  return { kind: "approval", ...times("approval", "1h") };
}

function expectationOf(text: string): Extract<GateConfig, { kind: "prometheus" }>["expect"] {
  const [, operator, value] = /^\s*([<>=!]+)\s*(\S+)\s*$/.exec(text) as RegExpExecArray;
  return { operator: operator as "<", value: Number(value) };
}

export function hooksOf(hooks: ParsedHooks, at: (path: string) => string): readonly HookConfig[] {
  const side = (when: "before" | "after"): readonly HookConfig[] =>
    toldApart((hooks[when] ?? []).map((hook) => hookOf(hook, when, at)));
  return [...side("before"), ...side("after")];
}

function hookOf(hook: ParsedHook, when: "before" | "after", at: (path: string) => string): HookConfig {
  const common = {
    when,
    timeoutMs: parseDuration(hook.timeout ?? "10m"),
    onRollback: hook.onRollback ?? false,
  };
  if ("job" in hook) {
    const file = at(hook.job);
    const run = { kind: "job" as const, file, in: hook.in ?? "first-cluster", keep: hook.keep ?? 3 };
    return { ...common, name: hook.name ?? basename(file).replace(/\.ya?ml$/, ""), run };
  }
  const name = hook.name ?? basename(hook.command[0] as string);
  return { ...common, name, run: { kind: "command", command: hook.command } };
}
