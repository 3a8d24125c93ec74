import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "@slipway/base";
import { type Check, fail, failForGood, type Judgement, pass, unknown, unknownYet } from "../check.ts";
import { collectNow } from "../collect.ts";
import { describeCluster } from "../verify.ts";
import type { Outcomes } from "./outcome.ts";
import { settle } from "./settle.ts";

test("a condition of a cluster has 60 s; one that has failed for good, or cannot be seen, takes none of them", async () => {
  const judgements: Readonly<Record<string, (atMs: number) => Judgement>> = {
    holds: () => pass(),
    late: (atMs) => (atMs >= 40_000 ? pass() : fail("not yet")),
    never: () => fail("not yet"),
    lost: () => failForGood("it has happened"),
    hidden: () => unknown("nobody can see it"),
    veiled: (atMs) => (atMs >= 20_000 ? pass() : unknownYet("nobody can see it now")),
    dark: () => unknownYet("nobody can see it now"),
  };
  const checks = collectNow(() =>
    describeCluster((t) => {
      for (const name of Object.keys(judgements)) t.object("v1/ConfigMap", name).exists();
    }),
  );
  const clock = new VirtualClock();
  const outcomes: Outcomes = new Map();
  const nameOf = (check: Check): string => (check.kind === "object" ? check.resource.name : "");
  const judge = async (check: Check): Promise<Judgement> =>
    judgements[nameOf(check)]?.(clock.monotonic()) ?? unknown("no such check");
  const settling = settle(
    checks,
    { clock, look: async () => ({ isFinal: false, judge }), digest: undefined, where: "here" },
    outcomes,
  );
  await clock.advance(61_000);
  await settling;
  const told = checks.map((check) => {
    const { judgement, durationMs = 0, attempts } = outcomes.get(check) ?? assert.fail("it is not decided");
    const when = durationMs === 0 ? "at once" : `${Math.round(durationMs / 10_000) * 10} s`;
    return `${nameOf(check)}: ${judgement.verdict} ${when}${attempts === 1 ? "" : ", tried again"}`;
  });
  assert.deepEqual(told, [
    "holds: pass at once",
    "late: pass 40 s, tried again",
    "never: fail 60 s, tried again",
    "lost: fail at once",
    "hidden: unknown at once",
    "veiled: pass 20 s, tried again",
    "dark: unknown 60 s, tried again",
  ]);
});
