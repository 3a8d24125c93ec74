/**
 * The cases that a real cluster can show in time, through the release engine: the same cause, cluster and container as
 * in the corpus. SLIPWAY_REAL_KUBERNETES names the program that starts the cluster; see corpus/README.md.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { loadCases } from "../packages/slipway/src/corpus/case.ts";
import { openStage } from "../scripts/corpus/stage.ts";
import { openRealCluster, type RealCluster } from "../scripts/corpus/surroundings.ts";
import { assertSaid, casesFor, runCase, taking } from "./running.ts";

const skip =
  process.env["SLIPWAY_REAL_KUBERNETES"] === undefined
    ? "SLIPWAY_REAL_KUBERNETES is not set: there is no real Kubernetes to try it on"
    : false;
const AT_A_TIME = 8;
/** Without those that stop a part of the cluster, or wait for minutes, for the sake of the others and of everybody's time. */
const cases = casesFor(await loadCases(import.meta.dirname), "real").filter(
  (one) =>
    one.recorded === "real" &&
    one.hook === undefined &&
    one.atMostMs <= 180_000 &&
    one.steps.every((step) => step.do === "webhook" || step.do.endsWith("-pod")),
);
let cluster: RealCluster;

before(async () => {
  if (skip === false) cluster = await openRealCluster(process.env);
});
after(async () => {
  if (skip === false) await cluster.close();
});

test("there are enough of them", () => {
  assert.ok(cases.length >= 20, `${cases.length} cases for a real cluster in ${join("corpus")}`);
});

describe("on a real cluster", { concurrency: true, skip }, () => {
  const inTurn = taking<void>(AT_A_TIME);
  for (const one of cases) {
    test(`${one.kind}/${one.id}: ${one.title}`, () =>
      inTurn(async () => {
        const stage = await openStage(one, cluster);
        const stop = new AbortController();
        let steps: Promise<void> | undefined;
        try {
          const ran = await runCase({
            one,
            client: cluster.client,
            namespace: stage.namespace,
            before: stage.objects.before,
            after: stage.objects.after,
            onChange: async () => {
              await stage.prepare();
              steps = stage.play(cluster.clock.now(), stop.signal);
            },
          });
          assertSaid(one, ran);
        } finally {
          stop.abort();
          await steps?.catch(() => undefined);
          await stage.tearDown();
        }
      }));
  }
});
