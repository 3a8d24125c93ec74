/**
 * A PromQL query that must hold, by the HTTP API of Prometheus (`GET /api/v1/query`, stable since version 2). An
 * instant vector has a sample for each series: all of them must hold. No sample concludes nothing, and by default
 * that fails: a query with a misspelt label would otherwise let everything through.
 */
import type { GateConfig } from "../../config/types.ts";
import type { Asking, GateFinding } from "./gate.ts";

type PrometheusGate = Extract<GateConfig, { kind: "prometheus" }>;

const AGAIN_AFTER_MS = 5_000;

export async function askPrometheus(gate: PrometheusGate, asking: Asking): Promise<GateFinding> {
  const { clock, ports, signal, waiting } = asking;
  const url = `${gate.url.replace(/\/+$/, "")}/api/v1/query?query=${encodeURIComponent(gate.query)}`;
  const token = ports.variable(gate.tokenFrom);
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  let last: GateFinding = { outcome: "timed-out", said: "", values: {} };
  while (!signal.aborted) {
    try {
      const samples = samplesOf((await ports.get(url, { headers, signal })).body);
      last = conclude(gate, samples);
      if (last.outcome !== "undecided") return last;
    } catch (error) {
      if (signal.aborted) break;
      const said = `${gate.url} does not answer the query: ${error instanceof Error ? error.message : String(error)}`;
      last = { outcome: "undecided", said, values: { query: gate.query } };
    }
    waiting(last.said, last.values);
    await clock.sleep(AGAIN_AFTER_MS, signal).catch(() => undefined);
  }
  const isNoData = last.values["samples"] === 0;
  return isNoData && gate.noData === "pass" ? { ...last, outcome: "passed" } : last;
}

export interface Sample {
  readonly labels: string;
  readonly value: number;
}

/** Throws with what Prometheus says against the query. */
export function samplesOf(body: string): readonly Sample[] {
  let parsed: {
    status?: string;
    error?: string;
    data?: { resultType?: string; result?: unknown };
  };
  try {
    parsed = JSON.parse(body) as typeof parsed;
  } catch {
    throw new Error(`this is no answer of Prometheus: ${body.slice(0, 80)}`);
  }
  if (parsed.status !== "success") throw new Error(parsed.error ?? "no reason given");
  const { resultType, result } = parsed.data ?? {};
  if (resultType === "scalar") return [{ labels: "", value: numberOf((result as [number, string])[1]) }];
  if (resultType === "vector") {
    return (result as { metric: Record<string, string>; value: [number, string] }[]).map(
      ({ metric, value }) => ({ labels: labelsOf(metric), value: numberOf(value[1]) }),
    );
  }
  throw new Error(`the query gives a ${resultType}; it should give a scalar or an instant vector`);
}

/** As Prometheus writes numbers: `0.5`, `1e-3`, `NaN`, `+Inf`, `-Inf`. */
function numberOf(text: string): number {
  return Number(text.replace("Inf", "Infinity"));
}

function labelsOf(metric: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(metric).map(([name, value]) => `${name}="${value}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

export function conclude(
  gate: Pick<PrometheusGate, "query" | "expect">,
  samples: readonly Sample[],
): GateFinding {
  const { operator, value } = gate.expect;
  const expected = `${operator} ${value}`;
  const values = { query: gate.query, expected, samples: samples.length };
  // 0/0 over an interval without traffic is NaN, which is no data either.
  const told = samples.filter((sample) => !Number.isNaN(sample.value));
  if (told.length === 0) {
    return { outcome: "undecided", said: `no data for ${gate.query}`, values: { ...values, samples: 0 } };
  }
  const against = told.find((sample) => !holds(sample.value, gate.expect));
  const shown = against ?? (told[0] as Sample);
  const more = told.length > 1 ? ` (${told.length} series)` : "";
  return {
    outcome: against === undefined ? "passed" : "failed",
    said: `${gate.query}${shown.labels} is ${shown.value}${more}, expected ${expected}`,
    values: { ...values, value: shown.value },
  };
}

function holds(value: number, expect: PrometheusGate["expect"]): boolean {
  switch (expect.operator) {
    case "<":
      return value < expect.value;
    case "<=":
      return value <= expect.value;
    case ">":
      return value > expect.value;
    case ">=":
      return value >= expect.value;
    case "==":
      return value === expect.value;
    case "!=":
      return value !== expect.value;
  }
}
