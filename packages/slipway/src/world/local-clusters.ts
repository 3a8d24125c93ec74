/** The clusters of the world: started together, lost and brought back on purpose, reached by the edge. */
import type { Duplex } from "node:stream";
import { SlipwayError, startTicksOf } from "@slipway/base";
import { type Cluster, type ClusterOptions, startCluster } from "@slipway/cluster";
import { createHttpClient, type KubeClient, type Pod } from "@slipway/kube";
import type { Backend } from "../edge/load-balancer/balancer.ts";
import type { ClusterState } from "./state.ts";

export interface LocalCluster {
  readonly name: string;
  cluster: Cluster;
  client: KubeClient;
  isLost: boolean;
}

export interface LocalClustersOptions {
  readonly names: readonly string[];
  /** Ports of last time; each is only a wish. */
  readonly ports: Readonly<Record<string, number>>;
  readonly optionsOf: (name: string, port: number) => ClusterOptions;
  readonly log: (line: string) => void;
}

/** Throws the first failure, after those that had started are stopped. */
export async function startLocalClusters(options: LocalClustersOptions): Promise<LocalClusters> {
  const { log, names, optionsOf, ports } = options;
  // In parallel: the agents' start is mostly waiting for the kernel.
  const started = await Promise.allSettled(
    names.map(async (name) => {
      const lastTime = ports[`cluster/${name}`] ?? 0;
      return startCluster(optionsOf(name, lastTime)).catch((error: unknown) => {
        if (lastTime === 0 || !isPortTaken(error)) throw error;
        log(`cluster ${name}: port ${lastTime} is taken now, taking another`);
        return startCluster(optionsOf(name, 0));
      });
    }),
  );
  const running = started.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const failure = started.find((result) => result.status === "rejected");
  if (failure !== undefined) {
    await Promise.all(running.map((cluster) => cluster.stop()));
    throw failure.reason;
  }
  return new LocalClusters(running, options);
}

export class LocalClusters {
  readonly #options: LocalClustersOptions;
  readonly #byName: ReadonlyMap<string, LocalCluster>;
  readonly #releases = new Map<string, string>();

  constructor(running: readonly Cluster[], options: LocalClustersOptions) {
    this.#options = options;
    this.#byName = new Map(
      running.map((cluster) => [
        cluster.name,
        { name: cluster.name, cluster, client: clientOf(cluster), isLost: false },
      ]),
    );
  }

  get all(): readonly LocalCluster[] {
    return [...this.#byName.values()];
  }

  #required(name: string): LocalCluster {
    const local = this.#byName.get(name);
    if (local !== undefined) return local;
    throw new SlipwayError({
      code: "WORLD_NO_CLUSTER",
      where: `clusters/${name}`,
      message: "the world has no such cluster",
      hint: `Known: ${[...this.#byName.keys()].join(", ")}.`,
    });
  }

  /** False when it was lost before. */
  async lose(name: string): Promise<boolean> {
    const local = this.#required(name);
    if (local.isLost) return false;
    local.isLost = true;
    this.#options.log(`cluster ${name}: lost on purpose`);
    await local.cluster.lose();
    return true;
  }

  /** False when it was not lost. `beforeReached`: while it runs, and nobody reaches its pods yet. */
  async restore(name: string, beforeReached: () => Promise<void>): Promise<boolean> {
    const local = this.#required(name);
    if (!local.isLost) return false;
    const port = Number(new URL(local.cluster.url).port);
    await local.cluster.stop();
    local.cluster = await startCluster(this.#options.optionsOf(name, port));
    await beforeReached();
    local.isLost = false;
    this.#options.log(`cluster ${name}: back`);
    return true;
  }

  states(): readonly ClusterState[] {
    return this.all.map(({ name, cluster, isLost }) => ({
      name,
      url: cluster.url,
      token: cluster.token,
      ca: cluster.ca,
      runtime: cluster.runtime,
      agentPid: cluster.agentPid,
      agentStartTicks: cluster.agentPid === undefined ? undefined : startTicksOf(cluster.agentPid),
      lost: isLost,
    }));
  }

  dial(backend: Backend, timeoutMs: number): Promise<Duplex> {
    const local = this.#byName.get(backend.cluster);
    if (local === undefined || local.isLost)
      return Promise.reject(
        Object.assign(new Error(`cluster ${backend.cluster} is lost`), { code: "ECONNREFUSED" }),
      );
    return local.cluster.dial(backend.ip, backend.port, { timeoutMs });
  }

  /** The tag of the image that a pod runs: the commit. Read once for each pod, because every log line asks. */
  releaseOf(backend: Backend): string {
    const key = `${backend.cluster}/${backend.pod}`;
    const known = this.#releases.get(key);
    if (known !== undefined) return known;
    const image = this.#podOf(backend)?.spec.containers[0]?.image ?? "";
    const release = /:([\w.-]+)(?:@|$)/.exec(image.slice(image.lastIndexOf("/")))?.[1] ?? "";
    if (this.#releases.size > 1000) this.#releases.clear(); // pods come and go; the world stays
    this.#releases.set(key, release);
    return release;
  }

  replicaSetOf(backend: Backend): string {
    const owners = this.#podOf(backend)?.metadata.ownerReferences;
    return owners?.find(({ kind }) => kind === "ReplicaSet")?.name ?? "";
  }

  #podOf(backend: Backend): Pod | undefined {
    const pods = this.#byName.get(backend.cluster)?.cluster.store.list("Pod") ?? [];
    return pods.find(({ metadata }) => metadata.name === backend.pod);
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.all.map(async ({ cluster, client }) => {
        await client.close();
        await cluster.stop();
      }),
    );
  }
}

function isPortTaken(error: unknown): boolean {
  return error instanceof SlipwayError && error.code === "CLUSTER_PORT_TAKEN";
}

/** The edge sees a cluster as any client does, over HTTPS, so that a lost API server is lost for it too. */
function clientOf(cluster: Cluster): KubeClient {
  return createHttpClient({ name: cluster.name, url: cluster.url, token: cluster.token, ca: cluster.ca });
}
