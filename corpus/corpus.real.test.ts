/**
 * The cases that a real cluster can show, through the release engine: the same cause, cluster and container as in the
 * corpus. Who releases has what `slipway rights` prints and nothing else. SLIPWAY_REAL_KUBERNETES names the program that
 * starts the cluster; see corpus/README.md.
 *
 * With SLIPWAY_REAL_WIDE (lane `real-all`) all of them, also those that take minutes, stop a part of the cluster, need
 * hollow nodes or are held back from work on the judge: of these only how many were right is told. Otherwise a spread of
 * eight quick ones, always the same so that a change of the result is a change of the code; SLIPWAY_CORPUS_TURN=1, 2, …
 * chooses others.
 */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { type CorpusCase, loadCases } from "../packages/slipway/src/corpus/case.ts";
import { disturbs, realClusters, runOnReal } from "./on-real.ts";
import { assertSaid, casesFor, isQuick, spreadOf, taking } from "./running.ts";

const skip =
  process.env["SLIPWAY_REAL_KUBERNETES"] === undefined
    ? "SLIPWAY_REAL_KUBERNETES is not set: there is no real Kubernetes to try it on"
    : false;
const AT_A_TIME = 8;
/** As many as run at a time, so that all of them take about as long as the slowest. */
const SPREAD = AT_A_TIME;
const all = casesFor(await loadCases(import.meta.dirname), "real");
const quick = all.filter(isQuick);
const isWide = process.env["SLIPWAY_REAL_WIDE"] !== undefined;
const turn = Number(process.env["SLIPWAY_CORPUS_TURN"] ?? 0);
const cases = isWide ? all : spreadOf(quick, SPREAD, turn);
const clusters = realClusters(process.env);

after(() => clusters.close());

test("there are enough of them", () => {
  assert.ok(quick.length >= 40, `${quick.length} quick cases of the corpus for a real cluster`);
  assert.ok(all.length >= 120, `${all.length} cases of the corpus for a real cluster`);
  assert.equal(cases.length, isWide ? all.length : SPREAD);
});

async function tryCase(one: CorpusCase): Promise<void> {
  assertSaid(one, await runOnReal(one, await clusters.for(one)));
}

const open = cases.filter(({ held }) => !held);
/** One after the other: each would see what the other does to the cluster, or its nodes. */
const alone = open.filter((one) => disturbs(one) || one.recorded === "hollow");

describe(`on a real cluster, ${isWide ? "all" : `turn ${turn}`}`, { concurrency: true, skip }, () => {
  const inTurn = taking<void>(AT_A_TIME);
  for (const one of open.filter((one) => !alone.includes(one)))
    test(`${one.kind}/${one.id}: ${one.title}`, () => inTurn(() => tryCase(one)));
});

describe("on a real cluster, one after the other", { skip }, () => {
  for (const one of alone) test(`${one.kind}/${one.id}: ${one.title}`, () => tryCase(one));
});

const HELD_RIGHT_AT_LEAST = 0.95;

if (isWide) {
  describe("on a real cluster, held back", { skip }, () => {
    test("as many are right as of the others", async () => {
      const held = cases.filter((one) => one.held);
      const isAlone = (one: CorpusCase): boolean => disturbs(one) || one.recorded === "hollow";
      const right = (one: CorpusCase): Promise<boolean> =>
        tryCase(one).then(
          () => true,
          () => false,
        );
      const inTurn = taking<boolean>(AT_A_TIME);
      const results = await Promise.all(
        held.filter((one) => !isAlone(one)).map((one) => inTurn(() => right(one))),
      );
      for (const one of held.filter(isAlone)) results.push(await right(one));
      const count = results.filter(Boolean).length;
      assert.ok(count >= HELD_RIGHT_AT_LEAST * held.length, `${count} of ${held.length}`);
    });
  });
}
