import assert from "node:assert/strict";
import { test } from "node:test";
import { SlipwayError } from "@slipway/base";
import type { AlertsAnswer, Incident } from "../../server/api.ts";
import { type AskedCluster, listAlerts, type MuteWish, muteAlerts, testAlerts } from "./clusters.ts";

const incident = (id: string, changes: Partial<Incident> = {}): Incident => ({
  ...{ id, rule: "availability", state: "firing", severity: "ticket", service: "web", cluster: "" },
  ...{ release: 2, title: "web fails", facts: [], openedAt: 1, changedAt: 1, resolvedAt: undefined },
  ...{ mutedUntil: undefined, rollbackTo: undefined },
  ...changes,
});
const answer = (changes: Partial<AlertsAnswer> = {}): AlertsAnswer => ({
  ...{ open: [], muted: [], history: [], rules: [{ name: "availability", text: "99.9 %", state: "ok" }] },
  ...changes,
});
const unknown = new SlipwayError({ code: "ALERT_UNKNOWN", where: "alerts/x", message: "is neither" });

/** A collector that knows these incidents and rules. */
function cluster(name: string, known: AlertsAnswer | Error) {
  const muted: MuteWish[] = [];
  const ask = async (question: string, body?: unknown): Promise<unknown> => {
    if (known instanceof Error) throw known;
    if (question === "alerts-test") return { delivered: true, text: "it arrived" };
    if (question === "alerts-mute") {
      const wish = body as MuteWish;
      const ids = [...known.open.map(({ id }) => id), ...known.rules.map(({ name: rule }) => rule)];
      if (!ids.includes(wish.id)) throw unknown;
      muted.push(wish);
    }
    return known;
  };
  return { name, muted, ask: ask as AskedCluster["ask"] };
}
const away = () => cluster("osaka", new Error("its pod is not ready"));
const wish = (id: string): MuteWish => ({ id, forMs: 60_000, reason: "known", who: "aki" });

test("the incidents of all clusters, the gravest first, each with its cluster; rules once", async () => {
  const tokyo = cluster(
    "tokyo",
    answer({ open: [incident("a", { openedAt: 5 })], history: [incident("over", { resolvedAt: 3 })] }),
  );
  const osaka = cluster(
    "osaka",
    answer({
      open: [incident("a", { severity: "page" })],
      muted: [incident("m", { state: "muted" })],
      history: [incident("over", { resolvedAt: 4 })],
      rules: [
        { name: "availability", text: "99.9 %", state: "firing" },
        { name: "slow", text: "p95", state: "ok" },
      ],
    }),
  );
  const { answer: all, unasked } = await listAlerts([tokyo, osaka]);
  const shown = (list: readonly Incident[]) => list.map(({ id, cluster: of }) => [id, of]);
  assert.deepEqual(shown(all.open), [
    ["osaka/a", "osaka"],
    ["tokyo/a", "tokyo"],
  ]);
  assert.deepEqual(shown(all.muted), [["osaka/m", "osaka"]]);
  assert.deepEqual(shown(all.history), [
    ["osaka/over", "osaka"],
    ["tokyo/over", "tokyo"],
  ]);
  assert.deepEqual(all.rules, [
    { name: "availability", text: "99.9 %", state: "ok (tokyo), firing (osaka)" },
    { name: "slow", text: "p95", state: "ok" },
  ]);
  assert.deepEqual(unasked, []);
});

test("a cluster that cannot be asked is named, and hides nothing of the others", async () => {
  const { answer: all, unasked } = await listAlerts([
    cluster("tokyo", answer({ open: [incident("a")] })),
    away(),
  ]);
  assert.equal(all.open.length, 1);
  assert.deepEqual(
    unasked.map(({ cluster: of, reason }) => [of, reason]),
    [["osaka", "its pod is not ready"]],
  );
});

test("a rule is muted everywhere, an incident where it is, and behind a cluster's name there alone", async () => {
  const [tokyo, osaka] = [cluster("tokyo", answer({ open: [incident("a")] })), cluster("osaka", answer())];
  for (const id of ["availability", "a", "tokyo/a", "osaka/availability"])
    await muteAlerts([tokyo, osaka], wish(id));
  assert.deepEqual(
    tokyo.muted.map(({ id }) => id),
    ["availability", "a", "a"],
  );
  assert.deepEqual(
    osaka.muted.map(({ id }) => id),
    ["availability", "availability"],
  );
});

test("a mute that nobody knows, or that somebody did not hear, is not called done", async () => {
  const tokyo = cluster("tokyo", answer());
  await assert.rejects(muteAlerts([tokyo, cluster("osaka", answer())], wish("none")), {
    code: "ALERT_UNKNOWN",
  });
  await assert.rejects(muteAlerts([tokyo, away()], wish("availability")), (error: SlipwayError) => {
    assert.equal(error.code, "ALERTS_PARTLY");
    assert.match(error.message, /osaka was not told: its pod is not ready/);
    assert.match(error.hint ?? "", /Told: tokyo/);
    return true;
  });
});

test("every collector tries its way to Slack", async () => {
  assert.deepEqual(await testAlerts([cluster("tokyo", answer()), away()]), {
    delivered: false,
    text: "tokyo: it arrived\nosaka: its pod is not ready",
  });
});
