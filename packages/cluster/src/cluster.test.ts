import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { type Clock, SlipwayError, systemClock, until } from "@slipway/base";
import type { ConfigMap, Deployment, Namespace, Pod, PodSpec, Service } from "@slipway/kube";
import { type Cluster, type ClusterOptions, startCluster } from "./cluster.ts";
import { serviceRoutes } from "./routes.ts";

async function withCluster(
  options: Partial<ClusterOptions>,
  work: (cluster: Cluster, errors: unknown[]) => Promise<void>,
): Promise<void> {
  const errors: unknown[] = [];
  const cluster = await startCluster({ name: "test", onError: (error) => errors.push(error), ...options });
  try {
    await work(cluster, errors);
    assert.deepEqual(errors, [], "no bug was reported");
  } finally {
    await cluster.stop();
  }
}

async function withDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "slipway-cluster-test-"));
  try {
    await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

const deployment = (image: string, replicas: number): Deployment => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", namespace: "default" },
  spec: {
    replicas,
    selector: { matchLabels: { app: "web" } },
    strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
    template: {
      metadata: { labels: { app: "web" } },
      spec: {
        containers: [{ name: "web", image, readinessProbe: { httpGet: { port: 80 }, periodSeconds: 1 } }],
      },
    },
  },
});

const service: Service = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "web", namespace: "default" },
  spec: { selector: { app: "web" }, ports: [{ port: 80 }] },
};

const pod = (name: string, spec: Partial<PodSpec> & { image?: string } = {}): Pod => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "default" },
  spec: { containers: [{ name: "web", image: spec.image ?? "web:1" }], ...withoutImage(spec) },
});

function withoutImage({ image: _, ...spec }: Partial<PodSpec> & { image?: string }): Partial<PodSpec> {
  return spec;
}

const webOf = (cluster: Cluster) => cluster.store.get("Deployment", "default", "web");
const podOf = (cluster: Cluster, name: string) => cluster.store.get("Pod", "default", name);
const webRef = { apiVersion: "apps/v1", kind: "Deployment", name: "web", namespace: "default" } as const;

function isReady(cluster: Cluster, name: string): boolean {
  const conditions = podOf(cluster, name)?.status?.conditions ?? [];
  return conditions.some(({ type, status }) => type === "Ready" && status === "True");
}

async function available(cluster: Cluster, replicas: number): Promise<void> {
  await until(`${replicas} available`, () => {
    const { metadata, status } = webOf(cluster) ?? {};
    // What the status says of an earlier generation is said of the pods before the change.
    return (
      status?.observedGeneration === metadata?.generation &&
      [status?.replicas, status?.updatedReplicas, status?.availableReplicas].every((n) => n === replicas)
    );
  });
}

describe("a simulated cluster", () => {
  test("brings a Deployment up, behind its Service", () =>
    withCluster({}, async (cluster) => {
      await cluster.client.create(service);
      await cluster.client.create(deployment("web:1", 3));
      await available(cluster, 3);
      // Another controller's work: it need not be done when the Deployment's is.
      await until("three ready endpoints", () => {
        const [slice] = cluster.store
          .list("EndpointSlice", "default")
          .filter(({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === "web");
        return slice?.endpoints.filter(({ conditions }) => conditions?.ready).length === 3;
      });
      const route = serviceRoutes(cluster.store).find(({ name }) => name === "web");
      assert.equal(route?.ports[0]?.endpoints.length, 3);
    }));

  test("rolls to a new image without ever having fewer ready pods, and garbage goes with its owner", () =>
    withCluster({}, async (cluster) => {
      await cluster.client.create(deployment("web:1", 3));
      await available(cluster, 3);
      let fewest = 3;
      const watch = cluster.store.watch({ kind: "Pod" }, () => {
        const ready = cluster.store
          .list("Pod", "default")
          .filter(
            ({ metadata }) => metadata.deletionTimestamp === undefined && isReady(cluster, metadata.name),
          );
        fewest = Math.min(fewest, ready.length);
      });
      const containers = [{ name: "web", image: "web:2" }];
      await cluster.client.patch(webRef, "strategic", { spec: { template: { spec: { containers } } } });
      await available(cluster, 3);
      watch.close();
      assert.equal(fewest, 3);
      const images = () =>
        cluster.store.list("Pod", "default").map(({ spec }) => spec.containers[0]?.image ?? "");
      await until("the old pods' end", () => images().every((image) => image === "web:2"));
      assert.equal(images().length, 3);
      assert.equal(cluster.store.list("ReplicaSet", "default").length, 2);
      await cluster.client.delete(webRef);
      // The ReplicaSet without pods may be the last to go.
      await until(
        "nothing left",
        () =>
          cluster.store.list("Pod", "default").length === 0 &&
          cluster.store.list("ReplicaSet", "default").length === 0,
      );
    }));

  test("does not let a crashing image take the place of one that works", () =>
    withCluster({}, async (cluster) => {
      await cluster.client.create(deployment("web:1", 2));
      await available(cluster, 2);
      const containers = [{ name: "web", image: "simulated/crash" }];
      await cluster.client.patch(webRef, "strategic", { spec: { template: { spec: { containers } } } });
      const crashing = await until("a crash loop", () =>
        cluster.store
          .list("Pod", "default")
          .find(
            ({ status }) => status?.containerStatuses?.[0]?.state?.waiting?.reason === "CrashLoopBackOff",
          ),
      );
      assert.equal(crashing.status?.containerStatuses?.[0]?.lastState?.terminated?.exitCode, 1);
      assert.equal(webOf(cluster)?.status?.availableReplicas, 2);
      const logs: string[] = [];
      const { name } = crashing.metadata;
      const previous = cluster.client.logs({ namespace: "default", name }, { previous: true });
      for await (const chunk of previous) logs.push(Buffer.from(chunk).toString());
      assert.deepEqual(logs, ["simulated crash\n"]);
    }));

  test("says why an image cannot be pulled and why a pod finds no node", () =>
    withCluster({ nodes: [{ name: "small", capacity: { cpu: "1" } }] }, async (cluster) => {
      // A failed pull is shown for a second, then the wait for the next try.
      const waiting = new Set<string | undefined>();
      const watch = cluster.store.watch({ kind: "Pod" }, ({ object }) => {
        const { metadata, status } = object as Pod;
        if (metadata.name === "missing") waiting.add(status?.containerStatuses?.[0]?.state?.waiting?.reason);
      });
      await cluster.client.create(pod("missing", { image: "simulated/missing" }));
      const requests = { cpu: "2" };
      await cluster.client.create(
        pod("big", { containers: [{ name: "web", image: "w", resources: { requests } }] }),
      );
      await until("both causes", () => {
        const reasons = cluster.store.list("Event", "default").map(({ reason }) => reason);
        return reasons.includes("FailedScheduling") && reasons.includes("Failed");
      });
      watch.close();
      assert.ok(waiting.has("ErrImagePull"), [...waiting].join());
      const scheduled = podOf(cluster, "big")?.status?.conditions?.find(
        ({ type }) => type === "PodScheduled",
      );
      assert.equal(scheduled?.message, "0/1 nodes are available: 1 Insufficient cpu.");
    }));

  test("starts a pod as soon as the ConfigMap that it was waiting for is there", () => {
    // By itself the kubelet looks again after 10 s, which are not over before this test is.
    const sleep: Clock["sleep"] = (ms, signal) => systemClock.sleep(ms > 5_000 ? 600_000 : ms, signal);
    return withCluster({ clock: { ...systemClock, sleep } }, async (cluster) => {
      const valueFrom = { configMapKeyRef: { name: "conf", key: "a" } };
      await cluster.client.create(
        pod("p", { containers: [{ name: "web", image: "web:1", env: [{ name: "A", valueFrom }] }] }),
      );
      await until("the error", () => {
        const reason = podOf(cluster, "p")?.status?.containerStatuses?.[0]?.state?.waiting?.reason;
        return reason === "CreateContainerConfigError";
      });
      const conf: ConfigMap = {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "conf", namespace: "default" },
        data: { a: "1" },
      };
      await cluster.client.create(conf);
      await until("the pod", () => isReady(cluster, "p"));
    });
  });

  test("deletes a namespace with everything in it", () =>
    withCluster({}, async (cluster) => {
      const namespace: Namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: "team" } };
      await cluster.client.create(namespace);
      const inTeam = { ...deployment("web:1", 2), metadata: { name: "web", namespace: "team" } };
      await cluster.client.create(inTeam);
      await until("pods", () => cluster.store.list("Pod", "team").length === 2);
      await cluster.client.delete({ apiVersion: "v1", kind: "Namespace", name: "team" });
      await until("the end", () => cluster.store.get("Namespace", "", "team") === undefined);
      assert.deepEqual(
        [cluster.store.list("Pod", "team"), cluster.store.list("ReplicaSet", "team")],
        [[], []],
      );
    }));

  test("runs commands in pods, and words what it cannot do", () =>
    withCluster({}, async (cluster) => {
      await cluster.client.create(pod("p"));
      await until("the pod", () => isReady(cluster, "p"));
      const target = { namespace: "default", name: "p" };
      const { exitCode, stdout } = await cluster.client.exec(target, { command: ["true"] });
      assert.deepEqual([exitCode, stdout], [0, "simulated\n"]);
      const previous = cluster.client.logs(target, { previous: true })[Symbol.asyncIterator]();
      await assert.rejects(async () => previous.next(), {
        message: 'previous terminated container "web" in pod "p" not found',
      });
      await assert.rejects(cluster.client.exec(target, { container: "x", command: ["true"] }), {
        message: "container x is not valid for pod p",
      });
    }));
});

describe("state in a directory", () => {
  test("survives a restart: the same token and port, objects as they were, pods started anew", () =>
    withDirectory(async (directory) => {
      let before = { token: "", url: "", uid: "" as string | undefined };
      await withCluster({ directory }, async (cluster) => {
        await cluster.client.create(deployment("web:1", 2));
        await cluster.client.create(pod("alone"));
        await available(cluster, 2);
        await until("the pod", () => isReady(cluster, "alone"));
        before = { token: cluster.token, url: cluster.url, uid: podOf(cluster, "alone")?.metadata.uid };
      });
      const port = join(directory, "port");
      assert.equal(`https://127.0.0.1:${await readFile(port, "utf8")}`, before.url);
      // Between the two anybody on this machine may be given that one; this one the system gives to nobody.
      const kept = 21_000 + (process.pid % 9_000);
      await writeFile(port, String(kept));
      await withCluster({ directory }, async (cluster) => {
        assert.deepEqual([cluster.token, cluster.url], [before.token, `https://127.0.0.1:${kept}`]);
        await until("the pod again", () => isReady(cluster, "alone"));
        const alone = podOf(cluster, "alone");
        assert.equal(alone?.metadata.uid, before.uid);
        assert.equal(alone?.status?.containerStatuses?.[0]?.restartCount, 1);
        assert.equal(alone?.status?.containerStatuses?.[0]?.lastState?.terminated?.reason, "Unknown");
        await available(cluster, 2);
        assert.equal(await readFile(cluster.kubeconfigPath, "utf8"), cluster.kubeconfig());
      });
    }));
});

test("a node that is no longer asked for goes", () =>
  withDirectory(async (directory) => {
    await withCluster({ directory, nodes: [{ name: "old" }] }, async (cluster) => {
      await cluster.client.create(deployment("web:1", 1));
      await available(cluster, 1);
    });
    await withCluster({ directory, nodes: [{ name: "new" }] }, async (cluster) => {
      assert.deepEqual(
        cluster.store.list("Node").map(({ metadata }) => metadata.name),
        ["new"],
      );
    });
  }));

describe("a lost cluster", () => {
  test("refuses what is asked of it, and comes back with its objects", () =>
    withDirectory(async (directory) => {
      const first = await startCluster({ name: "test", directory });
      await first.client.create(pod("p"));
      await first.lose();
      await assert.rejects(
        first.client.get({ apiVersion: "v1", kind: "Pod", namespace: "default", name: "p" }),
      );
      await assert.rejects(fetch(`${first.url}/healthz`));
      await first.stop();
      await withCluster({ directory }, async (cluster) => {
        await until("the pod", () => isReady(cluster, "p"));
      });
    }));
});

describe("egress", () => {
  test("is a Service without pods whose route names the target; a later setting replaces it", () =>
    withDirectory(async (directory) => {
      const routeTo = (cluster: Cluster, name: string) =>
        serviceRoutes(cluster.store).find((route) => route.name === name)?.egress;
      await withCluster({ directory, egress: { db: "localhost:5432" } }, async (cluster) => {
        assert.deepEqual(routeTo(cluster, "db"), { host: "localhost", port: 5432 });
      });
      await withCluster({ directory, egress: { cache: "localhost:6379" } }, async (cluster) => {
        assert.equal(routeTo(cluster, "db"), undefined);
        assert.deepEqual(routeTo(cluster, "cache"), { host: "localhost", port: 6379 });
      });
    }));

  test("an address that is none is refused, and nothing stays behind", () =>
    assert.rejects(
      startCluster({ name: "test", egress: { db: "localhost" } }),
      (error) =>
        error instanceof SlipwayError &&
        error.code === "CLUSTER_EGRESS_INVALID" &&
        error.where === "local.egress/db",
    ));
});

test("the sandbox runtime asks for images", () =>
  assert.rejects(
    startCluster({ name: "test", runtime: "sandbox" }),
    (error) => error instanceof SlipwayError && error.code === "CLUSTER_NO_IMAGES",
  ));
