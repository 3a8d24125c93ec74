/** The account of a template that is dropped or changes; `unions.real.test.ts` has the same cases against a real server. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type AnyObject, findObject, type KubeClient } from "@slipway/kube";
import { podSpecOf } from "../manifests/workload.ts";
import { planRelease } from "../plan/plan.ts";
import { driftOf } from "../status/drift.ts";
import { apiClient, contextOf, rendered } from "../testing.ts";
import { applyObjects, FIELD_MANAGER } from "./apply.ts";
import { refOf } from "./prune.ts";
import { type Account, accountCases, jobWith, templatesWith } from "./service-account.testing.ts";
import { withAccount } from "./service-account.ts";
import { deploymentWith } from "./unions.testing.ts";

async function accountIn(client: KubeClient, object: AnyObject): Promise<Account> {
  const { serviceAccountName, serviceAccount } =
    podSpecOf((await findObject(client, refOf(object))) as AnyObject) ?? {};
  return { serviceAccountName, serviceAccount } as Account;
}

const both = (name: string | undefined): object => ({ serviceAccountName: name, serviceAccount: name });
const apply = (client: KubeClient, object: AnyObject) => applyObjects(client, [object], contextOf([]));
// What preflight says of accounts that are nowhere is told elsewhere.
const planOf = (client: KubeClient, object: AnyObject) =>
  planRelease(contextOf([{ name: "tokyo", client }], { preflight: { REFERENCE_MISSING: "off" } }), {
    ...rendered("v1"),
    objects: [object],
  });

describe("the account of a template", () => {
  for (const { name, before, after, expected } of accountCases) {
    for (const manager of ["slipway", "kubectl"]) {
      it(`is ${name}, put there by ${manager}`, async () => {
        const client = apiClient();
        const old = templatesWith["Deployment"]("web", "default", before);
        const wanted = templatesWith["Deployment"]("web", "default", after);
        if (manager === "slipway") await apply(client, old);
        else await client.create(old, { fieldManager: "kubectl-client-side-apply" });
        const plan = await planOf(client, wanted);
        assert.deepEqual(plan.refusals, []);
        assert.equal(plan.hasChanges, true, "the plan shows it");
        await apply(client, wanted);
        assert.equal((await planOf(client, wanted)).hasChanges, false, "and all of it");
        const drift = await driftOf({ name: "tokyo", client }, [wanted]);
        const differences = drift.flatMap((one) => one.differences);
        assert.deepEqual(
          differences.filter(({ path }) => path.includes("serviceAccount")),
          [],
        );
        assert.deepEqual(await accountIn(client, wanted), both(expected));
        const { generation } = (await client.get<AnyObject>(refOf(wanted))).metadata;
        await apply(client, wanted);
        await apply(client, wanted);
        const again = await client.get<AnyObject>(refOf(wanted));
        assert.equal(again.metadata.generation, generation, "nothing changes after that");
        assert.deepEqual(await accountIn(client, wanted), both(expected));
      });
    }
  }

  for (const [kind, templateWith] of Object.entries(templatesWith)) {
    it(`of a ${kind} is sent as none in both names`, () => {
      const live = templateWith("web", "default", { serviceAccountName: "a", serviceAccount: "a" });
      const sent = withAccount(templateWith("web", "default", {}), live, FIELD_MANAGER);
      assert.deepEqual(sent, templateWith("web", "default", { serviceAccountName: "", serviceAccount: "" }));
    });
  }

  it("goes together with the rest in one change, also where apply alone is refused", async () => {
    const client = apiClient();
    const probe = (handler: object, account: Account) =>
      deploymentWith("web", "default", { container: { readinessProbe: handler }, pod: account });
    await apply(client, probe({ httpGet: { path: "/", port: 80 } }, { serviceAccountName: "a" }));
    const wanted = probe({ exec: { command: ["true"] } }, {});
    const plan = await planOf(client, wanted);
    assert.deepEqual(plan.refusals, []);
    const paths = plan.clusters[0]?.objects[0]?.changes.map(({ path }) => path) ?? [];
    assert.ok(paths.includes("spec.template.spec.serviceAccountName"), paths.join(", "));
    await apply(client, wanted);
    assert.deepEqual(await accountIn(client, wanted), both(undefined));
    assert.equal((await client.get<AnyObject>(refOf(wanted))).metadata.generation, 2, "one rollout");
  });

  it("that an earlier apply could not take away goes with the next one", async () => {
    const client = apiClient();
    const of = (account: Account) => deploymentWith("web", "default", { pod: account });
    await apply(client, of({ serviceAccountName: "a" }));
    await client.apply(of({}), { fieldManager: FIELD_MANAGER, force: true });
    assert.deepEqual(await accountIn(client, of({})), both("a"), "a plain apply leaves it");
    assert.equal((await planOf(client, of({}))).hasChanges, true);
    await apply(client, of({}));
    assert.deepEqual(await accountIn(client, of({})), both(undefined));
  });

  it("that a manifest does not name stays default where it was not ours", async () => {
    const client = apiClient();
    const of = (account: Account) => deploymentWith("web", "default", { pod: account });
    await client.create(of({ serviceAccountName: "default" }), { fieldManager: "kubectl" });
    const live = await findObject(client, refOf(of({})));
    const wanted = of({});
    assert.equal(withAccount(wanted, live, FIELD_MANAGER), wanted);
    await apply(client, of({ serviceAccountName: "default" }));
    await apply(client, wanted);
    assert.deepEqual(await accountIn(client, wanted), both(undefined));
  });

  it("of a Job never changes, and the plan says so", async () => {
    const client = apiClient();
    await apply(client, jobWith("once", "default", { serviceAccountName: "a" }));
    const plan = await planOf(client, jobWith("once", "default", {}));
    assert.deepEqual(
      plan.refusals.map(({ code }) => code),
      ["FIELD_IMMUTABLE"],
    );
  });
});
