/** Planning and preflight against one API: what would change, what is refused, and that nothing is changed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SlipwayError } from "@slipway/base";
import { type KubeClient, statusError } from "@slipway/kube";
import { applyObjects } from "../apply/apply.ts";
import type { RenderedRelease } from "../model.ts";
import { deploy } from "../release.ts";
import { apiClient, contextOf, rendered, webManifest } from "../testing.ts";
import { planRelease } from "./plan.ts";
import { renderPlan } from "./plan-text.ts";

const systemClock = contextOf([]).clock;

async function withApplied(of: RenderedRelease): Promise<KubeClient> {
  const client = apiClient();
  await applyObjects(client, of.objects, { clock: systemClock });
  return client;
}

test("a first release creates everything, and planning changes nothing", async () => {
  const client = apiClient();
  const plan = await planRelease(contextOf([{ name: "tokyo", client }]), rendered("v1"));
  assert.deepEqual(plan.refusals, []);
  assert.deepEqual(
    plan.clusters[0]?.objects.map((object) => [object.kind, object.action]),
    [
      ["ConfigMap", "create"],
      ["Service", "create"],
      ["Deployment", "create"],
    ],
  );
  const left = await client.list({ apiVersion: "apps/v1", kind: "Deployment" });
  assert.equal(left.items.length, 0);
});

test("the same release again changes nothing", async () => {
  const client = await withApplied(rendered("v1"));
  const plan = await planRelease(contextOf([{ name: "tokyo", client }]), rendered("v1"));
  assert.equal(plan.hasChanges, false);
  assert.match(renderPlan(plan), /^tokyo:\n {2}nothing changes \(3 objects\)/);
});

test("a change is shown by its path, and clusters with the same plan are shown once", async () => {
  const clients = await Promise.all([withApplied(rendered("v1")), withApplied(rendered("v1"))]);
  const targets = clients.map((client, index) => ({ name: `c${index}`, client }));
  const plan = await planRelease(contextOf(targets), rendered("v1", { replicas: 5 }));
  assert.equal(
    renderPlan(plan),
    [
      "c0, c1 (2 clusters, identical):",
      "  ~ Deployment web",
      "      ~ spec.replicas: 2 -> 5",
      "  = 2 unchanged",
      "order: c0, then c1; bake 50 ms each",
      "on failure: nothing goes back, there is no other release that was healthy",
    ].join("\n"),
  );
});

test("another image is shown by its tag and the beginning of its digest", async () => {
  const client = await withApplied(rendered("v1"));
  const plan = await planRelease(contextOf([{ name: "tokyo", client }]), rendered("v2"));
  const [before, after] = ["v1", "v2"].map((tag) => `registry.test/web:${tag}@77656276…`);
  assert.match(
    renderPlan(plan),
    new RegExp(`spec\\.template\\.spec\\.containers\\[web\\]\\.image: ${before} -> ${after}`),
  );
});

async function refusals(
  of: RenderedRelease,
  client: KubeClient,
  clock = systemClock,
): Promise<readonly SlipwayError[]> {
  return (await planRelease({ ...contextOf([{ name: "tokyo", client }]), clock }, of)).refusals;
}

test("a Deployment whose selector changed is refused before anything is changed", async () => {
  const client = await withApplied(rendered("v1"));
  const manifest = webManifest().replaceAll("app: web", "app: shop-web");
  const [refusal] = await refusals(rendered("v2", { manifest }), client);
  assert.equal(refusal?.code, "SELECTOR_CHANGED");
  assert.equal(refusal?.where, "tokyo/Deployment web/spec.selector");
  assert.equal(refusal?.exitCode, 2);
  await assert.rejects(deploy(contextOf([{ name: "tokyo", client }]), rendered("v2", { manifest })), {
    code: "SELECTOR_CHANGED",
  });
  const secrets = await client.list({ apiVersion: "v1", kind: "Secret" }, { namespace: "default" });
  assert.equal(secrets.items.length, 0);
});

test("a missing ConfigMap, Secret or ServiceAccount is refused by name, an optional one is not", async () => {
  const manifest = webManifest({
    extra: `          env:
            - { name: A, valueFrom: { secretKeyRef: { name: db, key: password } } }
            - { name: B, valueFrom: { configMapKeyRef: { name: tuning, key: b, optional: true } } }
      serviceAccountName: shop`,
  });
  const found = await refusals(rendered("v1", { manifest }), apiClient());
  assert.deepEqual(
    found.map((refusal) => [refusal.code, refusal.message.split(",")[0]]),
    [
      ["REFERENCE_MISSING", 'needs Secret "db"'],
      ["REFERENCE_MISSING", 'needs ServiceAccount "shop"'],
    ],
  );
});

test("an image that is not in the registry is refused", async () => {
  const context = contextOf([{ name: "tokyo", client: apiClient() }], {
    images: { exists: async () => "missing" },
  });
  const { refusals: found } = await planRelease(context, rendered("v1"));
  assert.equal(found[0]?.code, "IMAGE_NOT_IN_REGISTRY");
});

test("a cluster that does not answer is refused, unless the release may go on without it", async () => {
  const client = apiClient();
  const lost: KubeClient = {
    ...client,
    list: async () => {
      throw new SlipwayError({ code: "CLUSTER_UNREACHABLE", message: "connection refused" });
    },
  };
  const context = contextOf([
    { name: "tokyo", client },
    { name: "osaka", client: lost },
  ]);
  const plan = await planRelease(context, rendered("v1"));
  assert.deepEqual(
    plan.refusals.map((refusal) => [refusal.code, refusal.where, refusal.exitCode]),
    [["CLUSTER_UNREACHABLE", "clusters/osaka", 3]],
  );
  assert.deepEqual((await planRelease(context, rendered("v1"), { skipUnreachable: true })).refusals, []);
});

test("a namespace that nobody brings is refused; the release's own, and one of its manifests, are not", async () => {
  const inSearch = webManifest({
    extra: `---
apiVersion: v1
kind: ConfigMap
metadata: { name: elsewhere, namespace: search }
`,
  });
  const [refusal, ...others] = await refusals(rendered("v1", { manifest: inSearch }), apiClient());
  assert.deepEqual(others, []);
  assert.equal(refusal?.code, "NAMESPACE_MISSING");
  assert.match(refusal?.where ?? "", /^tokyo\/ConfigMap elsewhere/);
  assert.equal(refusal?.message, 'its namespace "search" is neither in the manifests nor in the cluster');
  assert.equal(refusal?.exitCode, 2);

  const brought = `${inSearch}---
apiVersion: v1
kind: Namespace
metadata: { name: search }
`;
  assert.deepEqual(await refusals(rendered("v1", { manifest: brought }), apiClient()), []);
  const own = contextOf([{ name: "tokyo", client: apiClient() }], { namespace: "search" });
  assert.deepEqual((await planRelease(own, rendered("v1", { manifest: inSearch }))).refusals, []);
});

test("a kind, or a version of it, that the cluster does not serve is refused by name", async () => {
  const extra = `---
apiVersion: policy/v99
kind: PodDisruptionBudget
metadata: { name: web }
spec: {}
`;
  const plan = await planRelease(
    contextOf([{ name: "tokyo", client: apiClient() }]),
    rendered("v1", { extra }),
  );
  assert.deepEqual(
    plan.refusals.map((refusal) => [refusal.code, refusal.message]),
    [["KIND_NOT_SERVED", "the cluster does not serve PodDisruptionBudget of policy/v99"]],
  );
});

test("an object that somebody else changes meanwhile is tried again; one that they keep changing is no fault of the manifest", async () => {
  const modified = 'Operation cannot be fulfilled on services "web": the object has been modified';
  for (const [conflicts, told] of [
    [2, []],
    [Number.POSITIVE_INFINITY, [["DRY_RUN_IMPOSSIBLE", 3, `cannot be tried: ${modified}`]]],
  ] as const) {
    const client = await withApplied(rendered("v1"));
    let left: number = conflicts;
    const contested: KubeClient = {
      ...client,
      apply: async (object, options) => {
        if (object.kind !== "Service" || left <= 0) return client.apply(object, options);
        left -= 1;
        throw statusError(409, "Conflict", modified);
      },
    };
    const hurried = { ...systemClock, sleep: () => Promise.resolve() };
    const refused = await refusals(rendered("v2"), contested, hurried);
    assert.deepEqual(
      refused.map(({ code, exitCode, message }) => [code, exitCode, message]),
      told,
    );
  }
});

test("who may look and not change is told of the right that is missing; a webhook that denies is the manifest's", async () => {
  const answers: readonly (readonly [message: string, code: string, exitCode: number, hint: RegExp])[] = [
    [
      'deployments.apps "web" is forbidden: User "mio" cannot patch resource "deployments" in API group "apps" in the namespace "default"',
      ...(["CLUSTER_FORBIDDEN", 3, /^Give whoever deploys the right to it/] as const),
    ],
    [
      'roles.rbac.authorization.k8s.io "web" is forbidden: user "mio" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held',
      ...(["CLUSTER_FORBIDDEN", 3, /^Give whoever deploys the right to it/] as const),
    ],
    [
      'admission webhook "policy.example.com" denied the request: no owner label',
      ...(["MANIFEST_REFUSED", 2, /^Correct the manifest/] as const),
    ],
    [
      'pods "web" is forbidden: exceeded quota: small',
      ...(["MANIFEST_REFUSED", 2, /^Correct the manifest/] as const),
    ],
  ];
  for (const [message, code, exitCode, hint] of answers) {
    const client = await withApplied(rendered("v1"));
    const forbidding: KubeClient = {
      ...client,
      apply: async (object, options) => {
        if (object.kind === "Deployment") throw statusError(403, "Forbidden", message);
        return client.apply(object, options);
      },
    };
    const [refusal, ...others] = await refusals(rendered("v2"), forbidding);
    assert.deepEqual(others, []);
    assert.equal(refusal?.where, "tokyo/Deployment web");
    assert.deepEqual([refusal?.code, refusal?.exitCode], [code, exitCode], message);
    assert.match(refusal?.hint ?? "", hint);
    assert.ok(refusal?.message.endsWith(message), refusal?.message);
  }
});
