/** Everything around the cases on a real cluster: the cluster itself, the registry, the webhook. */
import { readFileSync } from "node:fs";
import { dirname } from "node:path";
import { exec, SlipwayError, systemClock } from "@slipway/base";
import { createHttpClient, type KubeClient, type Node } from "@slipway/kube";
import { parse } from "yaml";
import { machineAt } from "./machine.ts";
import { startCaseRegistry } from "./registry.ts";
import { type Surroundings, until } from "./stage.ts";
import { startCaseWebhook } from "./webhook.ts";

export interface RealCluster extends Surroundings {
  readonly version: string;
  readonly kubeconfig: string;
  close(): Promise<void>;
}

/** Starts (or joins) cluster `a` with the program that SLIPWAY_REAL_KUBERNETES names; a joined one is left running. */
export async function openRealCluster(env: NodeJS.ProcessEnv): Promise<RealCluster> {
  const cluster = await openCluster(env, ["a"]);
  const closings = [cluster.close];
  // What has been started ends also when the rest of it cannot be.
  const close = async (): Promise<void> => {
    for (const closing of closings.splice(0).reverse()) await closing();
  };
  try {
    await cluster.machine.unthrottle();
    await nodeIsSteady(cluster);
    const registry = await startCaseRegistry();
    closings.push(() => registry.close());
    const webhook = await startCaseWebhook();
    closings.push(() => webhook.close());
    return { ...cluster, webhook, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Longer than the node lifecycle controller's period of 5 s, after which it taints a node for what its kubelet said. */
const STEADY_MS = 8_000;

/** A kubelet that has just begun again says for a moment that its node is not ready, and the taint comes seconds later. */
async function nodeIsSteady({ client, clock }: RealCluster): Promise<void> {
  let since = clock.monotonic();
  await until(clock, 60_000, "a node that stays without taints", async () => {
    const { items } = await client.list<Node>({ apiVersion: "v1", kind: "Node" });
    if (items.some(({ spec }) => (spec?.taints ?? []).length > 0)) since = clock.monotonic();
    return clock.monotonic() - since >= STEADY_MS;
  });
}

/**
 * A control plane without a node, for cases on hollow ones: what a real node says to the scheduler must not mix with
 * what they say. `c`, or SLIPWAY_HOLLOW_KUBERNETES.
 */
export async function openHollowCluster(env: NodeJS.ProcessEnv): Promise<RealCluster> {
  return openCluster(env, [env["SLIPWAY_HOLLOW_KUBERNETES"] ?? "c", "--control-plane-only"]);
}

async function openCluster(env: NodeJS.ProcessEnv, [name = "a", ...options]: string[]): Promise<RealCluster> {
  const program = env["SLIPWAY_REAL_KUBERNETES"];
  if (program === undefined) {
    throw new SlipwayError({
      code: "CORPUS_NO_CLUSTER",
      where: "SLIPWAY_REAL_KUBERNETES",
      message: "is not set: there is no real Kubernetes to record from",
      hint: "Set it to the program that starts one; corpus/README.md says what it must do.",
      exitCode: 3,
    });
  }
  const isUp = async (which: string): Promise<boolean> =>
    (await exec([program, "status"])).stdout.includes(`${which} kube-apiserver running`);
  const wasUp = await isUp(name);
  const up = await exec([program, "up", name, ...options]);
  if (up.exitCode !== 0) throw new Error(up.stderr);
  const kubeconfig = up.stdout.trim().split("\n").at(-1) as string;
  const client = clientOf(kubeconfig);
  return {
    client,
    clock: systemClock,
    webhook: undefined,
    machine: machineAt(dirname(kubeconfig), systemClock),
    hollow: undefined,
    version: (await client.version()).gitVersion,
    kubeconfig,
    close: async () => {
      await client.close();
      // The bridge of the pods goes with whichever cluster goes: while `a` runs, another one stays too.
      if (!wasUp && (name === "a" || !(await isUp("a")))) await exec([program, "down", name]);
    },
  };
}

interface KubeconfigFile {
  readonly clusters: readonly { readonly cluster: { readonly server: string } }[];
  readonly users: readonly { readonly user: { readonly token: string } }[];
}

/** The kubeconfig of such a cluster has one context, with a token. */
export function clientOf(kubeconfig: string): KubeClient {
  const { clusters, users } = parse(readFileSync(kubeconfig, "utf8")) as KubeconfigFile;
  const [cluster] = clusters;
  const [user] = users;
  if (cluster === undefined || user === undefined)
    throw new Error(`${kubeconfig}: names no cluster or no user`);
  return createHttpClient({
    name: "real",
    url: cluster.cluster.server,
    token: user.user.token,
    insecureSkipTlsVerify: true,
  });
}
