import assert from "node:assert/strict";
import { test } from "node:test";
import type { Deployment, KubeClient } from "@slipway/kube";
import { planRelease } from "../plan/plan.ts";
import { apiClient, contextOf, rendered, webManifest } from "../testing.ts";
import { applyObjects } from "./apply.ts";

const ref = { apiVersion: "apps/v1", kind: "Deployment", namespace: "default", name: "web" };
const withoutReplicas = rendered("v1", { manifest: webManifest().replace(/ {2}replicas: 2\n/, "") });

async function replicasIn(client: KubeClient): Promise<number | undefined> {
  return (await client.get<Deployment>(ref)).spec.replicas;
}

test("replicas that a release stops naming stay as they are", async () => {
  const client = apiClient();
  await applyObjects(client, rendered("v1", { replicas: 7 }).objects, contextOf([]));
  const plan = await planRelease(contextOf([{ name: "tokyo", client }]), withoutReplicas);
  assert.equal(plan.hasChanges, false, "the plan says so too");
  await applyObjects(client, withoutReplicas.objects, contextOf([]));
  assert.equal(await replicasIn(client), 7);
  // The autoscaler's, or a person's, from then on.
  await client.patch(ref, "merge", { spec: { replicas: 4 } });
  await applyObjects(client, withoutReplicas.objects, contextOf([]));
  assert.equal(await replicasIn(client), 4);
});

test("a release that names them again has them again", async () => {
  const client = apiClient();
  await applyObjects(client, rendered("v1", { replicas: 7 }).objects, contextOf([]));
  await applyObjects(client, withoutReplicas.objects, contextOf([]));
  await applyObjects(client, rendered("v1", { replicas: 3 }).objects, contextOf([]));
  assert.equal(await replicasIn(client), 3);
});
