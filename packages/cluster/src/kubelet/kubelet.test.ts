import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { seededRandom, VirtualClock } from "@slipway/base";
import {
  bootstrapCluster,
  createApi,
  createStore,
  type KubeObject,
  type Node,
  type Pod,
} from "@slipway/kube";
import type { Behaviours } from "../runtimes/simulated/behaviour.ts";
import { createSimulatedRuntime } from "../runtimes/simulated/runtime.ts";
import { aContainer } from "../testing.ts";
import { createKubelet } from "./kubelet.ts";

/** A kubelet in virtual time on a runtime in which nothing runs. */
function kubelet(behaviours: Behaviours = []) {
  const clock = new VirtualClock();
  const api = createApi({ store: createStore(), now: () => clock.now(), random: seededRandom(1) });
  bootstrapCluster(api);
  const runtime = createSimulatedRuntime({ clock, behaviours });
  const errors: unknown[] = [];
  const subject = createKubelet({
    api,
    runtime,
    clock,
    node: {
      name: "n",
      address: "172.30.0.2",
      capacity: { cpu: "4", memory: "8Gi", pods: "110" },
      labels: { disk: "ssd" },
      podCIDR: "10.244.0.0/16",
      nodeInfo: {},
    },
    onError: (error) => errors.push(error),
  });
  runtime.onExit((exit) => subject.containerExited(exit));
  subject.start();
  const create = (
    container: Partial<Pod["spec"]["containers"][number]>,
    spec: Partial<Pod["spec"]> = {},
  ): void => {
    api.create({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "p", namespace: "default" },
      spec: { nodeName: "n", containers: [aContainer("web", container)], ...spec },
    } as Pod);
  };
  const pod = () => api.store.get("Pod", "default", "p");
  const node = () => api.store.get("Node", "", "n") as Node;
  const events = () => api.store.list("Event").map(({ reason, message }) => `${reason}: ${message}`);
  return { api, clock, runtime, subject, errors, create, pod, node, events };
}

const ready = (node: Node): string | undefined =>
  node.status?.conditions?.find(({ type }) => type === "Ready")?.status;

describe("the node", () => {
  test("registers with its labels, capacity and a lease that it renews every 10 s", async () => {
    const { api, clock, node, subject } = kubelet();
    assert.equal(ready(node()), "True");
    assert.equal(node().metadata.labels?.["disk"], "ssd");
    assert.equal(node().metadata.labels?.["kubernetes.io/hostname"], "n");
    assert.equal(node().status?.allocatable?.["pods"], "110");
    const renewed = () => api.store.get("Lease", "kube-node-lease", "n")?.spec?.renewTime;
    assert.equal(renewed(), "2026-01-01T00:00:00.000000Z");
    await clock.advance(25_000);
    assert.equal(renewed(), "2026-01-01T00:00:20.000000Z");
    subject.stop();
  });

  test("that others took for lost says with its next beat that it is not", async () => {
    const { api, clock, node, subject } = kubelet();
    const conditions = node().status?.conditions?.map((condition) => ({
      ...condition,
      status: "Unknown" as const,
    }));
    api.replace({ ...node(), status: { ...node().status, conditions } } as Node, { subresource: "status" });
    await clock.advance(10_000);
    assert.equal(ready(node()), "True");
    subject.stop();
  });

  test("of a lost runtime is unknown at once, and nothing more is done for its pods", async () => {
    const { clock, node, subject, create, pod } = kubelet();
    create({});
    await clock.advance(0);
    subject.lost("the agent is gone");
    assert.equal(ready(node()), "Unknown");
    const before = pod();
    await clock.advance(60_000);
    assert.equal(pod(), before);
    assert.equal(ready(node()), "Unknown");
  });
});

describe("a pod", () => {
  test("has its whole life written down, from the sandbox to the end of the object", async () => {
    const { api, clock, create, pod, events, errors, subject } = kubelet();
    create({});
    await clock.advance(10);
    assert.equal(pod()?.status?.phase, "Running");
    api.delete({ apiVersion: "v1", kind: "Pod", namespace: "default", name: "p" });
    await clock.advance(10);
    assert.equal(pod(), undefined);
    assert.deepEqual(events(), [
      'Pulling: Pulling image "web:1"',
      'Pulled: Successfully pulled image "web:1"',
      "Created: Created container: web",
      "Started: Started container web",
      "Killing: Stopping container web",
    ]);
    assert.deepEqual(errors, []);
    subject.stop();
  });

  test("that crashes restarts at once and then after 10 s and 20 s", async () => {
    const { clock, create, pod, subject } = kubelet([
      { image: "bad", behaviour: { exitAfterMs: 0, exitCode: 1 } },
    ]);
    create({ image: "bad" });
    const restarts: number[] = [];
    for (const ms of [100, 9_000, 1_000, 19_000, 1_000]) {
      await clock.advance(ms);
      restarts.push(pod()?.status?.containerStatuses?.[0]?.restartCount ?? -1);
    }
    assert.deepEqual(restarts, [1, 1, 2, 2, 3]);
    subject.stop();
  });

  test("may ask for the end of its log as its last words", async () => {
    const bad = { image: "bad", behaviour: { exitAfterMs: 0, exitCode: 1, log: ["no database"] } };
    const { clock, create, pod, subject } = kubelet([bad]);
    create({ image: "bad", terminationMessagePolicy: "FallbackToLogsOnError" });
    await clock.advance(100);
    const status = pod()?.status?.containerStatuses?.[0];
    assert.equal(status?.lastState?.terminated?.message, "no database\n");
    subject.stop();
  });

  test("sees its ConfigMaps and Secrets change while it runs, and keeps them when they are deleted", async () => {
    const { api, clock, runtime, create, errors, subject } = kubelet();
    const written: string[] = [];
    runtime.writeFiles = async (_uid, mounts) => {
      for (const mount of mounts) {
        if (mount.kind !== "files") continue;
        for (const { path, content } of mount.files) written.push(`${path}=${Buffer.from(content)}`);
      }
    };
    const config = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "conf", namespace: "default" } };
    const other = { ...config, metadata: { name: "other", namespace: "default" } };
    api.create({ ...config, data: { a: "1" } } as KubeObject);
    create(
      { volumeMounts: [{ name: "v", mountPath: "/v" }] },
      { volumes: [{ name: "v", configMap: { name: "conf" } }] },
    );
    await clock.advance(10);
    written.length = 0;
    api.replace({ ...config, data: { a: "2", b: "3" } } as KubeObject);
    await clock.advance(0);
    assert.deepEqual(written, ["a=2", "b=3"]);
    api.create(other);
    api.delete({ apiVersion: "v1", kind: "ConfigMap", ...config.metadata });
    await clock.advance(0);
    assert.deepEqual([written, errors], [["a=2", "b=3"], []]);
    subject.stop();
  });

  test("that wants the host's network is told that there is none", async () => {
    const { clock, create, events, subject } = kubelet();
    create({}, { hostNetwork: true });
    await clock.advance(0);
    assert.match(events().join(), /FailedCreatePodSandBox: .*local clusters have no host network/);
    subject.stop();
  });
});
