/** A status of a whole cluster in this process, after people have been at it by hand. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "@slipway/base";
import { type Cluster, startCluster } from "@slipway/cluster";
import type { ReleaseContext } from "../model.ts";
import { deploy, status } from "../release.ts";
import { apiClient, behaviours, contextOf, dyingContext, rendered, targetsOf } from "../testing.ts";
import { renderStatus } from "../text.ts";
import type { ClusterStatus } from "./status.ts";

let tokyo: Cluster;
let context: ReleaseContext;

before(async () => {
  tokyo = await startCluster({ name: "tokyo", runtime: "simulated", behaviours });
  context = contextOf(targetsOf([tokyo]));
  const manifest = `
apiVersion: v1
kind: Secret
metadata: { name: login }
stringData: { password: one }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80 }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{ name: web, image: web, env: [{ name: MODE, value: fast }], resources: { requests: { cpu: "0.1" } } }]
`;
  assert.equal((await deploy(context, rendered("v1", { manifest }))).exitCode, 0);
});
after(() => tokyo.stop());

const web = { apiVersion: "apps/v1", kind: "Deployment", namespace: "default", name: "web" };

async function differences(): Promise<readonly string[]> {
  const report = await status(context);
  return (report.clusters[0]?.drift ?? []).flatMap((object) =>
    object.state === "changed"
      ? object.differences.map(({ path, by }) => `${object.kind} ${path} by ${by?.manager}`)
      : [`${object.kind} ${object.state}`],
  );
}

test("right after a release nothing differs and the cluster is well", async () => {
  const report = await status(context);
  assert.deepEqual(report.clusters[0]?.drift, []);
  assert.deepEqual(report.clusters[0]?.health, { verdict: "ok", causes: [] });
});

const settings = (name: string, color: string): string => `
apiVersion: v1
kind: ConfigMap
metadata: { name: ${name}, annotations: { slipway.dev/hash-suffix: "false" } }
data: { color: ${color} }
`;

/** Of a release of two objects that is killed before its n-th write; undefined when it came to its end. */
async function statusOfCutOff(writes: number, comesAfter: boolean): Promise<ClusterStatus | undefined> {
  const client = apiClient();
  const alone = contextOf([{ name: "tokyo", client }]);
  const first = rendered("v1", { manifest: settings("one", "blue") });
  if (comesAfter) assert.equal((await deploy(alone, first)).exitCode, 0);
  const process = dyingContext(alone, writes);
  const manifest = `${settings("one", "red")}---${settings("two", "red")}`;
  let isOver = false;
  void deploy(process.context, rendered("v2", { manifest })).then(() => {
    isOver = true;
  });
  await until("it dies or ends", () => isOver || process.died());
  if (isOver) return undefined;
  const report = await status(alone);
  if (report.clusters[0]?.runs === undefined) return report.clusters[0];
  // What somebody does by hand is a difference all the same.
  const one = { apiVersion: "v1", kind: "ConfigMap", namespace: "default", name: "one" };
  await client.patch(one, "merge", { data: { color: "pink" } }, { fieldManager: "kubectl" }).catch(() => {
    assert.equal(comesAfter, false, "it is there when a release came before");
  });
  const changed = (await status(alone)).clusters[0]?.drift ?? [];
  if (comesAfter)
    assert.deepEqual(
      changed.map(({ name, state }) => [name, state]),
      [["one", "changed"]],
    );
  return report.clusters[0];
}

for (const comesAfter of [true, false])
  test(`a release that was cut off has no difference that nobody made, ${comesAfter ? "after another" : "as the first"}`, async () => {
    let touched = 0;
    for (let writes = 0; ; writes += 1) {
      const found = await statusOfCutOff(writes, comesAfter);
      if (found === undefined) break;
      assert.deepEqual(found.drift, [], `before write ${writes}`);
      if (found.runs === (comesAfter ? 2 : 1)) touched += 1;
    }
    assert.ok(touched >= 2, "some were cut off while they were applied");
  });

test("a change by hand is shown with both values and its owner, an added field too", async () => {
  await tokyo.client.patch(
    web,
    "strategic",
    { spec: { replicas: 1, template: { metadata: { annotations: { restartedAt: "now" } } } } },
    { fieldManager: "kubectl-edit" },
  );
  assert.deepEqual(await differences(), [
    "Deployment spec.replicas by kubectl-edit",
    "Deployment spec.template.metadata.annotations.restartedAt by kubectl-edit",
  ]);
  assert.match(
    renderStatus(await status(context)),
    /tokyo differs from what release 1 applied:\n {2}Deployment web\n {4}spec\.replicas: 2 -> 1, by kubectl-edit at /,
  );
});

test("what was deleted is missing, and the values of a Secret stay hidden", async () => {
  await tokyo.client.delete({ apiVersion: "v1", kind: "Service", namespace: "default", name: "web" });
  const { drift = [] } = (await status(context)).clusters[0] ?? {};
  assert.deepEqual(
    drift.map(({ kind, state }) => `${kind} ${state}`),
    ["Service missing", "Deployment changed"],
  );
  const [secret] = (
    await tokyo.client.list({ apiVersion: "v1", kind: "Secret" }, { namespace: "default" })
  ).items.filter(({ metadata }) => metadata.name.startsWith("login"));
  await tokyo.client.patch(
    { apiVersion: "v1", kind: "Secret", namespace: "default", name: secret?.metadata.name ?? "" },
    "merge",
    { data: { password: Buffer.from("two").toString("base64") } },
    { fieldManager: "somebody" },
  );
  const text = renderStatus(await status(context));
  assert.match(text, /data\.password: \(hidden\) -> \(hidden\), by somebody/);
  assert.doesNotMatch(text, /two|dHdv|b25l/);
});

test("a Deployment that somebody broke by hand is not healthy, with its cause", async () => {
  await tokyo.client.patch(
    web,
    "strategic",
    {
      spec: {
        template: { spec: { containers: [{ name: "web", image: "registry.test/web:crash@sha256:0" }] } },
      },
    },
    { fieldManager: "kubectl-set" },
  );
  const report = await until("the status says why", async () => {
    const now = await status(context);
    const health = now.clusters[0]?.health;
    return health?.verdict === "doomed" && health.causes[0]?.code === "ContainerCrash" ? now : undefined;
  });
  assert.match(renderStatus(report), /NOT HEALTHY: tokyo: Deployment web, pod .*ContainerCrash/);
});
