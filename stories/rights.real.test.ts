/**
 * The generated rights are enough: deploy, a failed deploy with its evidence, status, history and rollback against a
 * real API server, each with a ServiceAccount that has nothing but what `slipway rights` prints for it. Every call that
 * is forbidden on the way fails the test. And they are no more than that: what an administrator may, they may not.
 *
 * SLIPWAY_REAL_KUBERNETES names the program that starts the cluster; a control plane is enough, a hollow kubelet
 * reports the pods.
 */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { seededRandom, systemClock, systemRandom, until } from "@slipway/base";
import { isReason, type KubeClient, type Node, type Secret, StatusError } from "@slipway/kube";
import { parse } from "yaml";
import { openContext } from "../packages/slipway/src/clusters/context.ts";
import { readKubeconfig } from "../packages/slipway/src/clusters/kubeconfig.ts";
import { openControlPlane } from "../packages/slipway/src/clusters/testing.ts";
import { parseManifest } from "../packages/slipway/src/release/manifests/manifests.ts";
import { renderObjects } from "../packages/slipway/src/release/manifests/render.ts";
import type { ReleaseContext, RenderedRelease } from "../packages/slipway/src/release/model.ts";
import { deploy, history, planRelease, rollback, status } from "../packages/slipway/src/release/release.ts";
import { type Purpose, rightsFor } from "../packages/slipway/src/release/rights/rights.ts";
import { contextOf, image, webManifest } from "../packages/slipway/src/release/testing.ts";
import { startHollowKubelet } from "./hollow-kubelet.ts";

const program = process.env["SLIPWAY_REAL_KUBERNETES"];
const skip =
  program === undefined ? "SLIPWAY_REAL_KUBERNETES is not set: there is no RBAC to try the rights on" : false;
const namespace = `rights-${systemRandom().name(6)}`;
const service = "shop";
const budget = `---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: web }
spec: { maxUnavailable: 1, selector: { matchLabels: { app: web } } }
`;
const cleanups: (() => Promise<unknown>)[] = [];
let admin: KubeClient;
let kubeconfigPath: string;

const version = (tag: string): RenderedRelease =>
  renderObjects({
    service,
    namespace,
    loaded: parseManifest(webManifest({ setting: tag }) + budget, "k8s/web.yaml"),
    patches: [],
    images: [image("web", tag)],
    version: { commit: `${tag}0000000`, message: `ship ${tag}`, author: "Story", dirty: false },
  });

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

interface Account {
  readonly context: ReleaseContext;
  readonly client: KubeClient;
  /** What was forbidden so far. */
  readonly forbidden: string[];
}

/** A ServiceAccount with the rights for one purpose, and a client in its name. */
async function account(purpose: Purpose): Promise<Account> {
  const metadata = { name: purpose, namespace };
  await admin.create({ apiVersion: "v1", kind: "ServiceAccount", metadata });
  const subjects = [{ kind: "ServiceAccount", name: purpose, namespace }] as const;
  const { manifests, unknown } = rightsFor({
    service,
    namespace,
    rendered: version("v1"),
    purpose,
    subjects,
  });
  assert.deepEqual(unknown, []);
  for (const manifest of manifests) {
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
  const forbidden: string[] = [];
  const client = audited(await clientOf(path, purpose), forbidden);
  const target = { name: "tokyo", client, place: `context ${purpose}` };
  return { context: contextOf([target], { service, namespace }), client, forbidden };
}

/** The same client, which writes down every call that was forbidden. */
function audited(client: KubeClient, forbidden: string[]): KubeClient {
  const note = (call: string, error: unknown): never => {
    if (isReason(error, "Forbidden")) forbidden.push(`${call}: ${(error as Error).message}`);
    throw error;
  };
  return new Proxy(client, {
    get(of, name) {
      const value = of[name as keyof KubeClient] as unknown;
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        const result: unknown = Reflect.apply(value, of, args);
        if (result instanceof Promise) return result.catch((error: unknown) => note(String(name), error));
        return (async function* () {
          try {
            yield* result as AsyncIterable<unknown>;
          } catch (error) {
            note(String(name), error);
          }
        })();
      };
    },
  });
}

test("a deploy, a failed one and a rollback need no more than their rights", { skip }, async () => {
  const deployer = await account("deploy");
  const first = await deploy(deployer.context, version("v1"));
  assert.equal(first.record.outcome, "healthy", JSON.stringify(first.clusters));
  const plan = await planRelease(deployer.context, version("v2"));
  assert.deepEqual(
    [plan.refusals, plan.warnings.filter((text) => /may not|cannot be read|not checked/.test(text))],
    [[], []],
  );
  const second = await deploy(deployer.context, version("v2"));
  assert.equal(second.record.outcome, "healthy", JSON.stringify(second.clusters));
  const crashed = await deploy(deployer.context, version("crash"));
  assert.equal(crashed.record.outcome, "rolled-back", JSON.stringify(crashed.clusters));
  assert.equal(crashed.clusters[0]?.cause?.code, "ContainerCrash");

  const reader = await account("read");
  const report = await status(reader.context);
  assert.equal(report.clusters[0]?.runs, 2);
  assert.deepEqual(
    (await history(reader.context)).map(({ number, outcome }) => [number, outcome]),
    [
      [3, "rolled-back"],
      [2, "healthy"],
      [1, "healthy"],
    ],
  );

  const operator = await account("rollback");
  const back = await rollback(operator.context);
  assert.equal(back.record.outcome, "healthy", JSON.stringify(back.clusters));
  assert.equal(back.record.restores, 1);
  assert.deepEqual(
    { deploy: deployer.forbidden, read: reader.forbidden, rollback: operator.forbidden },
    { deploy: [], read: [], rollback: [] },
  );

  const refused = async (call: Promise<unknown>): Promise<void> =>
    assert.rejects(call, (error) => error instanceof StatusError && error.httpCode === 403);
  const elsewhere = { namespace: "kube-system" };
  await refused(deployer.client.list({ apiVersion: "v1", kind: "Secret" }, elsewhere));
  await refused(deployer.client.delete({ apiVersion: "v1", kind: "Namespace", name: namespace }));
  await refused(deployer.client.exec({ namespace, name: "any" }, { command: ["true"] }));
  await refused(reader.client.apply(version("v1").objects[0] as Secret, { fieldManager: "x", dryRun: true }));
});
