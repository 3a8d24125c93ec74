/**
 * The story of the rights on a real API server, which is the one to say what RBAC allows: each account is a
 * ServiceAccount that has nothing but what `slipway rights` prints for it.
 *
 * SLIPWAY_REAL_KUBERNETES names the program that starts the cluster; a control plane is enough, a hollow kubelet
 * reports the pods. The cluster beside it is an embedded one.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { seededRandom, systemClock, systemRandom, until } from "@slipway/base";
import { type Cluster, startCluster } from "@slipway/cluster";
import type { KubeClient, Node, Secret } from "@slipway/kube";
import { parse } from "yaml";
import { openContext } from "../packages/slipway/src/clusters/context.ts";
import { readKubeconfig } from "../packages/slipway/src/clusters/kubeconfig.ts";
import { openControlPlane } from "../packages/slipway/src/clusters/testing.ts";
import type { Purpose } from "../packages/slipway/src/release/rights/rights.ts";
import { behaviours } from "../packages/slipway/src/release/testing.ts";
import { startHollowKubelet } from "./hollow-kubelet.ts";
import { rightsOf, tellRights } from "./rights.ts";

const program = process.env["SLIPWAY_REAL_KUBERNETES"];
const skip =
  program === undefined ? "SLIPWAY_REAL_KUBERNETES is not set: there is no RBAC to try the rights on" : false;
const namespace = `rights-${systemRandom().name(6)}`;
const service = "shop";
const cleanups: (() => Promise<unknown>)[] = [];
let admin: KubeClient;
let beside: Cluster;
let kubeconfigPath: string;

before(async () => {
  if (program === undefined) return;
  const cluster = await openControlPlane(program, "b");
  cleanups.push(() => cluster.close());
  kubeconfigPath = cluster.kubeconfig;
  admin = cluster.client;
  await admin.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  cleanups.push(() => admin.delete({ apiVersion: "v1", kind: "Namespace", name: namespace }));
  const kubelet = await startHollowKubelet({ client: admin, namespaces: [namespace] });
  cleanups.push(() => kubelet.stop());
  beside = await startCluster({ name: "osaka", runtime: "simulated", behaviours });
  cleanups.push(() => beside.stop());
  // A node that has just been registered is tainted until the control plane has seen it alive.
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

async function clientOf(path: string, who: string): Promise<KubeClient> {
  const kubeconfig = readKubeconfig({ KUBECONFIG: path });
  const [context] = kubeconfig.contexts;
  const { client } = await openContext(who, context?.name ?? "", kubeconfig, {
    env: {},
    clock: systemClock,
    random: seededRandom(1),
    isTerminal: false,
  });
  cleanups.push(() => client.close());
  return client;
}

/** A ServiceAccount with the rights for one purpose, and a client in its name. */
async function account(purpose: Purpose): Promise<KubeClient> {
  const metadata = { name: purpose, namespace };
  await admin.create({ apiVersion: "v1", kind: "ServiceAccount", metadata });
  const subjects = [{ kind: "ServiceAccount", name: purpose, namespace }] as const;
  for (const manifest of rightsOf({ service, namespace }, purpose, subjects)) {
    await admin.apply(manifest, { fieldManager: "story", force: true });
    const { apiVersion, kind } = manifest;
    const ref = { apiVersion, kind, name: manifest.metadata.name, namespace: manifest.metadata.namespace };
    if (ref.namespace !== namespace) cleanups.push(() => admin.delete(ref));
  }
  const name = `${purpose}-token`;
  const annotations = { "kubernetes.io/service-account.name": purpose };
  const secret = { apiVersion: "v1", kind: "Secret", metadata: { name, namespace, annotations } };
  await admin.create({ ...secret, type: "kubernetes.io/service-account-token" } as Secret);
  const token = await until("the token is made", async () => {
    const { data } = await admin.get<Secret>({ apiVersion: "v1", kind: "Secret", name, namespace });
    return data?.["token"];
  });
  const folder = await mkdtemp(join(tmpdir(), "slipway-rights-"));
  cleanups.push(() => rm(folder, { recursive: true }));
  const path = join(folder, "config");
  const config = parse(await readFile(kubeconfigPath, "utf8"));
  config.users[0].user = { token: Buffer.from(token, "base64").toString() };
  await writeFile(path, JSON.stringify(config));
  return clientOf(path, purpose);
}

test("deploy with a migration, approval, holds, rollback and reading need no more than their rights", {
  skip,
}, async () => {
  await tellRights({
    service,
    namespace,
    client: account,
    beside: { name: "osaka", client: beside.client },
  });
});
