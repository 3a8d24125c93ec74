import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom, systemClock, until, VirtualClock } from "@slipway/base";
import {
  bootstrapCluster,
  createApi,
  createMemoryClient,
  createStore,
  type KubeClient,
  type Pod,
} from "@slipway/kube";
import type { SourceLabels } from "../access/source.ts";
import type { ReleaseFact } from "./pod-labels.ts";
import { Pods } from "./pods.ts";
import { Sources } from "./sources.ts";
import { memoryWarehouse, podLog } from "./testing.ts";

const digest = `sha256:${"a".repeat(64)}`;
const release: ReleaseFact = {
  ...{ number: 7, commit: "c0ffee", startedAt: 0, digests: [digest], clusters: ["osaka"] },
};

function openCluster(): KubeClient {
  const api = createApi({ store: createStore(), now: systemClock.now, random: seededRandom(1) });
  bootstrapCluster(api);
  return createMemoryClient({ name: "osaka", api, sleep: systemClock.sleep });
}

function pod(name: string): Pod {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default" },
    spec: { nodeName: "node-a", containers: [{ name: "web", image: `r/web:v1@${digest}` }] },
  } as Pod;
}

function stage() {
  const clock = new VirtualClock();
  const warehouse = memoryWarehouse();
  const pods: Pods = new Pods({
    clock,
    onProblem: (_cluster, error) => assert.fail(String(error)),
    onLearned: (known) => void sources.learn(known),
  });
  const sources = new Sources(warehouse, (labels) => pods.complete(labels));
  return { clock, warehouse, pods, sources, client: openCluster(), stop: new AbortController() };
}

const edge = (podName: string, service: string): SourceLabels => ({
  ...{ origin: "edge", cluster: "osaka", namespace: "", node: "", pod: podName, container: "access.log" },
  ...{ service, release: 0, commit: "v1" },
});

test("a pod is gone when its cluster has told so, and not before it has told anything", async () => {
  const { pods, client, stop } = stage();
  const { metadata } = await client.create(pod("web-1"));
  const uid = metadata.uid as string;
  assert.equal(pods.isGone("osaka", uid), false);
  assert.equal(pods.isGone("osaka", "another"), false);
  const following = pods.follow("osaka", client, stop.signal);
  await until("the list", () => pods.isGone("osaka", "another"));
  assert.equal(pods.isGone("osaka", uid), false);
  assert.equal(pods.isGone("tokyo", uid), false, "nobody has listed that one");
  await client.delete(
    { apiVersion: "v1", kind: "Pod", namespace: "default", name: "web-1" },
    { gracePeriodSeconds: 0 },
  );
  await until("its end", () => pods.isGone("osaka", uid));
  stop.abort();
  await following;
});

test("a release that becomes known late is written to the lines of before", async () => {
  const { pods, sources, warehouse, client, stop } = stage();
  const following = pods.follow("osaka", client, stop.signal);
  const { metadata } = await client.create(pod("web-1"));
  const log = podLog({ podUid: metadata.uid ?? "" });
  const labels = await until("the pod", () => pods.labelsOf(log));
  assert.deepEqual([labels.pod, labels.node, labels.release, labels.commit], ["web-1", "node-a", 0, "v1"]);
  const source = sources.of(labels);
  pods.setReleases([release]);
  await until("the release", () => warehouse.sources[source - 1]?.release === 7);
  assert.equal(warehouse.sources[source - 1]?.commit, "c0ffee");
  assert.equal(sources.labelsOf(source)?.release, 7);
  assert.equal(pods.labelsOf(log)?.release, 7);
  stop.abort();
  await following;
});

test("a pod that nobody tells of is waited for, and then named by its path", async () => {
  const { pods, clock } = stage();
  const log = podLog({ namespace: "shop", pod: "web-5d9c7b4f6-x2x7q" });
  assert.equal(pods.labelsOf(log), undefined);
  await clock.advance(2900);
  assert.equal(pods.labelsOf(log), undefined);
  await clock.advance(200);
  assert.equal(pods.labelsOf(log)?.service, "web");
});

test("a pod that is deleted is known while its log is read to the end", async () => {
  const { pods, client, stop } = stage();
  const following = pods.follow("osaka", client, stop.signal);
  const { metadata } = await client.create(pod("web-1"));
  const log = podLog({ podUid: metadata.uid ?? "" });
  await until("the pod", () => pods.labelsOf(log));
  await client.delete(
    { apiVersion: "v1", kind: "Pod", namespace: "default", name: "web-1" },
    { gracePeriodSeconds: 0 },
  );
  const { metadata: next } = await client.create(pod("web-2"));
  await until("the watch to be past that", () => pods.labelsOf(podLog({ podUid: next.uid ?? "" })));
  assert.equal(pods.labelsOf(log)?.pod, "web-1");
  stop.abort();
  await following;
});

test("the edge's requests have the service, node and release of the pod that answered", async () => {
  const { pods, sources, warehouse, client, stop } = stage();
  const following = pods.follow("osaka", client, stop.signal);
  const owner = { apiVersion: "apps/v1", kind: "StatefulSet", name: "web", uid: "1", controller: true };
  const made = pod("web-0");
  const { metadata } = await client.create({
    ...made,
    metadata: { ...made.metadata, ownerReferences: [owner] },
  });
  await until("the pod", () => pods.labelsOf(podLog({ podUid: metadata.uid ?? "" })));
  pods.setReleases([release]);
  const answered = warehouse.sources[sources.of(edge("web-0", "front")) - 1];
  assert.deepEqual([answered?.service, answered?.node, answered?.release], ["web", "node-a", 7]);
  // No pod answered, but it was asked of the same route.
  assert.equal(warehouse.sources[sources.of(edge("", "front")) - 1]?.service, "web");
  assert.equal(warehouse.sources[sources.of(edge("", "other")) - 1]?.service, "other");
  stop.abort();
  await following;
});
