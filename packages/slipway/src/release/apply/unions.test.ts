/**
 * A manifest that chooses another member of a union than the cluster has: on an API that refuses it as Kubernetes 1.20
 * does. `unions.real.test.ts` has the same cases against the real one.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type AnyObject, type KubeClient, StatusError } from "@slipway/kube";
import { planRelease } from "../plan/plan.ts";
import { apiClient, contextOf, rendered } from "../testing.ts";
import { applyObjects, FIELD_MANAGER } from "./apply.ts";
import { choiceCases, deploymentWith } from "./unions.testing.ts";
import { changedChoices } from "./unions.ts";

const WEB = { apiVersion: "apps/v1", kind: "Deployment", name: "web", namespace: "default" };

describe("a choice that changes", () => {
  for (const { name, before, after, refusedPlain, isDropped } of choiceCases) {
    for (const manager of isDropped ? (["slipway"] as const) : (["slipway", "kubectl"] as const)) {
      it(`${name}, put there by ${manager}`, async () => {
        const client = apiClient();
        const old = deploymentWith("web", "default", before);
        if (manager === "slipway") await applyObjects(client, [old], contextOf([]));
        else await client.create(old, { fieldManager: "kubectl-client-side-apply" });
        const wanted = deploymentWith("web", "default", after);
        const plain = client.apply(wanted, { fieldManager: FIELD_MANAGER, force: true, dryRun: true });
        if (refusedPlain === "everywhere")
          await assert.rejects(plain, (error) => error instanceof StatusError && error.httpCode === 422);
        else await plain.catch(() => undefined);

        const release = { ...rendered("v1"), objects: [wanted] };
        const plan = await planRelease(contextOf([{ name: "tokyo", client }]), release);
        assert.deepEqual(plan.refusals, []);
        const shown = plan.clusters[0]?.objects[0];
        assert.equal(shown?.action, "change");

        await applyObjects(client, [wanted], contextOf([]));
        const live = await client.get<AnyObject>(WEB);
        assert.deepEqual(changedChoices(live, wanted, FIELD_MANAGER), [], "nothing of the old one is left");
        assert.equal(live.metadata.generation, 2, "one change, one rollout");
        const again = await planRelease(contextOf([{ name: "tokyo", client }]), release);
        assert.equal(again.hasChanges, false, "and the plan knew all of it");
        await applyObjects(client, [old], contextOf([]));
        const back = await client.get<AnyObject>(WEB);
        assert.deepEqual(changedChoices(back, old, FIELD_MANAGER), [], "and back again");
      });
    }
  }

  it("is shown by the plan with what the server fills in", async () => {
    const client = apiClient();
    const probe = (handler: object) =>
      deploymentWith("web", "default", { container: { readinessProbe: handler } });
    await applyObjects(client, [probe({ exec: { command: ["true"] } })], contextOf([]));
    await applyObjects(client, [probe({ httpGet: { path: "/", port: 80 } })], contextOf([]));
    const release = { ...rendered("v1"), objects: [probe({ exec: { command: ["false"] } })] };
    const plan = await planRelease(contextOf([{ name: "tokyo", client }]), release);
    const probeAt = "spec.template.spec.containers[web].readinessProbe";
    assert.deepEqual(plan.clusters[0]?.objects[0]?.changes.map(({ path }) => path).sort(), [
      `${probeAt}.exec.command`,
      `${probeAt}.httpGet`,
    ]);
  });

  it("is not taken over from whoever has it while the manifest says nothing of it", () => {
    const live = deploymentWith("web", "default", {
      container: { readinessProbe: { httpGet: { port: 80 } } },
    });
    const silent = deploymentWith("web", "default", { container: { readinessProbe: { periodSeconds: 5 } } });
    assert.deepEqual(changedChoices(live, silent, FIELD_MANAGER), []);
  });

  it("leaves its fields to the release, and to nobody who would keep them", async () => {
    const client = apiClient();
    const probe = (handler: object, image = "web:1") =>
      deploymentWith("web", "default", { container: { readinessProbe: handler, image } });
    const apply = async (object: AnyObject) => applyObjects(client, [object], contextOf([]));
    await apply(probe({ httpGet: { path: "/", port: 80 } }));
    await apply(probe({ exec: { command: ["true"] } }, "web:2"));
    const { metadata } = await client.get<AnyObject>(WEB);
    assert.deepEqual(
      metadata.managedFields?.map(({ manager, operation }) => `${manager} ${operation}`),
      ["slipway Apply"],
    );
  });

  it("is planned also while somebody else writes to the object, as its controller does all the time", async () => {
    const client = apiClient();
    const probe = (handler: object) =>
      deploymentWith("web", "default", { container: { readinessProbe: handler } });
    await applyObjects(client, [probe({ httpGet: { path: "/", port: 80 } })], contextOf([]));
    let writes = 0;
    const busy: KubeClient = {
      ...client,
      apply: async (object, options) => {
        writes += 1;
        const metadata = { annotations: { "example.com/writes": String(writes) } };
        await client.patch(WEB, "merge", { metadata }, { fieldManager: "somebody" });
        return client.apply(object, options);
      },
    };
    const release = { ...rendered("v1"), objects: [probe({ exec: { command: ["true"] } })] };
    const plan = await planRelease(contextOf([{ name: "tokyo", client: busy }]), release);
    assert.ok(writes > 0);
    assert.deepEqual(plan.refusals, []);
  });
});
