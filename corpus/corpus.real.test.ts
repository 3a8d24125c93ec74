/**
 * The cases that a real cluster can show in time, through the release engine: the same cause, cluster and container as
 * in the corpus. Who releases has what `slipway rights` prints and nothing else. SLIPWAY_REAL_KUBERNETES names the program that starts the cluster; see corpus/README.md.
 *
 * All of them with SLIPWAY_REAL_WIDE (lane `real-all`), otherwise a spread of eight, always the same ones so that
 * a change of the result is a change of the code; SLIPWAY_CORPUS_TURN=1, 2, … chooses others.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { makeAccount, openAs } from "../packages/slipway/src/clusters/testing.ts";
import { loadCases } from "../packages/slipway/src/corpus/case.ts";
import { openStage } from "../scripts/corpus/stage.ts";
import { openRealCluster, type RealCluster } from "../scripts/corpus/surroundings.ts";
import { assertSaid, casesFor, rightsOf, runCase, spreadOf, taking } from "./running.ts";

const skip =
  process.env["SLIPWAY_REAL_KUBERNETES"] === undefined
    ? "SLIPWAY_REAL_KUBERNETES is not set: there is no real Kubernetes to try it on"
    : false;
const AT_A_TIME = 8;
/** As many as run at a time, so that all of them take about as long as the slowest. */
const SPREAD = AT_A_TIME;
/** Without those that stop a part of the cluster, or wait for minutes, for the sake of the others and of everybody's time. */
const all = casesFor(await loadCases(import.meta.dirname), "real").filter(
  (one) =>
    one.recorded === "real" &&
    one.hook === undefined &&
    one.atMostMs <= 180_000 &&
    one.steps.every((step) => step.do === "webhook" || step.do.endsWith("-pod")),
);
const isWide = process.env["SLIPWAY_REAL_WIDE"] !== undefined;
const turn = Number(process.env["SLIPWAY_CORPUS_TURN"] ?? 0);
const cases = isWide ? all : spreadOf(all, SPREAD, turn);
let cluster: RealCluster | undefined;

before(async () => {
  if (skip === false) cluster = await openRealCluster(process.env);
});
after(async () => {
  await cluster?.close();
});

test("there are enough of them", () => {
  assert.ok(all.length >= 40, `${all.length} cases of the corpus for a real cluster`);
  assert.equal(cases.length, isWide ? all.length : SPREAD);
});

describe(`on a real cluster, ${isWide ? "all" : `turn ${turn}`}`, { concurrency: true, skip }, () => {
  const inTurn = taking<void>(AT_A_TIME);
  for (const one of cases) {
    test(`${one.kind}/${one.id}: ${one.title}`, () =>
      inTurn(async () => {
        assert.ok(cluster);
        const { clock, kubeconfig } = cluster;
        const stage = await openStage(one, cluster);
        const { namespace, objects } = stage;
        // Who releases is no administrator, as in life.
        const rights = rightsOf("deploy", namespace, [...objects.before, ...objects.after]);
        const account = await makeAccount(cluster.client, { namespace, name: "deploy", rights });
        const client = await openAs("deploy", kubeconfig, account);
        const stop = new AbortController();
        let steps: Promise<void> | undefined;
        try {
          const ran = await runCase({
            one,
            client,
            namespace,
            before: objects.before,
            after: objects.after,
            onChange: async () => {
              await stage.prepare();
              steps = stage.play(clock.now(), stop.signal);
            },
          });
          assertSaid(one, ran);
        } finally {
          stop.abort();
          await steps?.catch(() => undefined);
          await client.close();
          await account.remove();
          await stage.tearDown();
        }
      }));
  }
});
