/**
 * A PromQL query that must hold. An instant vector has a sample for each series: all of them must hold. No sample
 * concludes nothing, and by default that fails: a query with a misspelt label would otherwise let everything through.
 */
import type { GateConfig } from "../../config/types.ts";
import { queryAddress, readAnswer, type Series } from "../../observe/prometheus/answer.ts";
import type { Asking, GateFinding } from "./gate.ts";

type PrometheusGate = Extract<GateConfig, { kind: "prometheus" }>;

const AGAIN_AFTER_MS = 5_000;

export async function askPrometheus(gate: PrometheusGate, asking: Asking): Promise<GateFinding> {
  const { clock, ports, signal, waiting } = asking;
  const url = queryAddress(gate.url, gate.query);
  const token = ports.variable(gate.tokenFrom);
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  let last: GateFinding = { outcome: "timed-out", said: "", values: {} };
  while (!signal.aborted) {
    try {
      const series = seriesOf((await ports.get(url, { headers, signal })).body);
      last = conclude(gate, series);
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

/** Throws with what is wrong with the query, or with who answers it. */
export function seriesOf(body: string): readonly Series[] {
  const answer = readAnswer(body);
  switch (answer.kind) {
    case "series":
      return answer.series;
    case "refused":
      throw new Error(answer.why);
    case "other":
      throw new Error(`the query gives a ${answer.type}; it should give a scalar or an instant vector`);
    case "unreadable":
      throw new Error(`this is no answer of Prometheus: ${body.slice(0, 80)}`);
  }
}

export function conclude(
  gate: Pick<PrometheusGate, "query" | "expect">,
  series: readonly Series[],
): GateFinding {
  const { operator, value } = gate.expect;
  const expected = `${operator} ${value}`;
  const values = { query: gate.query, expected, samples: series.length };
  // 0/0 over an interval without traffic is NaN, which is no data either.
  const told = series.filter((one) => !Number.isNaN(one.value));
  if (told.length === 0) {
    return { outcome: "undecided", said: `no data for ${gate.query}`, values: { ...values, samples: 0 } };
  }
  const against = told.find((one) => !holds(one.value, gate.expect));
  const shown = against ?? (told[0] as Series);
  const more = told.length > 1 ? ` (${told.length} series)` : "";
  return {
    outcome: against === undefined ? "passed" : "failed",
    said: `${gate.query}${labelsOf(shown)} is ${shown.value}${more}, expected ${expected}`,
    values: { ...values, value: shown.value },
  };
}

function labelsOf({ labels }: Series): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
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
