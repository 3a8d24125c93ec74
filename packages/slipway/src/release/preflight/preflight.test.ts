/** Preflight end to end, against clusters in this process: what is refused, in which words, and that nothing was changed. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "@slipway/base";
import { type Cluster, startCluster } from "@slipway/cluster";
import {
  createHttpClient,
  type Deployment,
  type KubeClient,
  type KubeList,
  statusError,
} from "@slipway/kube";
import { planRelease } from "../plan/plan.ts";
import { deploy, planRollback } from "../release.ts";
import { behaviours, contextOf, NO_ADVICE, rendered, webManifest } from "../testing.ts";

let cluster: Cluster;
let client: KubeClient;
const cpu = (text: string): string =>
  webManifest({ replicas: 3, extra: `          resources: { requests: { cpu: ${text} } }` });

before(async () => {
  cluster = await startCluster({
    name: "tokyo",
    behaviours,
    nodes: ["n1", "n2", "n3"].map((name) => ({ name, capacity: { cpu: "1", memory: "4Gi", pods: "110" } })),
  });
  client = createHttpClient({ name: "tokyo", url: cluster.url, token: cluster.token, ca: cluster.ca });
});
after(async () => {
  await client.close();
  await cluster.stop();
});
const context = (rest: Parameters<typeof contextOf>[1] = {}) => contextOf([{ name: "tokyo", client }], rest);

test("a rollout that the nodes have no room for is refused with numbers, and nothing is changed", async () => {
  const first = await deploy(context(), rendered("v1", { manifest: cpu("600m") }));
  assert.equal(first.record.outcome, "healthy");
  const versionOf = async (): Promise<string | undefined> =>
    (
      await client.get<Deployment>({
        apiVersion: "apps/v1",
        kind: "Deployment",
        name: "web",
        namespace: "default",
      })
    ).metadata.resourceVersion;
  await until("the rollout has settled", async () => {
    const pods = await client.list({ apiVersion: "v1", kind: "Pod" }, { namespace: "default" });
    return pods.items.length === 3;
  });
  const before = await versionOf();
  await assert.rejects(deploy(context(), rendered("v2", { manifest: cpu("600m") })), (error: Error) => {
    assert.match(
      error.message,
      /^the rollout stops at 0 of 3 new pods, with 3 old \(maxSurge 1, maxUnavailable 0\): 1 surge pod needs 600m cpu, the freest of 3 nodes has 400m; 0\/3 nodes are available: 3 Insufficient cpu\.; no autoscaler was found/,
    );
    assert.equal((error as { code?: string }).code, "CAPACITY_SHORT");
    assert.match((error as { hint?: string }).hint ?? "", /maxUnavailable: 1 \(2 of 3 serve/);
    return true;
  });
  assert.equal(await versionOf(), before);
  const leases = await client.list(
    { apiVersion: "coordination.k8s.io/v1", kind: "Lease" },
    { namespace: "default" },
  );
  assert.ok(
    leases.items.every(
      (lease) => (lease as { spec?: { holderIdentity?: string } }).spec?.holderIdentity !== "laptop",
    ),
  );
});

test("what changes no pod needs no room", async () => {
  const plan = await planRelease(context(), rendered("v1", { manifest: cpu("600m") }));
  assert.deepEqual(plan.refusals, []);
});

test("the configuration can make the forecast a warning, and an object can ask to be left alone", async () => {
  const asWarning = context({ preflight: { ...NO_ADVICE, CAPACITY_SHORT: "warning" } });
  const plan = await planRelease(asWarning, rendered("v2", { manifest: cpu("600m") }));
  assert.deepEqual(plan.refusals, []);
  assert.match(plan.warnings.join("\n"), /tokyo\/Deployment web: the rollout stops.*\(CAPACITY_SHORT\)/);
  const manifest = cpu("600m").replace(
    "kind: Deployment\nmetadata: { name: web }",
    'kind: Deployment\nmetadata: { name: web, annotations: { slipway.dev/preflight-ignore: "CAPACITY_SHORT; nodes come at noon" } }',
  );
  const ignored = await planRelease(context(), rendered("v2", { manifest }));
  assert.deepEqual(ignored.findings, []);
});

test("a rollback is told of missing room, and goes on", async () => {
  const lighter = await deploy(context(), rendered("v3", { manifest: cpu("300m") }));
  assert.equal(lighter.record.outcome, "healthy");
  const { plan } = await planRollback(context(), { dryRun: true });
  assert.deepEqual(plan?.refusals, []);
  const blocked = await planRelease(context(), rendered("v4", { manifest: cpu("1100m") }));
  assert.equal(blocked.refusals[0]?.code, "CAPACITY_SHORT");
  const back = await planRelease(context(), rendered("v4", { manifest: cpu("1100m") }), {
    purpose: "rollback",
  });
  assert.deepEqual(back.refusals, []);
  assert.match(back.warnings.join("\n"), /CAPACITY_SHORT/);
});

test("what may not be read is said once, and is no pass", async () => {
  const refuse = (plural: string): never => {
    throw statusError(403, "Forbidden", `${plural} is forbidden`);
  };
  const shy: KubeClient = {
    ...client,
    list: async <T extends object>(type: { readonly kind: string }, options?: object) => {
      if (type.kind === "Node") return refuse("nodes");
      if (type.kind === "ResourceQuota") return refuse("resourcequotas");
      return (await client.list(type as never, options)) as never as KubeList & T;
    },
  } as KubeClient;
  const plan = await planRelease(
    contextOf([{ name: "tokyo", client: shy }]),
    rendered("v2", { manifest: cpu("600m") }),
  );
  assert.deepEqual(plan.refusals, []);
  assert.match(
    plan.warnings.join("\n"),
    /^tokyo: could not read nodes \(403\), resourcequotas in default \(403\): what they say was not checked \(PREFLIGHT_PARTIAL\)$/m,
  );
});

test("an image for another processor than the nodes' is refused with both", async () => {
  const images = {
    exists: async () => "exists" as const,
    platforms: async () => ["linux/s390x"],
  };
  const plan = await planRelease(context({ images }), rendered("v2", { manifest: cpu("100m") }));
  assert.equal(plan.refusals[0]?.code, "IMAGE_ARCHITECTURE");
  assert.equal(plan.refusals[0]?.where, "tokyo/Deployment web/containers/web");
  assert.match(
    plan.refusals[0]?.message ?? "",
    /^its image is for linux\/s390x; 3 of the 3 nodes that its pods can go to are linux\/\w+ \(n1, n2, n3\)$/,
  );
});

test("a registry that cannot be asked is a warning, not a pass", async () => {
  const images = { exists: async () => "unknown" as const };
  const plan = await planRelease(context({ images }), rendered("v2", { manifest: cpu("100m") }));
  assert.deepEqual(plan.refusals, []);
  assert.match(plan.warnings.join("\n"), /images\/web: the registry could not be asked.*IMAGE_UNCHECKED/);
});

const account = (name: string): string => `---
apiVersion: v1
kind: ServiceAccount
metadata: { name: ${name} }
`;
const settings = `---
apiVersion: v1
kind: ConfigMap
metadata: { name: tuning, annotations: { slipway.dev/hash-suffix: "false" } }
data: { level: "3" }
`;

test("what only an earlier release brought does not count as there, and stays where that is overlooked", async () => {
  const template = webManifest({
    replicas: 1,
    name: "kept",
    extra: `          env: [{ name: LEVEL, valueFrom: { configMapKeyRef: { name: tuning, key: level } } }]
      serviceAccountName: kept
`,
  });
  const release = (tag: string, more = ""): ReturnType<typeof rendered> =>
    rendered(tag, { manifest: template + more });
  const first = await deploy(context(), release("v5", account("kept") + settings));
  assert.equal(first.record.outcome, "healthy");

  const { refusals } = await planRelease(context(), release("v6"));
  assert.deepEqual(
    refusals.map(({ code, where, message, exitCode }) => [code, where, message, exitCode]),
    ['ConfigMap "tuning"', 'ServiceAccount "kept"'].map((what) => [
      "REFERENCE_PRUNED",
      "tokyo/Deployment kept",
      `needs ${what}, which is in the cluster only from an earlier release, and is pruned without its manifest`,
      2,
    ]),
  );
  const back = await planRelease(context(), release("v6"), { purpose: "rollback" });
  assert.deepEqual(back.refusals, [], "a rollback does without, as neither is pruned");

  const overlooked = context({ preflight: { ...NO_ADVICE, REFERENCE_PRUNED: "off" } });
  const second = await deploy(overlooked, release("v6"));
  assert.equal(second.record.outcome, "healthy");
  for (const [kind, name] of [
    ["ServiceAccount", "kept"],
    ["ConfigMap", "tuning"],
  ] as const) {
    const live = await client.get<Deployment>({ apiVersion: "v1", kind, name, namespace: "default" });
    assert.equal(live.metadata.deletionTimestamp, undefined, `${kind} stays`);
  }
  assert.deepEqual((await planRelease(context(), release("v7"))).refusals, [], "and is whoever wants it's");
});

test("another service's object is refused, and Helm's is taken over with a warning", async () => {
  const deployed = await deploy(context(), rendered("v8", { replicas: 1, name: "mine" }));
  assert.equal(deployed.record.outcome, "healthy");
  const helm = { "app.kubernetes.io/managed-by": "Helm" };
  const service = { apiVersion: "v1", kind: "Service", metadata: { name: "web2", labels: helm } };
  await client.create({
    ...service,
    metadata: { ...service.metadata, namespace: "default" },
    spec: { ports: [{ port: 80 }] },
  } as never);
  const store = (name: string) =>
    planRelease(
      context({ service: "store" }),
      rendered("v8", { replicas: 1, name, service: "store", setting: "ours" }),
    );
  const plan = await store("mine");
  assert.deepEqual(
    plan.refusals.map(({ code, where }) => [code, where]),
    ["Service", "Deployment"].map((kind) => ["OBJECT_OF_ANOTHER_SERVICE", `tokyo/${kind} mine`]),
  );
  const other = await store("web2");
  assert.deepEqual(other.refusals, []);
  assert.match(other.warnings.join("\n"), /^tokyo\/Service web2: .* Helm \(OBJECT_OF_ANOTHER_MANAGER\)$/m);
});
