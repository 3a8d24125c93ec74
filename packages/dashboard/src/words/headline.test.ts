import assert from "node:assert/strict";
import { test } from "node:test";
import { nowAnswer } from "../../fixture/story.ts";
import type { Incident, NowAnswer } from "../live/api.ts";
import { headline } from "./headline.ts";

const at = Date.UTC(2026, 2, 2, 14, 0);
const calm: NowAnswer = nowAnswer("calm", at);
const incident: Incident = {
  id: "1",
  rule: "burn",
  state: "firing",
  severity: "page",
  service: "web",
  cluster: "tokyo",
  release: 42,
  title: "web answers 6 % of requests with a 5xx",
  facts: [],
  openedAt: at - 240_000,
  changedAt: at,
  resolvedAt: undefined,
  mutedUntil: undefined,
  rollbackTo: 41,
};

test("all is well when nothing is wrong, and nothing has to be done", () => {
  const said = headline(calm, at);
  assert.equal(said.tone, "good");
  assert.match(said.text, /^All is well\. 2 services in 2 clusters answer [\d.]+ requests a second\./);
  assert.equal(said.todo, "Nothing to do.");
  assert.deepEqual(said.more, []);
});

test("what is not well is the sentence, the worst of it first", () => {
  const ticket = { ...incident, id: "2", severity: "ticket" as const, rollbackTo: undefined };
  const tokyo = { ...calm.clusters[0]!, reachable: false, reason: "connection refused" };
  const [web] = calm.services;
  const failing = { ...web!, traffic: { ...web!.traffic, errors: 90, errorRatio: 0.09 } };
  const muted = { ...incident, state: "muted" as const };
  const table: readonly (readonly [string, Partial<NowAnswer>, string, RegExp])[] = [
    ["an incident", { alerts: [incident] }, "bad", /^web answers 6 % .*, for 4\u00a0min\.$/],
    ["a muted one is not said", { alerts: [{ ...incident, state: "muted" }] }, "good", /^All is well/],
    ["a page before a ticket", { alerts: [ticket, incident] }, "bad", /6 %/],
    ["a cluster away", { clusters: [tokyo] }, "bad", /tokyo does not answer: connection refused\./],
    [
      "a pod not ready",
      { clusters: [{ ...tokyo, reachable: true, pods: { ready: 2, wanted: 3 } }] },
      "warn",
      /^1 of 3 pods in tokyo is not ready/,
    ],
    [
      "a release that failed",
      { release: { ...calm.release!, outcome: "failed", cause: "the process exits with 1." } },
      "bad",
      /failed and still runs somewhere: the process exits with 1\.$/,
    ],
    ["old figures", { at: at - 90_000 }, "bad", /1\u00a0min 30\u00a0s old/],
    ["late lines", { lines: { ...calm.lines, lagMs: 60_000 } }, "warn", /stored 1\u00a0min late/],
    [
      "errors that no alert tells of",
      { services: [failing] },
      "bad",
      /^web answers 9.% of requests with a 5xx\.$/,
    ],
    ["errors that a muted alert tells of", { services: [failing], alerts: [muted] }, "good", /^All is well/],
    ["silence", { services: [] }, "quiet", /^No request/],
    ["before the first release", { services: [], release: undefined }, "quiet", /^Nothing has been released/],
  ];
  for (const [name, part, tone, text] of table) {
    const said = headline({ ...calm, ...part }, at);
    assert.equal(said.tone, tone, name);
    assert.match(said.text, text, name);
    assert.notEqual(said.todo, "", `${name}: says what to do`);
  }
});

test("a rollback is offered with the release that it leaves", () => {
  assert.deepEqual(headline({ ...calm, alerts: [incident] }, at).rollback, { leaves: 42, to: 41 });
});
