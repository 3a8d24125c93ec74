/**
 * The cases that the embedded cluster can show, through the release engine: the same cause, cluster and container as
 * on a real one. Pods are simulated: `embedded:` of a case says what the new version's program does, the cluster's own
 * scheduler, controllers and kubelet do the rest.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Cluster, startCluster } from "@slipway/cluster";
import type { AnyObject, Namespace } from "@slipway/kube";
import { type CorpusCase, loadCases } from "../packages/slipway/src/corpus/case.ts";
import { loadObjects } from "../packages/slipway/src/corpus/objects.ts";
import { isSimulated, simulatedBehaviour, withImages } from "./embedded.ts";
import { assertSaid, casesFor, isQuick, runCase, taking } from "./running.ts";

/** With SLIPWAY_CORPUS_WIDE also those that take minutes and those that are held back from work on the judge. */
const isWide = process.env["SLIPWAY_CORPUS_WIDE"] !== undefined;
const cases = casesFor(await loadCases(import.meta.dirname), "embedded").filter(
  (one) => isWide || isQuick(one),
);
const AT_A_TIME = 8;
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
  const inTurn = taking<void>(AT_A_TIME);
  for (const one of cases.filter(({ held }) => !held)) {
    test(`${one.kind}/${one.id}: ${one.title}`, () => inTurn(() => tryCase(one)));
  }
});

const HELD_RIGHT_AT_LEAST = 0.95;

if (isWide) {
  describe("on the embedded cluster, held back", () => {
    test("as many are right as of the others", async () => {
      const held = cases.filter((one) => one.held);
      const inTurn = taking<boolean>(AT_A_TIME);
      const right = await Promise.all(
        held.map((one) =>
          inTurn(() =>
            tryCase(one).then(
              () => true,
              () => false,
            ),
          ),
        ),
      );
      const count = right.filter(Boolean).length;
      assert.ok(count >= HELD_RIGHT_AT_LEAST * held.length, `${count} of ${held.length}`);
    });
  });
}

async function tryCase(one: CorpusCase): Promise<void> {
  const namespace = one.id;
  const { client } = cluster;
  await client.create<Namespace>({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  try {
    await runIn(namespace, one);
  } finally {
    // Its pods make room for those of the next.
    await client.delete({ apiVersion: "v1", kind: "Namespace", name: namespace });
  }
}

async function runIn(namespace: string, one: CorpusCase): Promise<void> {
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
