/**
 * Choices and accounts that change, on a real API server: what server-side apply refuses or keeps there, and that a
 * release gets through with one change all the same. A control plane without nodes is enough. Who plans and applies has the
 * generated rights and nothing else.
 *
 * SLIPWAY_REAL_KUBERNETES names the program that starts the cluster.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { systemRandom } from "@slipway/base";
import { type AnyObject, type KubeClient, type ObjectRef, StatusError } from "@slipway/kube";
import { makeAccount, openAs, openControlPlane } from "../../clusters/testing.ts";
import { podSpecOf } from "../manifests/workload.ts";
import { planRelease } from "../plan/plan.ts";
import { rightsFor } from "../rights/rights.ts";
import { contextOf, rendered } from "../testing.ts";
import { applyObjects, FIELD_MANAGER } from "./apply.ts";
import { refOf } from "./prune.ts";
import { accountCases, jobWith, templatesWith } from "./service-account.testing.ts";
import { accountOf } from "./service-account.ts";
import { choiceCases, deploymentWith } from "./unions.testing.ts";
import { changedChoices } from "./unions.ts";

const program = process.env["SLIPWAY_REAL_KUBERNETES"];
const skip =
  program === undefined ? "SLIPWAY_REAL_KUBERNETES is not set: there is no real API server to ask" : false;
const namespace = `unions-${systemRandom().name(6)}`;
const cleanups: (() => Promise<unknown>)[] = [];
/** An administrator, who did things before. */
let admin: KubeClient;
let client: KubeClient;

before(async () => {
  if (program === undefined) return;
  const cluster = await openControlPlane(program, "b");
  cleanups.push(() => cluster.close());
  admin = cluster.client;
  await admin.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  cleanups.push(() => admin.delete({ apiVersion: "v1", kind: "Namespace", name: namespace }));
  const subjects = [{ kind: "ServiceAccount", name: "deploy", namespace }] as const;
  const templates = Object.values(templatesWith).map((templateWith) => templateWith("any", namespace, {}));
  const objects = [deploymentWith("any", namespace, {}), jobWith("any", namespace, {}), ...templates];
  const rights = rightsFor({
    service: "shop",
    namespace,
    rendered: { objects },
    purpose: "deploy",
    subjects,
  });
  const account = await makeAccount(admin, { namespace, name: "deploy", rights: rights.manifests });
  cleanups.push(() => account.remove());
  client = await openAs("deploy", cluster.kubeconfig, account);
  cleanups.push(() => client.close());
});

after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

for (const [index, { name, before, after, refusedPlain, isDropped }] of choiceCases.entries()) {
  for (const manager of isDropped ? ["slipway"] : ["slipway", "kubectl"]) {
    test(`${name}, put there by ${manager}`, { skip }, async () => {
      const called = `case-${index}-${manager}`;
      const ref: ObjectRef = { apiVersion: "apps/v1", kind: "Deployment", name: called, namespace };
      const old = deploymentWith(called, namespace, before);
      const wanted = deploymentWith(called, namespace, after);
      if (manager === "slipway") await applyObjects(client, [old], contextOf([]));
      else await admin.create(old, { fieldManager: "kubectl-client-side-apply" });
      const { generation } = (await client.get<AnyObject>(ref)).metadata;
      const plain = client.apply(wanted, { fieldManager: FIELD_MANAGER, force: true, dryRun: true });
      if (refusedPlain !== undefined)
        await assert.rejects(plain, (error) => error instanceof StatusError && error.httpCode === 422);
      else await plain.catch(() => undefined);

      const context = contextOf([{ name: "tokyo", client }], { namespace });
      const release = { ...rendered("v1"), objects: [wanted] };
      const plan = await planRelease(context, release);
      assert.deepEqual(plan.refusals, []);
      assert.equal(plan.clusters[0]?.objects[0]?.action, "change");
      await applyObjects(client, [wanted], contextOf([]));
      const live = await client.get<AnyObject>(ref);
      assert.deepEqual(changedChoices(live, wanted, FIELD_MANAGER), [], "nothing of the old one is left");
      assert.equal(live.metadata.generation, (generation ?? 0) + 1, "one change, one rollout");
      assert.equal((await planRelease(context, release)).hasChanges, false, "and the plan knew all of it");
      await applyObjects(client, [old], contextOf([]));
      const back = await client.get<AnyObject>(ref);
      assert.deepEqual(changedChoices(back, old, FIELD_MANAGER), [], "and back again");
    });
  }
}

/** No ServiceAccount is made: what preflight says of that is not what is tested. */
const accounts = { namespace, preflight: { REFERENCE_MISSING: "off" } } as const;

for (const [kind, templateWith] of Object.entries(templatesWith)) {
  for (const [index, { name, before, after, expected }] of accountCases.entries()) {
    for (const manager of ["slipway", "kubectl"]) {
      test(`the account of a ${kind} is ${name}, put there by ${manager}`, { skip }, async () => {
        const called = `account-${index}-${manager}`;
        const old = templateWith(called, namespace, before);
        const wanted = templateWith(called, namespace, after);
        if (manager === "slipway") await applyObjects(client, [old], contextOf([]));
        else await admin.create(old, { fieldManager: "kubectl-client-side-apply" });
        const generationOf = async (): Promise<number> =>
          (await client.get<AnyObject>(refOf(wanted))).metadata.generation ?? 0;
        const generation = await generationOf();
        const context = contextOf([{ name: "tokyo", client }], accounts);
        const release = { ...rendered("v1"), objects: [wanted] };
        const plan = await planRelease(context, release);
        assert.deepEqual(plan.refusals, []);
        assert.equal(plan.clusters[0]?.objects[0]?.action, "change");
        await applyObjects(client, [wanted], contextOf([]));
        // CronJobs have no generation in 1.20.
        const once = generation === 0 ? 0 : generation + 1;
        assert.equal(await generationOf(), once, "one change, one rollout");
        assert.equal((await planRelease(context, release)).hasChanges, false, "and the plan knew all of it");
        for (let times = 0; times < 2; times += 1) {
          const spec = podSpecOf(await client.get<AnyObject>(refOf(wanted)));
          assert.deepEqual([accountOf(spec), spec?.serviceAccount], [expected, expected]);
          await applyObjects(client, [wanted], contextOf([]));
        }
        assert.equal(await generationOf(), once, "and nothing changes after that");
      });
    }
  }
}

test("the account of a Job never changes, and the plan says so", { skip }, async () => {
  await applyObjects(client, [jobWith("once", namespace, { serviceAccountName: "a" })], contextOf([]));
  const release = { ...rendered("v1"), objects: [jobWith("once", namespace, {})] };
  const plan = await planRelease(contextOf([{ name: "tokyo", client }], accounts), release);
  assert.deepEqual(
    plan.refusals.map(({ code }) => code),
    ["FIELD_IMMUTABLE"],
  );
});
