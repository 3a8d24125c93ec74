/**
 * The story of the rights on a real API server, which is the one to say what RBAC allows: each account is a
 * ServiceAccount that has nothing but what `slipway rights` prints for it.
 *
 * SLIPWAY_REAL_KUBERNETES names the program that starts the cluster; a control plane is enough, a hollow kubelet
 * reports the pods. The cluster beside it is an embedded one.
 */
import { after, before, test } from "node:test";
import { systemRandom, until } from "@slipway/base";
import { type Cluster, startCluster } from "@slipway/cluster";
import type { KubeClient, Node } from "@slipway/kube";
import { makeAccount, openAs, openControlPlane } from "../packages/slipway/src/clusters/testing.ts";
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

/** A ServiceAccount with the rights for one purpose, and a client in its name. */
async function account(purpose: Purpose): Promise<KubeClient> {
  const subjects = [{ kind: "ServiceAccount", name: purpose, namespace }] as const;
  const rights = rightsOf({ service, namespace }, purpose, subjects);
  const made = await makeAccount(admin, { namespace, name: purpose, rights });
  cleanups.push(() => made.remove());
  const client = await openAs(purpose, kubeconfigPath, made);
  cleanups.push(() => client.close());
  return client;
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
