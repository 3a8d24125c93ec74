import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { isHeldBack, loadCases, parseCase } from "./case.ts";
import { loadObjects } from "./objects.ts";

const corpus = join(import.meta.dirname, "../../../../corpus");
const smallest = `
title: t
why: w
expect: { verdict: failed, cause: ContainerCrash, cluster: tokyo, withinSeconds: 10 }
places: [replay]
held: ${isHeldBack("x")}
recorded: real
decisive: { ends: 2 }
`;

test("a case is parsed with its defaults", () => {
  const one = parseCase(smallest, "x", "failures", "/nowhere");
  assert.deepEqual(one.clusters, ["tokyo"]);
  assert.equal(one.atMostMs, 180_000);
  assert.deepEqual(one.steps, []);
});

test("steps and faults have moments, also before the apply", () => {
  const one = parseCase(
    `${smallest}\nsteps: [{ at: -2s, do: cordon, node: node-1 }, { at: 1m, do: delete-pod, of: new }]\nfaults: [{ cluster: tokyo, answer: "429", from: 3s, until: 20s }]`,
    "x",
    "failures",
    "/nowhere",
  );
  assert.deepEqual(
    one.steps.map((step) => step.atMs),
    [-2_000, 60_000],
  );
  assert.deepEqual(one.faults, [
    { cluster: "tokyo", answer: "429", ratio: 1, fromMs: 3_000, untilMs: 20_000, latencyMs: 0 },
  ]);
});

test("what a case cannot say is refused with its place", () => {
  const table: readonly (readonly [string, string, RegExp])[] = [
    ["an unknown key", `${smallest}\nplace: real`, /place/],
    [
      "a healthy failure",
      smallest.replace(/expect:.*/, "expect: { verdict: healthy }"),
      /cannot expect healthy/,
    ],
    [
      "a fault of no cluster",
      `${smallest}\nfaults: [{ cluster: osaka, answer: hang }]`,
      /osaka is none of its clusters/,
    ],
    ["an unknown step", `${smallest}\nsteps: [{ at: 1s, do: dance }]`, /steps\[0\]/],
    ["held by taste", smallest.replace(/held: \w+/, `held: ${!isHeldBack("x")}`), /the name decides/],
    ["derived from nothing", smallest.replace("recorded: real", "recorded: derived"), /plays/],
    ["recorded, and played from another", `${smallest}plays: plain-rollout\n`, /derived/],
    ["written by hand for no reason", smallest.replace("recorded: real", "recorded: by-hand"), /because/],
    ["no signal", smallest.replace(/decisive:.*/, ""), /decisive/],
  ];
  for (const [name, text, message] of table) {
    assert.throws(() => parseCase(text, "x", "failures", "/nowhere"), message, name);
  }
});

test("every case of the corpus can be read, and its objects too", async () => {
  const cases = await loadCases(corpus);
  for (const one of cases) {
    const { before, after } = await loadObjects(one);
    assert.ok(before.length > 0 && after.length >= before.length, one.id);
  }
});
