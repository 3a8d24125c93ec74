/**
 * Who decides the number of pods, on a real API server: server-side apply takes a field away that nobody names any more,
 * and an old server does not record who scaled. A control plane without nodes is enough. Who applies has the generated rights
 * and nothing else.
 *
 * SLIPWAY_REAL_KUBERNETES names the program that starts the cluster.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { systemClock, systemRandom } from "@slipway/base";
import type { AnyObject, Deployment, KubeClient } from "@slipway/kube";
import { makeAccount, openAs, openControlPlane } from "../../clusters/testing.ts";
import { rightsFor } from "../rights/rights.ts";
import { applyObjects } from "./apply.ts";

const program = process.env["SLIPWAY_REAL_KUBERNETES"];
const skip =
  program === undefined ? "SLIPWAY_REAL_KUBERNETES is not set: there is no real API server to ask" : false;
const namespace = `replicas-${systemRandom().name(6)}`;
const cleanups: (() => Promise<unknown>)[] = [];
/** An administrator. */
let client: KubeClient;
let deployer: KubeClient;

before(async () => {
  if (program === undefined) return;
  const cluster = await openControlPlane(program, "c");
  cleanups.push(() => cluster.close());
  client = cluster.client;
  await client.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  cleanups.push(() => client.delete({ apiVersion: "v1", kind: "Namespace", name: namespace }));
  const subjects = [{ kind: "ServiceAccount", name: "deploy", namespace }] as const;
  const rendered = { objects: [deployment("any"), hpa("any")] };
  const rights = rightsFor({ service: "shop", namespace, rendered, purpose: "deploy", subjects }).manifests;
  const account = await makeAccount(client, { namespace, name: "deploy", rights });
  cleanups.push(() => account.remove());
  deployer = await openAs("deploy", cluster.kubeconfig, account);
  cleanups.push(() => deployer.close());
});

after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

const deployment = (name: string, replicas?: number): AnyObject => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name, namespace },
  spec: {
    ...(replicas === undefined ? {} : { replicas }),
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: { containers: [{ name: "web", image: "web:1" }] },
    },
  },
});
const hpa = (name: string): AnyObject => ({
  apiVersion: "autoscaling/v1",
  kind: "HorizontalPodAutoscaler",
  metadata: { name, namespace },
  spec: {
    minReplicas: 2,
    maxReplicas: 20,
    scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name },
  },
});
const apply = (...objects: readonly AnyObject[]) => applyObjects(deployer, objects, { clock: systemClock });
const replicasOf = async (name: string): Promise<number | undefined> =>
  (await client.get<Deployment>({ apiVersion: "apps/v1", kind: "Deployment", name, namespace })).spec
    .replicas;
/** As a HorizontalPodAutoscaler does it. */
const scale = async (name: string, replicas: number): Promise<void> => {
  const ref = { apiVersion: "apps/v1", kind: "Deployment", name, namespace };
  await client.patch(ref, "merge", { spec: { replicas } }, { subresource: "scale" });
};

test("a release that hands its replicas to an autoscaler keeps the count", { skip }, async () => {
  await apply(deployment("given", 3));
  await scale("given", 7);
  await apply(deployment("given"), hpa("given"));
  assert.equal(await replicasOf("given"), 7);
  await scale("given", 9);
  await apply(deployment("given"), hpa("given"));
  assert.equal(await replicasOf("given"), 9);
});

test("an autoscaler that only the cluster has keeps its count against the manifest's", { skip }, async () => {
  await apply(deployment("found", 3));
  await client.create(hpa("found"));
  await scale("found", 8);
  await apply(deployment("found", 3));
  assert.equal(await replicasOf("found"), 8);
  await client.delete({
    apiVersion: "autoscaling/v1",
    kind: "HorizontalPodAutoscaler",
    name: "found",
    namespace,
  });
  await apply(deployment("found", 3));
  assert.equal(await replicasOf("found"), 3, "without it the manifest decides again");
});

test("a Deployment that is new keeps the manifest's number until its autoscaler has looked", {
  skip,
}, async () => {
  await client.create(hpa("fresh"));
  await apply(deployment("fresh", 4));
  assert.equal(await replicasOf("fresh"), 4);
});
