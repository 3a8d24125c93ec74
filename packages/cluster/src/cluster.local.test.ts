/** One story on the sandbox runtime: what a Deployment of a real program goes through, to the loss of its node. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { exec, until } from "@slipway/base";
import type { Deployment, Pod, Service } from "@slipway/kube";
import { type Cluster, startCluster } from "./cluster.ts";
import { hostLayer, TestImages } from "./runtimes/sandbox/testing.ts";

const PROGRAM = `
require("node:http")
  .createServer((request, response) => response.end(process.env.RELEASE + " " + process.env.POD))
  .listen(8080, () => console.log("listening"));
process.on("SIGTERM", () => process.exit(0));
`;

/** As client libraries do it in a cluster; another host, and another token, when they are given. */
const LIST_PODS = `
const { readFileSync } = require("node:fs");
const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
const [other, token] = process.argv.slice(1);
const read = (file) => readFileSync("/var/run/secrets/kubernetes.io/serviceaccount/" + file, "utf8");
require("node:https").get({
  host: other || host,
  port,
  path: "/api/v1/namespaces/" + read("namespace") + "/pods",
  ca: read("ca.crt"),
  headers: { authorization: "Bearer " + (token || read("token")) },
}, async (response) => {
  const { items = [] } = JSON.parse((await response.toArray()).join(""));
  console.log(response.statusCode, ...items.map(({ metadata }) => metadata.name));
});
`;

const config = { Cmd: ["node", "/app.js"], Env: ["PATH=/usr/local/bin:/usr/bin:/bin"] };
const images = new TestImages();

function deployment(release: string): Deployment {
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace: "default" },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: "web" } },
      strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: { labels: { app: "web" } },
        spec: {
          containers: [
            {
              name: "web",
              image: "web:1",
              ports: [{ containerPort: 8080, name: "http" }],
              env: [
                { name: "RELEASE", value: release },
                { name: "POD", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
              ],
              readinessProbe: { httpGet: { port: "http" }, periodSeconds: 1 },
            },
          ],
        },
      },
    },
  };
}

const service: Service = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "web", namespace: "default" },
  spec: { selector: { app: "web" }, ports: [{ port: 80, targetPort: "http" }] },
};

const podsOf = (cluster: Cluster): readonly Pod[] => cluster.store.list("Pod", "default");

async function available(cluster: Cluster, release: string): Promise<void> {
  const isReady = (pod: Pod): boolean =>
    pod.spec.containers[0]?.env?.[0]?.value === release &&
    pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
  await until(`three ready pods of ${release}`, () => podsOf(cluster).filter(isReady).length === 3, {
    timeoutMs: 90_000,
    describe: () =>
      JSON.stringify(podsOf(cluster).map(({ status }) => status?.containerStatuses?.[0]?.state)),
  });
}

describe("a cluster of real processes", { timeout: 480_000 }, () => {
  let directory = "";
  let cluster: Cluster;
  const errors: unknown[] = [];

  const open = (): Promise<Cluster> =>
    startCluster({
      name: "local-test",
      directory: join(directory, "cluster"),
      layersDirectory: join(directory, "layers"),
      runtime: "auto",
      images,
      onError: (error) => errors.push(error),
    });

  before(async () => {
    images.add("web:1", {
      layers: [{ files: [...hostLayer(["sh"], { node: true }), { path: "app.js", content: PROGRAM }] }],
      config,
    });
    directory = await mkdtemp(join(tmpdir(), "slipway-local-test-"));
    cluster = await open();
  });

  after(async () => {
    await cluster?.stop();
    await rm(directory, { recursive: true, force: true });
  });

  test("three replicas listen on one port, and answer by the Service's name from inside a pod", async () => {
    await cluster.client.create(service);
    await cluster.client.create(deployment("v1"));
    await available(cluster, "v1");
    const [pod] = podsOf(cluster) as readonly [Pod];
    const ask = () =>
      cluster.client.exec(
        { namespace: "default", name: pod.metadata.name },
        { command: ["node", "-e", 'fetch("http://web").then((r) => r.text()).then(console.log)'] },
      );
    // As everywhere in Kubernetes, the Service hears of its endpoints a moment after they are ready.
    const { stdout } = await until("an answer of the Service", async () => {
      const outcome = await ask();
      return outcome.exitCode === 0 ? outcome : undefined;
    });
    assert.match(stdout, /^v1 web-/);
  });

  test("a program in a pod lists its own namespace, with what client libraries find in its container", async () => {
    const [pod] = podsOf(cluster) as readonly [Pod];
    const list = async (...args: readonly string[]) => {
      const target = { namespace: "default", name: pod.metadata.name };
      const { exitCode, stdout, stderr } = await cluster.client.exec(target, {
        command: ["node", "-e", LIST_PODS, ...args],
      });
      assert.equal(exitCode, 0, stderr);
      return stdout.trim();
    };
    const names = podsOf(cluster).map(({ metadata }) => metadata.name);
    // By the variables that Kubernetes sets, and by the name.
    for (const host of ["", "kubernetes.default.svc"])
      assert.equal(await list(host), `200 ${names.join(" ")}`);
    assert.equal(await list("", "nonsense"), "401");
  });

  test("kubectl top shows what pods use, of any process in them", async () => {
    const top = async (...args: readonly string[]): Promise<string> => {
      const { exitCode, stdout, stderr } = await exec(["kubectl", "top", ...args], {
        env: { ...process.env, KUBECONFIG: cluster.kubeconfigPath, KUBECACHEDIR: join(directory, "cache") },
      });
      assert.equal(exitCode, 0, stderr);
      return stdout;
    };
    const [pod] = podsOf(cluster) as readonly [Pod];
    const busy = new AbortController();
    const working = cluster.client
      .exec(
        { namespace: "default", name: pod.metadata.name },
        { command: ["node", "-e", "for (;;);"], signal: busy.signal },
      )
      .catch(() => undefined);
    try {
      const row = new RegExp(`^${pod.metadata.name} +(\\d+)m +(\\d+)Mi`, "m");
      await until(
        "the busy pod",
        async () => Number(row.exec(await top("pods", "-l", "app=web"))?.[1]) >= 100,
        { timeoutMs: 90_000 },
      );
      const rows = (await top("pods", "--no-headers")).trim().split("\n");
      assert.equal(rows.length, 3);
      for (const each of rows) assert.ok(Number(/(\d+)Mi/.exec(each)?.[1]) >= 5, each);
      assert.match(await top("pods", "--containers", pod.metadata.name), /web +\d+m +\d+Mi/);
      assert.match(await top("nodes"), /^local-test-1 +\d+m +\d+% +\d+Mi +\d+%/m);
    } finally {
      busy.abort();
      await working;
    }
  });

  test("a rolling update replaces them one by one, and the old ones end with code 0", async () => {
    const codes: (number | undefined)[] = [];
    const watch = cluster.store.watch({ kind: "Pod" }, ({ type, object }) => {
      if (type !== "DELETED") return;
      codes.push((object as Pod).status?.containerStatuses?.[0]?.state?.terminated?.exitCode);
    });
    const current = cluster.store.get("Deployment", "default", "web") as Deployment;
    await cluster.client.replace({ ...current, spec: deployment("v2").spec });
    await available(cluster, "v2");
    await until("the old pods' end", () => podsOf(cluster).length === 3, { timeoutMs: 90_000 });
    watch.close();
    assert.deepEqual(codes, [0, 0, 0]);
  });

  test("when the agent is killed, the node and its endpoints are gone at once", async () => {
    assert.ok(cluster.agentPid !== undefined);
    process.kill(cluster.agentPid, "SIGKILL");
    const readyEndpoints = () =>
      cluster.store
        .list("EndpointSlice", "default")
        .flatMap(({ endpoints }) => endpoints.filter(({ conditions }) => conditions?.ready === true));
    const ready = () => {
      const [node] = cluster.store.list("Node");
      return node?.status?.conditions?.find(({ type }) => type === "Ready")?.status;
    };
    await until("the node to be lost", () => ready() !== "True");
    await until("no ready endpoint", () => readyEndpoints().length === 0);
    assert.equal(ready(), "Unknown");
  });

  test("after a restart the same pods run again, one restart older", async () => {
    const before = podsOf(cluster).map(({ metadata }) => metadata.uid);
    await cluster.stop();
    cluster = await open();
    await available(cluster, "v2");
    assert.deepEqual(
      podsOf(cluster).map(({ metadata }) => metadata.uid),
      before,
    );
    const restarts = podsOf(cluster).map(({ status }) => status?.containerStatuses?.[0]?.restartCount);
    assert.deepEqual(restarts, [1, 1, 1]);
    assert.deepEqual(errors, []);
  });
});
