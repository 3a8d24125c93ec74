/**
 * The alerts of several collectors, each of which watches its own cluster, as one list. An incident's id carries its
 * cluster (`tokyo/first-5xx-web-1`): that of one collector says nothing to another.
 */
import { SlipwayError } from "@slipway/base";
import type { AlertsAnswer, Incident } from "../../server/api.ts";
import { byGravity } from "../pages/alerts-port.ts";
import type { TestAnswer } from "./answers.ts";

export interface AskedCluster {
  readonly name: string;
  /** What `answers.ts` answers; rejects where there is no collector, or none that can be reached. */
  ask<T>(name: "alerts" | "alerts-mute" | "alerts-test", body?: unknown): Promise<T>;
}

export interface MuteWish {
  /** A rule or an incident; behind `CLUSTER/` in that cluster alone. */
  readonly id: string;
  readonly forMs: number;
  readonly reason: string;
  readonly who: string;
}

export interface Unasked {
  readonly cluster: string;
  readonly reason: string;
}

interface Asked<T> {
  readonly answered: readonly { readonly cluster: string; readonly answer: T }[];
  readonly unasked: readonly (Unasked & { readonly error: unknown })[];
}

export async function listAlerts(
  clusters: readonly AskedCluster[],
): Promise<{ readonly answer: AlertsAnswer; readonly unasked: readonly Unasked[] }> {
  const { answered, unasked } = await askEach(clusters, (one) => one.ask<AlertsAnswer>("alerts"));
  return { answer: mergeAlerts(answered), unasked };
}

/** Where it is known. Rejects when that is nowhere, and when a cluster could not be asked: there people are still called. */
export async function muteAlerts(clusters: readonly AskedCluster[], wish: MuteWish): Promise<void> {
  const only = clusters.find(({ name }) => wish.id.startsWith(`${name}/`));
  const body = only === undefined ? wish : { ...wish, id: wish.id.slice(only.name.length + 1) };
  const { answered, unasked } = await askEach(only === undefined ? clusters : [only], (one) =>
    one.ask<AlertsAnswer>("alerts-mute", body),
  );
  // One that does not know it, or watches nothing, calls nobody because of it.
  const isQuiet = (error: unknown): boolean =>
    error instanceof SlipwayError && (error.code === "ALERT_UNKNOWN" || error.code === "COLLECTOR_NONE");
  const failed = unasked.filter(({ error }) => !isQuiet(error));
  if (failed.length > 0) {
    const done = answered.map(({ cluster }) => cluster).join(", ");
    throw new SlipwayError({
      code: "ALERTS_PARTLY",
      where: `alerts/${wish.id}`,
      message: failed.map(({ cluster, reason }) => `${cluster} was not told: ${reason}`).join("; "),
      ...(done === "" ? {} : { hint: `Told: ${done}. The same command again completes it.` }),
      exitCode: 3,
    });
  }
  if (answered.length === 0 && unasked[0] !== undefined) throw unasked[0].error;
}

/** Each collector tells by itself, so each is tried. */
export async function testAlerts(clusters: readonly AskedCluster[]): Promise<TestAnswer> {
  const { answered, unasked } = await askEach(clusters, (one) => one.ask<TestAnswer>("alerts-test"));
  const lines = [
    ...answered.map(({ cluster, answer }) => `${cluster}: ${answer.text}`),
    ...unasked.map(({ cluster, reason }) => `${cluster}: ${reason}`),
  ];
  const delivered = unasked.length === 0 && answered.every(({ answer }) => answer.delivered);
  return { delivered, text: lines.join("\n") };
}

function mergeAlerts(answered: Asked<AlertsAnswer>["answered"]): AlertsAnswer {
  const all = (list: "open" | "muted" | "history"): Incident[] =>
    answered.flatMap(({ cluster, answer }) =>
      answer[list].map((incident) => ({ ...incident, cluster, id: `${cluster}/${incident.id}` })),
    );
  const rules = new Map<string, { name: string; text: string; states: Map<string, string[]> }>();
  for (const { cluster, answer } of answered) {
    for (const { name, text, state } of answer.rules) {
      const rule = rules.get(name) ?? { name, text, states: new Map<string, string[]>() };
      rule.states.set(state, [...(rule.states.get(state) ?? []), cluster]);
      rules.set(name, rule);
    }
  }
  return {
    open: all("open").sort(byGravity),
    muted: all("muted").sort(byGravity),
    history: all("history").sort((a, b) => (b.resolvedAt ?? 0) - (a.resolvedAt ?? 0)),
    rules: [...rules.values()].map(({ name, text, states }) => ({ name, text, state: stateOf(states) })),
  };
}

/** The one state of all, or who is in which. */
function stateOf(states: ReadonlyMap<string, readonly string[]>): string {
  const [[only = ""] = [], ...others] = states;
  if (others.length === 0) return only;
  return [...states].map(([state, clusters]) => `${state} (${clusters.join(", ")})`).join(", ");
}

async function askEach<T>(
  clusters: readonly AskedCluster[],
  question: (cluster: AskedCluster) => Promise<T>,
): Promise<Asked<T>> {
  const answered: { cluster: string; answer: T }[] = [];
  const unasked: (Unasked & { error: unknown })[] = [];
  const outcomes = await Promise.allSettled(clusters.map(question));
  for (const [place, outcome] of outcomes.entries()) {
    const cluster = clusters[place]?.name as string;
    if (outcome.status === "fulfilled") answered.push({ cluster, answer: outcome.value });
    else {
      const { reason: error } = outcome as { reason: unknown };
      unasked.push({ cluster, error, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  return { answered, unasked };
}
