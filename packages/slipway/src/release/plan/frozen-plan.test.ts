/** A frozen plan is carried out exactly, or refused with what is no longer as it was. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, test } from "node:test";
import { SlipwayError, until } from "@slipway/base";
import { type Cluster, startCluster } from "@slipway/cluster";
import type { KubeClient } from "@slipway/kube";
import type { GateConfig } from "../../config/types.ts";
import { applyObjects } from "../apply/apply.ts";
import { readKnowledge } from "../history/knowledge.ts";
import { canonicalJson } from "../manifests/config-names.ts";
import { parseManifest } from "../manifests/manifests.ts";
import { renderObjects } from "../manifests/render.ts";
import type { ReleaseContext, RenderedRelease } from "../model.ts";
import { deploy, history, planToDeploy, resume } from "../release.ts";
import {
  apiClient,
  behaviours,
  contextOf,
  dyingContext,
  image,
  rendered,
  targetsOf,
  webManifest,
} from "../testing.ts";
import { type FrozenPlan, freeze, parseFrozenPlan } from "./frozen-plan.ts";
import { planInDetail } from "./plan.ts";

async function frozenPlan(context: ReleaseContext, release: RenderedRelease): Promise<FrozenPlan> {
  const knowledge = await readKnowledge(context);
  const detailed = await planInDetail(context, release, knowledge);
  const frozen = freeze(context, release, detailed, { knowledge, options: {}, buckets: {} });
  // Through its text, as a file would have it.
  return parseFrozenPlan(JSON.stringify(frozen), "release.plan");
}

let cluster: Cluster;
before(async () => {
  cluster = await startCluster({ name: "tokyo", runtime: "simulated", behaviours });
});
after(() => cluster.stop());

test("it is carried out with what it holds, and once", async () => {
  const context = contextOf(targetsOf([cluster]));
  const frozen = await frozenPlan(context, rendered("v1"));
  assert.equal(frozen.basedOn, 0);
  assert.match(frozen.clusters[0]?.identity ?? "", /^[0-9a-f-]{36}$/);
  const result = await deploy(context, frozen.rendered, { frozen });
  assert.equal(result.exitCode, 0);
  assert.equal(result.record.content, frozen.rendered.content);
  await assert.rejects(deploy(context, frozen.rendered, { frozen }), (error: SlipwayError) => {
    assert.equal(error.code, "PLAN_STALE");
    assert.match(error.message, /^release 1 by aki is the newest; there was none when it was planned/);
    return true;
  });
});

test("where it is cut off, whoever goes on keeps to the policies of the plan", async () => {
  const gate: GateConfig = { kind: "approval", name: "go", timeoutMs: 600_000 };
  const base = contextOf(targetsOf([cluster]), { namespace: "agreed", service: "agreed" });
  const waveSettings = [{ bakeMs: undefined, maxParallel: undefined, gates: [gate] }];
  const planned = { ...base, release: { ...base.release, waveSettings } };
  const frozen = await frozenPlan(planned, agreed("agreed"));
  const { context: dying, kill } = dyingContext(planned);
  const begun = deploy(dying, frozen.rendered, { frozen });
  begun.catch(() => undefined);
  await until("somebody is asked", async () => (await history(base))[0]?.gates?.[0]?.outcome === "waiting");
  kill();
  // The configuration asks nobody any more; the plan did.
  const gates: string[] = [];
  const { record } = await resume(
    { ...base, pid: 4712, isHolderAlive: () => false },
    {
      approveGates: true,
      onEvent: (event) => {
        if (event.type === "gate-finished") gates.push(event.gate);
      },
    },
  );
  assert.equal(record.outcome, "healthy");
  assert.deepEqual(gates, ["go"]);
});

/** The web service as one object in a namespace of its own. */
function agreed(namespace: string): RenderedRelease {
  return renderObjects({
    service: namespace,
    namespace,
    loaded: parseManifest(webManifest({ replicas: 1 }), "k8s/web.yaml"),
    patches: [],
    images: [image("web", "v1")],
    version: { commit: "a", message: "", author: "Aki", dirty: false },
  });
}

const web = { apiVersion: "apps/v1", kind: "Deployment", namespace: "default", name: "web" };

interface Staleness {
  readonly name: string;
  /** What happens between plan and deploy. */
  change(client: KubeClient): Promise<unknown>;
  readonly context?: Partial<ReleaseContext>;
  readonly where?: string;
  readonly message?: RegExp;
}

const cases: readonly Staleness[] = [
  { name: "nothing", change: async () => {} },
  {
    name: "a field of ours is changed by hand",
    change: (client) => client.patch(web, "merge", { spec: { replicas: 7 } }),
    where: "tokyo/Deployment web",
    message: /^changed since: spec\.replicas: 2 -> 7$/,
  },
  {
    name: "a field of somebody else comes",
    change: (client) => client.patch(web, "merge", { metadata: { labels: { team: "a" } } }),
    where: "tokyo/Deployment web",
    message: /^changed since: metadata\.labels\.team: \(absent\) -> a$/,
  },
  {
    name: "status and the controller's own annotation are nobody's change",
    change: async (client) => {
      await client.patch(web, "merge", { status: { readyReplicas: 1 } }, { subresource: "status" });
      await client.patch(web, "merge", {
        metadata: { annotations: { "deployment.kubernetes.io/revision": "9" } },
      });
    },
  },
  {
    name: "an object goes",
    change: (client) => client.delete({ ...web, apiVersion: "v1", kind: "Service" }),
    where: "tokyo/Service web",
    message: /^was deleted since$/,
  },
  {
    name: "an object goes and comes again",
    change: async (client) => {
      const ref = { ...web, apiVersion: "v1", kind: "Service" };
      await client.delete(ref);
      await applyObjects(client, rendered("v1").objects, contextOf([]));
    },
    where: "tokyo/Service web",
    message: /^was deleted and created again since$/,
  },
  {
    name: "an object comes",
    change: (client) =>
      client.create({
        apiVersion: "v1",
        kind: "ServiceAccount",
        metadata: { name: "robot", namespace: "default" },
      }),
    where: "tokyo/ServiceAccount robot",
    message: /^was created since$/,
  },
  {
    name: "the environment is another one",
    change: async () => {},
    context: { environment: "production" },
    where: "environment",
    message: /^is production and was test when it was planned$/,
  },
];

const extra = "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: { name: robot }\n";

for (const { name, change, context: other, where, message } of cases) {
  test(`since the plan: ${name}`, async () => {
    const client = apiClient();
    await applyObjects(client, rendered("v1").objects, contextOf([]));
    const context = contextOf([{ name: "tokyo", client }]);
    const frozen = await frozenPlan(context, rendered("v2", { extra }));
    await change(client);
    const plan = await planToDeploy({ ...context, ...other }, frozen.rendered, { frozen });
    const stale = plan.refusals.filter(({ code }) => code === "PLAN_STALE");
    if (where === undefined) return assert.deepEqual(stale, []);
    assert.equal(stale.length, 1);
    assert.equal(stale[0]?.where, where);
    assert.match(stale[0]?.message ?? "", message as RegExp);
    await assert.rejects(deploy({ ...context, ...other }, frozen.rendered, { frozen }), {
      code: "PLAN_STALE",
    });
    const records = await client.list({ apiVersion: "v1", kind: "Secret" }, { namespace: "default" });
    assert.equal(records.items.length, 0, "nothing was begun");
  });
}

test("replicas that an autoscaler moves do not make it stale", async () => {
  const autoscaler = `---
apiVersion: autoscaling/v1
kind: HorizontalPodAutoscaler
metadata: { name: web }
spec: { maxReplicas: 9, scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: web } }
`;
  const client = apiClient();
  await applyObjects(client, rendered("v1").objects, contextOf([]));
  const context = contextOf([{ name: "tokyo", client }]);
  const release = rendered("v2", { extra: autoscaler });
  // This API has no autoscalers: the object itself is left out, its effect on the Deployment stays.
  const objects = release.objects.filter(({ kind }) => kind !== "HorizontalPodAutoscaler");
  const frozen = await frozenPlan(context, { ...release, objects });
  assert.doesNotMatch(JSON.stringify(frozen.clusters[0]?.plan), /replicas/, "handed over, not lost");
  await client.patch(web, "merge", { spec: { replicas: 7 } });
  assert.deepEqual((await planToDeploy(context, frozen.rendered, { frozen })).refusals, []);
});

test("another cluster under the same name, and other clusters, are told", async () => {
  const [first, second] = [apiClient(), apiClient()];
  const kubeSystem = { apiVersion: "v1", kind: "Namespace", name: "kube-system" };
  const twin: KubeClient = {
    ...second,
    get: async (ref) => {
      const found = await second.get(ref);
      return ref.name === kubeSystem.name
        ? { ...found, metadata: { ...found.metadata, uid: "other" } }
        : found;
    },
  } as KubeClient;
  const frozen = await frozenPlan(contextOf([{ name: "tokyo", client: first }]), rendered("v1"));
  const uid = (await first.get(kubeSystem)).metadata.uid;
  const whereIs = async (targets: ReleaseContext["targets"]): Promise<readonly string[]> =>
    (await planToDeploy(contextOf(targets), frozen.rendered, { frozen })).refusals
      .filter(({ code }) => code === "PLAN_STALE")
      .map((refusal) => `${refusal.where}: ${refusal.message}`);
  assert.deepEqual(await whereIs([{ name: "tokyo", client: twin }]), [
    `clusters/tokyo: is another cluster: kube-system is other and was ${uid}`,
  ]);
  assert.deepEqual(
    await whereIs([
      { name: "tokyo", client: first },
      { name: "osaka", client: second },
    ]),
    ["clusters: osaka came since"],
  );
  assert.deepEqual(await whereIs([{ name: "osaka", client: second }]), [
    "clusters: osaka came since",
    "clusters: tokyo went since",
  ]);
});

test("a text that is no plan, of another format, or edited, is refused", async () => {
  const context = contextOf([{ name: "tokyo", client: apiClient() }]);
  const frozen = await frozenPlan(context, rendered("v1"));
  const code = (text: string): string => {
    try {
      parseFrozenPlan(text, "release.plan");
      return "accepted";
    } catch (error) {
      assert.ok(error instanceof SlipwayError);
      assert.equal(error.where, "release.plan");
      return error.code;
    }
  };
  assert.equal(code(JSON.stringify(frozen)), "accepted");
  assert.equal(code("{"), "PLAN_UNREADABLE");
  assert.equal(code("[1]"), "PLAN_UNREADABLE");
  assert.equal(code(JSON.stringify({ ...frozen, format: "slipway-plan/2" })), "PLAN_FORMAT");
  assert.equal(code(JSON.stringify(frozen).replace("web:v1@", "web:v9@")), "PLAN_STALE");
  const { digest: _digest, ...rest } = frozen;
  assert.equal(code(JSON.stringify(rest)), "PLAN_STALE");
  // Whoever can write a file can compute its digest.
  const digestOf = (plan: object): string =>
    `sha256:${createHash("sha256").update(canonicalJson(plan)).digest("hex")}`;
  const { clusters: _clusters, ...less } = rest;
  for (const plan of [
    { format: frozen.format },
    less,
    { ...rest, rendered: null },
    { ...rest, options: [] },
  ]) {
    const stored = JSON.parse(JSON.stringify(plan)) as object;
    assert.equal(code(JSON.stringify({ ...stored, digest: digestOf(stored) })), "PLAN_UNREADABLE");
  }
});
