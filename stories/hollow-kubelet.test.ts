/** The hollow kubelet against our own control plane; the real lane runs it against a real one. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { until } from "@slipway/base";
import { type Cluster, startCluster } from "@slipway/cluster";
import { createHttpClient, type Deployment, type KubeClient, type Node, type Pod } from "@slipway/kube";
import { type HollowKubelet, startHollowKubelet } from "./hollow-kubelet.ts";

let cluster: Cluster;
let kubelet: HollowKubelet;
let client: KubeClient;
const namespace = "hollow";

before(async () => {
  cluster = await startCluster({ name: "hollow", nodes: [] });
  client = createHttpClient({ name: "hollow", url: cluster.url, token: cluster.token, ca: cluster.ca });
  await client.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  kubelet = await startHollowKubelet({ client, namespaces: [namespace] });
});
after(async () => {
  await kubelet.stop();
  await client.close();
  await cluster.stop();
});

const deployment = (name: string, image: string, replicas = 2): Deployment => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name, namespace },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name, image }] } },
  },
});

describe("the hollow kubelet", () => {
  it("makes a control plane without nodes run a Deployment, and lets its pods go again", async () => {
    const { items } = await client.list<Node>({ apiVersion: "v1", kind: "Node" });
    assert.deepEqual(items.map(({ metadata }) => metadata.name).sort(), ["hollow-1", "hollow-2", "hollow-3"]);
    await client.create(deployment("web", "registry.test/web:v1"));
    const ref = { apiVersion: "apps/v1", kind: "Deployment", name: "web", namespace };
    await until("both pods are available", async () => {
      const { status } = await client.get<Deployment>(ref);
      return status?.availableReplicas === 2;
    });
    await client.delete(ref, { propagationPolicy: "Background" });
    await until("its pods are gone", async () => {
      const pods = await client.list<Pod>({ apiVersion: "v1", kind: "Pod" }, { namespace });
      return pods.items.length === 0;
    });
  });

  const outcomes: readonly [what: string, image: string, seen: RegExp][] = [
    ["a crash, again and again, with what was before", "web:crash", /CrashLoopBackOff.*"exitCode":1/],
    ["an image that is not there", "web:missing", /ErrImagePull/],
    ["a container that never gets ready", "web:unready", /"ready":false.*"running"/],
  ];
  for (const [what, image, seen] of outcomes) {
    it(`shows ${what}`, async () => {
      const name = image.replace(":", "-");
      await client.create(deployment(name, image, 1));
      let text = "";
      await until(
        what,
        async () => {
          const pods = await client.list<Pod>(
            { apiVersion: "v1", kind: "Pod" },
            { namespace, labelSelector: `app=${name}` },
          );
          text = JSON.stringify(pods.items[0]?.status?.containerStatuses);
          return seen.test(text);
        },
        { describe: () => text },
      );
    });
  }

  it("ends the container of a Job with 0", async () => {
    const job: Pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "once", namespace },
      spec: { restartPolicy: "Never", containers: [{ name: "once", image: "migrate:v1" }] },
    };
    await client.create(job);
    await until("the pod has succeeded", async () => {
      const { status } = await client.get<Pod>({ apiVersion: "v1", kind: "Pod", name: "once", namespace });
      return status?.phase === "Succeeded";
    });
  });
});
