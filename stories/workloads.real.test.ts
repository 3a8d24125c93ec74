/**
 * Releases of a StatefulSet and a DaemonSet on a real API server with its real controllers: healthy, taken back when a
 * new version crashes, although the StatefulSet's controller by itself would wait for the broken pod for ever, and rolled
 * back by hand.
 *
 * SLIPWAY_REAL_KUBERNETES names the program that starts the cluster; a control plane is enough, a hollow kubelet
 * reports the pods. Who releases is a ServiceAccount with nothing but what `slipway rights deploy` prints for these
 * manifests: the pod that keeps the StatefulSet from going on is deleted with that right.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { seededRandom, systemClock, systemRandom, until } from "@slipway/base";
import { type AnyObject, isReason, type KubeClient, type Node, type Pod } from "@slipway/kube";
import { makeAccount, openAs, openControlPlane } from "../packages/slipway/src/clusters/testing.ts";
import { parseManifest } from "../packages/slipway/src/release/manifests/manifests.ts";
import { renderObjects } from "../packages/slipway/src/release/manifests/render.ts";
import type { ReleaseContext, RenderedRelease } from "../packages/slipway/src/release/model.ts";
import { deploy, rollback, status } from "../packages/slipway/src/release/release.ts";
import { rightsFor } from "../packages/slipway/src/release/rights/rights.ts";
import { contextOf, image, recordEvents } from "../packages/slipway/src/release/testing.ts";
import { startHollowKubelet } from "./hollow-kubelet.ts";

const program = process.env["SLIPWAY_REAL_KUBERNETES"];
const skip =
  program === undefined
    ? "SLIPWAY_REAL_KUBERNETES is not set: there are no controllers of these kinds"
    : false;
const namespace = `workloads-${systemRandom().name(6)}`;
const cleanups: (() => Promise<unknown>)[] = [];
let admin: KubeClient;
let deployer: KubeClient;

const manifest = `
apiVersion: v1
kind: Service
metadata: { name: db }
spec: { clusterIP: None, selector: { app: db }, ports: [{ port: 80 }] }
---
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: db }
spec:
  serviceName: db
  replicas: 3
  selector: { matchLabels: { app: db } }
  template:
    metadata: { labels: { app: db } }
    spec: { terminationGracePeriodSeconds: 1, containers: [{ name: db, image: db }] }
---
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: agent }
spec:
  selector: { matchLabels: { app: agent } }
  template:
    metadata: { labels: { app: agent } }
    spec: { terminationGracePeriodSeconds: 1, containers: [{ name: agent, image: agent }] }
`;

function version(db: string, agent: string): RenderedRelease {
  return renderObjects({
    service: "shop",
    namespace,
    loaded: parseManifest(manifest, "k8s/db.yaml"),
    patches: [],
    images: [image("db", db), image("agent", agent)],
    version: { commit: `${db}${agent}000000`, message: `ship ${db} ${agent}`, author: "Story", dirty: false },
  });
}

function rights(): readonly AnyObject[] {
  const subjects = [{ kind: "ServiceAccount", name: "deploy", namespace }] as const;
  const rendered = version("v1", "v1");
  const { manifests, unknown } = rightsFor({
    service: "shop",
    namespace,
    rendered,
    purpose: "deploy",
    subjects,
  });
  assert.deepEqual(unknown, []);
  return manifests;
}

async function podsOf(client: KubeClient, app: string): Promise<readonly string[]> {
  const { items } = await client.list<Pod>(
    { apiVersion: "v1", kind: "Pod" },
    { namespace, labelSelector: `app=${app}` },
  );
  return items
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map(({ spec }) => /:([^@]+)@/.exec(spec.containers[0]?.image ?? "")?.[1] ?? "");
}

before(async () => {
  if (program === undefined) return;
  const cluster = await openControlPlane(program, "b");
  cleanups.push(() => cluster.close());
  admin = cluster.client;
  await admin.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  cleanups.push(() => admin.delete({ apiVersion: "v1", kind: "Namespace", name: namespace }));
  const account = await makeAccount(admin, { namespace, name: "deploy", rights: rights() });
  cleanups.push(() => account.remove());
  deployer = await openAs("deploy", cluster.kubeconfig, account);
  cleanups.push(() => deployer.close());
  const kubelet = await startHollowKubelet({ client: admin, namespaces: [namespace] });
  cleanups.push(() => kubelet.stop());
  await until(
    "the nodes are usable",
    async () => {
      const { items } = await admin.list<Node>({ apiVersion: "v1", kind: "Node" });
      return items.length > 0 && items.every(({ spec }) => (spec?.taints ?? []).length === 0);
    },
    { everyMs: 200, timeoutMs: 60_000 },
  );
});

after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

function contextFor(client: KubeClient): ReleaseContext {
  const options = { namespace, clock: systemClock, random: seededRandom(1) };
  const context = contextOf([{ name: "tokyo", client }], options);
  return { ...context, release: { ...context.release, waves: [["tokyo"]] } };
}

test("a StatefulSet and a DaemonSet are released, taken back and rolled back", {
  skip,
  timeout: 300_000,
}, async () => {
  const context = contextFor(deployer);
  const nodes = (await podsOf(admin, "agent")).length;
  assert.equal(nodes, 0);
  const first = await deploy(context, version("v1", "v1"));
  assert.equal(first.record.outcome, "healthy", JSON.stringify(first.clusters));
  assert.deepEqual(await podsOf(admin, "db"), ["v1", "v1", "v1"]);
  const agents = await podsOf(admin, "agent");
  assert.ok(agents.length > 0 && agents.every((tag) => tag === "v1"), String(agents));

  // The new pod of the highest ordinal crashes; the controller would wait for it, whatever is applied.
  const seen = recordEvents();
  const crashed = await deploy(context, version("crash", "v1"), seen);
  assert.equal(crashed.record.outcome, "rolled-back", JSON.stringify(crashed.clusters));
  const [{ cause } = { cause: undefined }] = crashed.clusters;
  assert.equal(cause?.code, "ContainerCrash");
  assert.equal(cause.object.name, "db");
  const told = seen.events.flatMap((event) => (event.type === "warning" ? [event.message] : []));
  assert.ok(
    told.some((message) => /pod db-2 of an older revision .* it was deleted/.test(message)),
    told.join("\n"),
  );
  assert.deepEqual(await podsOf(admin, "db"), ["v1", "v1", "v1"]);

  // It is no administrator.
  await assert.rejects(deployer.delete({ apiVersion: "v1", kind: "Namespace", name: namespace }), (error) =>
    isReason(error, "Forbidden"),
  );

  const badAgent = await deploy(context, version("v1", "crash"));
  assert.equal(badAgent.record.outcome, "rolled-back", JSON.stringify(badAgent.clusters));
  assert.equal(badAgent.clusters[0]?.cause?.object.kind, "DaemonSet");
  assert.deepEqual([...new Set(await podsOf(admin, "agent"))], ["v1"]);

  const second = await deploy(context, version("v2", "v2"));
  assert.equal(second.record.outcome, "healthy", JSON.stringify(second.clusters));
  const seenByStatus = await status(context);
  assert.equal(seenByStatus.clusters[0]?.health?.verdict, "ok");
  const back = await rollback(context);
  assert.equal(back.record.outcome, "healthy", JSON.stringify(back.clusters));
  assert.deepEqual(await podsOf(admin, "db"), ["v1", "v1", "v1"]);
  assert.deepEqual([...new Set(await podsOf(admin, "agent"))], ["v1"]);
});
