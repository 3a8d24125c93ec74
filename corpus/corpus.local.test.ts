/**
 * The cases that the embedded cluster can show, through the release engine: the same cause, cluster and container as
 * on a real one. Pods are simulated: `embedded:` of a case says what the new version's program does, the cluster's own
 * scheduler, controllers and kubelet do the rest.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Cluster, startCluster } from "@slipway/cluster";
import type { AnyObject, Namespace } from "@slipway/kube";
import { type CorpusCase, loadCases, loadObjects } from "../packages/slipway/src/corpus/case.ts";
import { isSimulated, simulatedBehaviour, withImages } from "./embedded.ts";
import { assertSaid, casesFor, runCase, taking } from "./running.ts";

const cases = casesFor(await loadCases(import.meta.dirname), "embedded");
let cluster: Cluster;

before(async () => {
  cluster = await startCluster({
    name: "tokyo",
    runtime: "simulated",
    behaviours: [
      ...cases
        .filter(isSimulated)
        .map((one) => ({ image: `*/${one.id}:2`, behaviour: simulatedBehaviour(one) })),
      { image: "*", behaviour: { startMs: 20 } },
    ],
  });
});
after(() => cluster.stop());

test("there are enough of them", () => {
  assert.ok(cases.length >= 20, `${cases.length} cases for the embedded cluster`);
});

describe("on the embedded cluster", { concurrency: true }, () => {
  const inTurn = taking<void>(8);
  for (const one of cases) {
    test(`${one.kind}/${one.id}: ${one.title}`, () => inTurn(() => tryCase(one)));
  }
});

async function tryCase(one: CorpusCase): Promise<void> {
  const namespace = one.id;
  await cluster.client.create<Namespace>({
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: namespace },
  });
  const inNamespace = (object: AnyObject): AnyObject => ({
    ...object,
    metadata: { ...object.metadata, namespace },
  });
  const objects = await loadObjects(one);
  const before = objects.before.map(inNamespace);
  for (const object of objects.world.map(inNamespace))
    await cluster.client.apply(object, { fieldManager: "corpus", force: true });
  const ran = await runCase({
    one,
    client: cluster.client,
    namespace,
    before,
    after: withImages(one, before, objects.after.map(inNamespace)),
  });
  assertSaid(one, ran);
}
