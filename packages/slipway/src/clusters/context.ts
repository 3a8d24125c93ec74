/**
 * A configured `context()` → a client of that cluster: what its kubeconfig says about the server, the way there and who
 * asks. Nothing is read from the network here; a program for credentials runs when the first request needs it.
 */
import type { Random } from "@slipway/base";
import { createHttpClient, type KubeClient } from "@slipway/kube";
import { socksAgent } from "./client-node.ts";
import { credentialsOf } from "./credentials.ts";
import type { PluginOptions } from "./exec-plugin.ts";
import { type ContextFacts, dataOrFile, findContext, type Kubeconfig } from "./kubeconfig.ts";
import { proxyFor } from "./proxy.ts";

export interface ContextOptions extends Omit<PluginOptions, "where"> {
  readonly random: Random;
}

export interface ContextCluster {
  readonly client: KubeClient;
  /** `https://34.84.1.2`: where the context leads, for people. */
  readonly server: string;
}

/** `name` is the cluster's name in the configuration. */
export async function openContext(
  name: string,
  contextName: string,
  kubeconfig: Kubeconfig,
  options: ContextOptions,
): Promise<ContextCluster> {
  const where = `clusters/${name}/context`;
  const facts = findContext(kubeconfig, contextName, where);
  const { cluster } = facts;
  const ca = dataOrFile(cluster, cluster["certificate-authority-data"], cluster["certificate-authority"]);
  const client = createHttpClient({
    name,
    url: cluster.server,
    credentials: credentialsOf(facts, { ...options, where }),
    clock: options.clock,
    random: options.random,
    ...(ca === undefined ? {} : { ca }),
    ...(cluster["insecure-skip-tls-verify"] === true ? { insecureSkipTlsVerify: true } : {}),
    ...(cluster["tls-server-name"] ? { tlsServerName: cluster["tls-server-name"] } : {}),
    ...(await wayTo(facts, options.env)),
  });
  return { client, server: cluster.server };
}

/**
 * Stands in for a cluster whose context cannot be opened: every request fails with that error before anything is sent,
 * so that it is told like any other cluster that cannot be asked.
 */
export function unopened(name: string, error: unknown): KubeClient {
  const credentials = { current: () => Promise.reject(error), refused: async () => false };
  return createHttpClient({ name, url: "https://unopened.invalid", credentials });
}

async function wayTo(
  { cluster }: ContextFacts,
  env: NodeJS.ProcessEnv,
): Promise<{ readonly proxyUrl?: string; readonly agent?: Awaited<ReturnType<typeof socksAgent>> }> {
  const proxyUrl = proxyFor(cluster.server, cluster["proxy-url"], env);
  if (proxyUrl === undefined) return {};
  if (!proxyUrl.startsWith("socks")) return { proxyUrl };
  return { proxyUrl, agent: await socksAgent(cluster.server, proxyUrl) };
}
