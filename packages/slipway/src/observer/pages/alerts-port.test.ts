import assert from "node:assert/strict";
import { test } from "node:test";
import type { Standing } from "../../observe/alerts/alerts.ts";
import { alertsAnswer, incidentOf } from "./alerts-port.ts";

type One = Standing["alerts"][number];

const alert = (id: string, changes: Partial<One> = {}): One => ({
  id,
  fingerprints: [id],
  group: undefined,
  state: "firing",
  rule: "errors",
  severity: "ticket",
  service: "web",
  cluster: "",
  release: 2,
  title: "web fails",
  facts: [{ name: "requests", value: "50" }],
  samples: [],
  openedAt: 100,
  changedAt: 100,
  resolvedAt: undefined,
  reopenMs: 0,
  mute: undefined,
  rollbackTo: 1,
  ...changes,
});

test("open, muted and over, each in the order in which somebody woken at night wants them", () => {
  const mute = { id: "quiet", until: 999, reason: "known", who: "aki" } as One["mute"];
  const answer = alertsAnswer({
    alerts: [
      alert("old", { openedAt: 1 }),
      alert("new", { openedAt: 2 }),
      alert("grave", { severity: "page", openedAt: 0 }),
      alert("quiet", { mute }),
      alert("over", { state: "resolved", resolvedAt: 50 }),
      alert("just-over", { state: "resolved", resolvedAt: 60 }),
    ],
    rules: [],
  });
  const ids = (list: readonly { readonly id: string }[]): string[] => list.map(({ id }) => id);
  assert.deepEqual(ids(answer.open), ["grave", "new", "old"]);
  assert.deepEqual(ids(answer.muted), ["quiet"]);
  assert.equal(answer.muted[0]?.mutedUntil, 999);
  assert.deepEqual(ids(answer.history), ["just-over", "over"]);
});

test("one without data is open, and says so beside its samples", () => {
  const incident = incidentOf(alert("a", { state: "no-data", samples: ["GET / 500"] }));
  assert.equal(incident.state, "firing");
  assert.deepEqual(
    incident.facts.map(({ name }) => name),
    ["requests", "data", "example"],
  );
});
