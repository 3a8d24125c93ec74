import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "@slipway/base";
import type { AlertsAnswer, Incident } from "../../server/api.ts";
import type { AskedCluster, MuteWish } from "../alerts/clusters.ts";
import { clusterAlerts } from "./cluster-alerts.ts";
import { turn } from "./turn.testing.ts";

const incident = (changes: Partial<Incident> = {}): Incident => ({
  ...{ id: "a", rule: "availability", state: "firing", severity: "page", service: "web", cluster: "" },
  ...{ release: 2, title: "web fails", facts: [], openedAt: 1, changedAt: 1, resolvedAt: undefined },
  ...{ mutedUntil: undefined, rollbackTo: undefined },
  ...changes,
});
const answerOf = (open: readonly Incident[]): AlertsAnswer => ({ open, muted: [], history: [], rules: [] });

test("what opens or changes is told while the pages are open; a mute goes to its cluster", async () => {
  const clock = new VirtualClock();
  let now = answerOf([incident()]);
  const muted: MuteWish[] = [];
  const ask = async (question: string, body?: unknown): Promise<unknown> => {
    if (question === "alerts-mute") muted.push(body as MuteWish);
    return now;
  };
  const alerts = clusterAlerts([{ name: "tokyo", ask: ask as AskedCluster["ask"] }], clock);
  const told: string[] = [];
  alerts.onChange(({ id, state }) => told.push(`${id} ${state}`));
  assert.deepEqual(
    (await alerts.list()).open.map(({ id }) => id),
    ["tokyo/a"],
  );
  assert.deepEqual(told, [], "what stood there before is no news");
  now = answerOf([incident(), incident({ id: "b" })]);
  await turn(clock, () => told.length === 1);
  now = { ...now, open: [incident()], history: [incident({ id: "b", state: "resolved", resolvedAt: 9 })] };
  await turn(clock, () => told.length === 2);
  assert.deepEqual(told, ["tokyo/b firing", "tokyo/b resolved"]);
  await alerts.mute({ id: "tokyo/a", forMs: 60_000, reason: "known" }, "aki");
  assert.deepEqual(muted, [{ id: "a", forMs: 60_000, reason: "known", who: "aki" }]);
  alerts.close();
});

test("a collector that hangs or is missing stands among the rules, and keeps nobody waiting", async () => {
  const clock = new VirtualClock();
  const alerts = clusterAlerts(
    [
      { name: "tokyo", ask: () => new Promise(() => {}) },
      { name: "osaka", ask: async () => Promise.reject(new Error("no collector is installed")) },
      { name: "paris", ask: (async () => answerOf([incident()])) as AskedCluster["ask"] },
    ],
    clock,
  );
  let shown: AlertsAnswer | undefined;
  void alerts.list().then((answer) => {
    shown = answer;
  });
  await turn(clock, () => shown !== undefined);
  assert.deepEqual(
    shown?.open.map(({ cluster }) => cluster),
    ["paris"],
  );
  assert.deepEqual(shown?.rules.map(({ name, text }) => `${name}: ${text}`).sort(), [
    "osaka: no collector is installed",
    "tokyo: its collector did not answer within 5 s",
  ]);
  alerts.close();
});
