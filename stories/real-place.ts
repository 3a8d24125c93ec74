/**
 * A real Kubernetes as the ground of stories. SLIPWAY_REAL_KUBERNETES names a program with `up NAME` (prints the path
 * of a KUBECONFIG as its last line), `down NAME` and `status`. Cluster `a` is a full node whose containerd pulls from a
 * registry on localhost:5000; the others are control planes, whose pods a hollow kubelet reports.
 *
 * The command line is no administrator here: it has the rights that `slipway rights` prints, no more, and reaches each
 * API server over a way that can be cut. A cluster that was up before is left up.
 */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exec, seededRandom, systemClock, until } from "@slipway/base";
import type { Behaviours } from "@slipway/cluster";
import { type AnyObject, isReason, type KubeClient } from "@slipway/kube";
import { parse } from "yaml";
import { openContext } from "../packages/slipway/src/clusters/context.ts";
import { readKubeconfig } from "../packages/slipway/src/clusters/kubeconfig.ts";
import { makeAccount } from "../packages/slipway/src/clusters/testing.ts";
import { type CuttableWay, cuttableWay } from "./cuttable-way.ts";
import { startHollowKubelet } from "./hollow-kubelet.ts";
import { type Ground, type Place, type Pods, placeOn } from "./place.ts";
import type { Project } from "./testing.ts";

const CITIES = ["tokyo", "osaka", "kyoto"];

interface RealCluster {
  readonly name: string;
  readonly pods: Pods;
  readonly kubeconfig: KubeconfigFile;
  readonly admin: KubeClient;
  readonly way: CuttableWay;
  readonly wasUp: boolean;
}

interface KubeconfigFile {
  readonly clusters: readonly { readonly cluster: { readonly server: string } & Record<string, string> }[];
  readonly contexts: readonly { readonly name: string }[];
}

/** `names` are the program's: which clusters to use, in the order of the waves. */
export function realPlace(program: string, names: readonly string[] = ["a", "b", "c"]): Promise<Place> {
  return placeOn((project) => realGround(program, names, project));
}

async function realGround(program: string, names: readonly string[], project: Project): Promise<Ground> {
  const cleanups: (() => Promise<unknown>)[] = [];
  const remove = async (): Promise<void> => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  };
  const folder = await mkdtemp(join(tmpdir(), "slipway-real-"));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  const clusters: RealCluster[] = [];
  try {
    for (const [index, name] of names.entries())
      clusters.push(await up(program, name, CITIES[index] as string, cleanups));
  } catch (error) {
    await remove();
    throw error;
  }
  const broken: Behaviours[number][] = [];
  let service = "";
  const kubeconfigOf = (who: string): string => join(folder, `${service}-${who}`);
  const find = (wanted: string): RealCluster => {
    const found = clusters.find(({ name }) => name === wanted);
    assert.ok(found, `no cluster ${wanted}`);
    return found;
  };
  return {
    title: `real Kubernetes (${clusters.map(({ name, pods }) => `${name}: ${pods} pods`).join(", ")})`,
    environment: "real",
    registryPort: names.includes("a") ? 5000 : 0,
    clusters: Object.fromEntries(clusters.map(({ name }) => [name, `context("${name}")`])),
    settings: { environment: 'allowHostBases: ["slipway/node"],', top: "" },
    async enter(entered, itsName) {
      service = itsName;
      for (const { admin, pods, wasUp } of clusters) {
        await admin.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: service } });
        const namespace = service;
        if (pods === "hollow") {
          const kubelet = await startHollowKubelet({
            client: admin,
            namespaces: [service],
            behaviours: broken,
          });
          cleanups.push(() => kubelet.stop());
        }
        if (wasUp) cleanups.push(() => deleteNamespace(admin, namespace));
      }
      for (const purpose of ["deploy", "rollback"]) {
        const printed = await entered.ok(
          ...["rights", purpose, "--env", "real", "--json"],
          ...["--service-account", `${service}/${purpose}`],
        );
        const { items } = JSON.parse(printed.stdout) as { items: readonly AnyObject[] };
        const tokens = new Map<string, string>();
        for (const { name, admin } of clusters) {
          const account = await makeAccount(admin, { namespace: service, name: purpose, rights: items });
          cleanups.push(() => account.remove());
          tokens.set(name, account.token);
        }
        await writeFile(kubeconfigOf(purpose), kubeconfigWith(clusters, tokens), { mode: 0o600 });
      }
      project.env["KUBECONFIG"] = kubeconfigOf("deploy");
    },
    async look(name) {
      const { pods, admin } = find(name);
      return { name, pods, client: admin };
    },
    kubeconfig: async () => kubeconfigOf("rollback"),
    lose: async (name) => find(name).way.cut(),
    bringBack: async (name) => find(name).way.mend(),
    breaks: (tag) => broken.push({ image: `*:${tag}@*`, behaviour: { exitAfterMs: 100, exitCode: 1 } }),
    remove,
  };
}

async function up(
  program: string,
  which: string,
  name: string,
  cleanups: (() => Promise<unknown>)[],
): Promise<RealCluster> {
  const status = await exec([program, "status"]);
  const wasUp = new RegExp(`^${which} kube-apiserver running$`, "m").test(status.stdout);
  const started = await exec([program, "up", which, ...(which === "a" ? [] : ["--control-plane-only"])]);
  if (!wasUp) cleanups.push(() => exec([program, "down", which]));
  assert.equal(started.exitCode, 0, started.stdout + started.stderr);
  const path = started.stdout.trim().split("\n").at(-1) as string;
  const kubeconfig = parse(await readFile(path, "utf8")) as KubeconfigFile;
  const options = { env: {}, clock: systemClock, random: seededRandom(1), isTerminal: false };
  const context = kubeconfig.contexts[0]?.name ?? "";
  const { client } = await openContext(name, context, readKubeconfig({ KUBECONFIG: path }), options);
  cleanups.push(() => client.close());
  const server = new URL(kubeconfig.clusters[0]?.cluster.server ?? "");
  const way = await cuttableWay(server.hostname, Number(server.port));
  cleanups.push(() => way.close());
  return { name, pods: which === "a" ? "real" : "hollow", kubeconfig, admin: client, way, wasUp };
}

/** All clusters in one file, each over the way that can be cut. */
function kubeconfigWith(clusters: readonly RealCluster[], tokens: ReadonlyMap<string, string>): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: clusters.map(({ name, kubeconfig, way }) => ({
      name,
      cluster: { ...kubeconfig.clusters[0]?.cluster, server: `https://127.0.0.1:${way.port}` },
    })),
    users: clusters.map(({ name }) => ({ name, user: { token: tokens.get(name) } })),
    contexts: clusters.map(({ name }) => ({ name, context: { cluster: name, user: name } })),
  });
}

/** Waits for its end: pods on a hollow node go only while somebody minds them. */
async function deleteNamespace(admin: KubeClient, name: string): Promise<void> {
  const ref = { apiVersion: "v1", kind: "Namespace", name };
  await admin.delete(ref);
  await until(
    `namespace ${name} to be gone`,
    () =>
      admin.get(ref).then(
        () => undefined,
        (error: unknown) => isReason(error, "NotFound") || undefined,
      ),
    { timeoutMs: 120_000 },
  );
}
