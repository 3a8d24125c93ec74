/** Releases over two whole clusters in this process: real controllers and kubelet, pods simulated. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Cluster, startCluster } from "@slipway/cluster";
import type { Deployment } from "@slipway/kube";
import { deploy, history, rollback, status } from "./release.ts";
import { behaviours, contextOf, recordEvents, rendered, targetsOf } from "./testing.ts";
import { renderEvent, renderHistory, renderStatus } from "./text.ts";

let clusters: Cluster[] = [];

before(async () => {
  clusters = await Promise.all(
    ["osaka", "tokyo"].map((name) => startCluster({ name, runtime: "simulated", behaviours })),
  );
});
after(async () => {
  await Promise.all(clusters.map((cluster) => cluster.stop()));
});

async function imageIn(cluster: Cluster): Promise<string | undefined> {
  const deployment = await cluster.client.get<Deployment>({
    apiVersion: "apps/v1",
    kind: "Deployment",
    namespace: "default",
    name: "web",
  });
  return deployment.spec.template.spec.containers[0]?.image?.split("@")[0];
}

test("a service goes forward, is stopped in the first wave by a crash, and is taken back by hand", async () => {
  const context = contextOf(targetsOf(clusters));
  const first = await deploy(context, rendered("v1"));
  assert.equal(first.exitCode, 0);
  assert.equal(first.record.outcome, "healthy");

  const second = await deploy(context, rendered("v2", { setting: "good day" }));
  assert.equal(second.record.number, 2);
  assert.equal(second.exitCode, 0);

  const seen = recordEvents();
  const third = await deploy(context, rendered("crash"), seen);
  assert.equal(
    third.record.outcome,
    "rolled-back",
    seen.events.map((event) => renderEvent(event)).join("\n"),
  );
  assert.equal(third.exitCode, 1);
  const osaka = third.clusters.find((cluster) => cluster.name === "osaka");
  assert.equal(osaka?.cause?.code, "ContainerCrash");
  assert.match(osaka?.cause?.why ?? "", /^crashed twice: exit code 3$/);
  assert.deepEqual(osaka?.restored, { to: 2, ok: true });
  assert.equal(third.clusters.find((cluster) => cluster.name === "tokyo")?.verdict, "not-started");
  assert.deepEqual(third.evidence[0]?.log?.tail, ["cannot find module ./db"]);
  assert.deepEqual(await Promise.all(clusters.map(imageIn)), [
    "registry.test/web:v2",
    "registry.test/web:v2",
  ]);

  await assert.rejects(deploy(context, rendered("crash")), { code: "RELEASE_HELD" });

  const back = await rollback(context);
  assert.equal(back.exitCode, 0);
  assert.deepEqual([back.record.kind, back.record.restores, back.record.leaves], ["rollback", 1, 2]);
  assert.deepEqual(await Promise.all(clusters.map(imageIn)), [
    "registry.test/web:v1",
    "registry.test/web:v1",
  ]);
  await assert.rejects(rollback(context), { code: "ROLLBACK_NO_TARGET" });

  const records = await history(context);
  assert.deepEqual(
    records.map((record) => record.outcome),
    ["healthy", "rolled-back", "healthy", "healthy"],
  );
  console.log(renderHistory(records, Date.now()));
  console.log(renderStatus(await status(context)));
  console.log(
    seen.events
      .map((event) => renderEvent(event))
      .filter(Boolean)
      .join("\n"),
  );
});
