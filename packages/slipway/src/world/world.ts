/**
 * The world: one background process that holds every local cluster, the registry and the edge. Started by
 * `slipway local up` (see `process.ts`), asked through `control.ts`, stopped by `slipway local down`.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { newSecret, SlipwayError, startTicksOf, systemClock, systemRandom, writeAtomic } from "@slipway/base";
import { type Cluster, type ClusterOptions, startCluster } from "@slipway/cluster";
import { createHttpClient, type KubeClient } from "@slipway/kube";
import { stringify } from "yaml";
import type { EdgeConfig } from "../config/types.ts";
import { type Edge, startEdge } from "../edge/edge.ts";
import { kubeEndpoints } from "../edge/endpoints.ts";
import type { Backend } from "../edge/load-balancer/balancer.ts";
import { createRegistryClient } from "../images/registry/client.ts";
import { dockerCredentials } from "../images/registry/credentials.ts";
import { startRegistry } from "../images/registry/registry.ts";
import { createImageSource } from "../images/source.ts";
import type { MetricsServer } from "../observe/prometheus/serve.ts";
import { type CompanionSpec, createCompanion } from "./companion.ts";
import { serveControl } from "./control.ts";
import { createObserving } from "./observing.ts";
import { registryOptionsOf } from "./registry-options.ts";
import { RotatedFile } from "./rotated-file.ts";
import { fetchService, type ServiceRequest } from "./service-fetch.ts";
import {
  type ClusterState,
  findWorld,
  type Ports,
  readPorts,
  removeWorld,
  type WorldSpec,
  type WorldState,
  worldPaths,
  writeWorld,
} from "./state.ts";

export interface World {
  readonly state: WorldState;
  /** Resolves when the world has been asked to stop and has stopped. */
  readonly ended: Promise<void>;
  /** Starts what watches it, if anything does. Apart, because nobody waits for it. */
  observe(): void;
  stop(): Promise<void>;
}

const LOOK_EVERY_MS = 2000;

interface LocalCluster {
  readonly name: string;
  cluster: Cluster;
  client: KubeClient;
  isLost: boolean;
}

export async function startWorld(spec: WorldSpec, log: (line: string) => void): Promise<World> {
  const paths = worldPaths(spec.projectRoot);
  await mkdir(paths.root, { recursive: true });
  await writeAtomic(join(paths.root, ".gitignore"), "*\n"); // state of this machine is not the project's
  const ports = await readPorts(paths);
  const random = systemRandom();
  const wantedPort = ports["registry"] ?? 0;
  const remote = createRegistryClient({ credentials: dockerCredentials(process.env) });
  const registryOptions = registryOptionsOf(spec.registry, paths.images, remote, process.env);
  const registry = await startRegistry({ ...registryOptions, port: wantedPort }).catch((error: unknown) => {
    if (wantedPort === 0) throw error;
    return startRegistry({ ...registryOptions, port: 0 }); // last time's port is only a wish
  });
  const images = createImageSource({
    layout: registry.layout,
    // Releases of before name the registry with the port it had then.
    own: [
      registry.host,
      ...Object.entries(ports).flatMap(([name, port]) =>
        name.startsWith("registry") ? [`127.0.0.1:${port}`] : [],
      ),
    ],
    remote,
    mirrors: spec.registry.upstreams,
  });
  const ended = Promise.withResolvers<void>();
  const stopping = new AbortController();
  const accessLog = new RotatedFile(paths.accessLog, { onProblem: reportProblem });

  const optionsOf = (name: string, port: number): ClusterOptions => ({
    name,
    directory: paths.cluster(name),
    layersDirectory: paths.layers,
    port,
    runtime: "auto",
    images,
    egress: spec.egress,
  });
  // In parallel: the agents' start is mostly waiting for the kernel.
  const started = await Promise.allSettled(
    spec.clusters.map(async (name) => {
      const lastTime = ports[`cluster/${name}`] ?? 0;
      return startCluster(optionsOf(name, lastTime)).catch((error: unknown) => {
        if (lastTime === 0 || !isPortTaken(error)) throw error;
        log(`cluster ${name}: port ${lastTime} is taken now, taking another`);
        return startCluster(optionsOf(name, 0)); // last time's port is only a wish
      });
    }),
  );
  const failure = started.find((result) => result.status === "rejected");
  if (failure !== undefined) {
    await Promise.all(
      started.map((result) => (result.status === "fulfilled" ? result.value.stop() : undefined)),
    );
    await registry.close();
    throw failure.reason;
  }
  const clusters = new Map<string, LocalCluster>();
  for (const result of started) {
    if (result.status !== "fulfilled") continue;
    const cluster = result.value;
    clusters.set(cluster.name, { name: cluster.name, cluster, client: clientOf(cluster), isLost: false });
  }

  let edge: Edge | undefined;
  let edgeConfig: EdgeConfig | undefined;
  const releases = new Map<string, string>();
  await openEdge(spec.edge);

  const token = newSecret();
  const control = await serveControl(
    {
      status: async () => ({
        ...currentState(),
        edgeStatus: edge?.status() ?? null,
        observerFigures: (await observing.figures()) ?? null,
      }),
      edge: async (body) => {
        await openEdge((body as { config?: EdgeConfig }).config);
        await remember();
        return { url: edge?.url ?? null };
      },
      observe: async (body) => {
        const { observer } = body as { observer?: CompanionSpec | null };
        void observing.want(observer ?? undefined).catch(reportProblem);
      },
      fetch: async (body) => {
        const wanted = body as ServiceRequest;
        return fetchService(required(wanted.cluster ?? (spec.clusters[0] as string)).cluster, wanted);
      },
      lose: async (body) => loseCluster((body as { cluster: string }).cluster),
      restore: async (body) => restoreCluster((body as { cluster: string }).cluster),
      stop: async () => void queueMicrotask(() => void stop()),
    },
    token,
  );
  const observing = createObserving({
    spec: spec.observer,
    make: (companion) =>
      createCompanion({
        spec: companion,
        cwd: spec.projectRoot,
        clock: systemClock,
        log,
        world: currentState,
        onChange: () => void remember().catch(reportProblem),
      }),
    onChange: (isThere) => (isThere ? openMetrics() : closeMetrics()),
  });
  let metrics: MetricsServer | undefined;
  await remember();
  void watchProject();

  return { state: currentState(), ended: ended.promise, observe, stop };

  function observe(): void {
    void observing.start().catch(reportProblem);
  }

  async function openMetrics(): Promise<void> {
    try {
      metrics = await startMetrics();
    } catch (error) {
      return log(`no metrics: ${error instanceof Error ? error.message : String(error)}`);
    }
    if (stopping.signal.aborted) return metrics.close();
    await remember();
  }

  async function closeMetrics(): Promise<void> {
    metrics?.close();
    metrics = undefined;
    await remember();
  }

  /** Loaded when the world is up. */
  async function startMetrics(): Promise<MetricsServer> {
    const { exposition } = await import("../observe/prometheus/metrics.ts");
    const { processFamilies } = await import("../observe/prometheus/process.ts");
    const { serveMetrics } = await import("../observe/prometheus/serve.ts");
    const { worldFamilies } = await import("./metrics.ts");
    const families = worldFamilies({
      edge: () => edge?.status(),
      clusters: () =>
        [...clusters.values()].map(({ name, isLost, cluster }) => ({
          name,
          isLost,
          pods: isLost ? [] : cluster.store.list("Pod"),
        })),
      observer: observing.state,
      registryPort: () => registry.port,
    });
    return serveMetrics({
      folder: paths.metrics,
      name: "world",
      read: exposition([...families, ...processFamilies(process, systemClock.now())]),
      onProblem: (error) => log(`metrics: ${String(error)}`),
    });
  }

  /** Who deletes the project, or `.slipway` in it, means the world as well: nothing else could find and stop it. */
  async function watchProject(): Promise<void> {
    while (await isNamedOnDisk()) {
      await systemClock.sleep(LOOK_EVERY_MS, stopping.signal).catch(() => {});
      if (stopping.signal.aborted) return;
    }
    if (stopping.signal.aborted) return;
    log("what the world stores was deleted: stopping");
    await stop().catch(reportProblem); // files are missing by now
    ended.resolve();
  }

  /** Whether world.json is this world's; after a deletion it may be that of another. */
  async function isNamedOnDisk(): Promise<boolean> {
    const found = await findWorld(paths);
    return found.kind !== "absent" && found.state.pid === process.pid;
  }

  function currentState(): WorldState {
    return {
      pid: process.pid,
      startTicks: startTicksOf(process.pid) ?? "",
      control: { url: control.url, token },
      registry: registry.host,
      edge: edge?.url,
      metrics: metrics?.url,
      clusters: [...clusters.values()].map(
        ({ name, cluster, isLost }): ClusterState => ({
          name,
          url: cluster.url,
          token: cluster.token,
          ca: cluster.ca,
          runtime: cluster.runtime,
          agentPid: cluster.agentPid,
          agentStartTicks: cluster.agentPid === undefined ? undefined : startTicksOf(cluster.agentPid),
          lost: isLost,
        }),
      ),
      observer: observing.state(),
    };
  }

  async function remember(): Promise<void> {
    const state = currentState();
    const used: Record<string, number> = {
      registry: registry.port,
      [`registry/${registry.port}`]: registry.port,
    };
    for (const { name, url } of state.clusters) used[`cluster/${name}`] = Number(new URL(url).port);
    if (edge !== undefined) used["edge"] = edge.port;
    await writeAtomic(paths.ports, JSON.stringify({ ...ports, ...used } satisfies Ports));
    await writeAtomic(paths.kubeconfig, mergeKubeconfigs(state.clusters), 0o600);
    await writeWorld(paths, state);
  }

  async function openEdge(config: EdgeConfig | undefined): Promise<void> {
    if (JSON.stringify(config) === JSON.stringify(edgeConfig) && edge !== undefined) return;
    const before = edge;
    const isSamePort =
      config !== undefined && config.port === edgeConfig?.port && config.drainMs === edgeConfig.drainMs;
    edgeConfig = config;
    if (before !== undefined && config !== undefined && isSamePort) return before.update(config);
    if (before !== undefined) await before.close();
    edge = undefined;
    if (config === undefined) return;
    const port = before?.port ?? (config.port === 0 ? (ports["edge"] ?? 0) : config.port);
    const open = (onPort: number): Promise<Edge> =>
      startEdge({
        config: { ...config, port: onPort },
        sources: [...clusters.values()].map(({ name, client }) =>
          kubeEndpoints(name, client, systemClock, reportProblem),
        ),
        dial,
        clock: systemClock,
        random,
        accessLog: (lines) => accessLog.write(lines),
        releaseOf,
        replicaSetOf,
        onProblem: reportProblem,
      });
    // A free port was asked for: last time's is only a wish.
    edge = config.port === 0 ? await open(port).catch(() => open(0)) : await open(port);
  }

  function dial(backend: Backend, timeoutMs: number): Promise<Duplex> {
    const local = clusters.get(backend.cluster);
    if (local === undefined || local.isLost)
      return Promise.reject(
        Object.assign(new Error(`cluster ${backend.cluster} is lost`), { code: "ECONNREFUSED" }),
      );
    return local.cluster.dial(backend.ip, backend.port, { timeoutMs });
  }

  async function loseCluster(name: string): Promise<void> {
    const local = required(name);
    if (local.isLost) return;
    local.isLost = true;
    log(`cluster ${name}: lost on purpose`);
    await local.cluster.lose();
    await remember();
  }

  async function restoreCluster(name: string): Promise<void> {
    const local = required(name);
    if (!local.isLost) return;
    const port = Number(new URL(local.cluster.url).port);
    await local.cluster.stop();
    local.cluster = await startCluster(optionsOf(name, port));
    local.isLost = false;
    log(`cluster ${name}: back`);
    await remember();
  }

  function required(name: string): LocalCluster {
    const local = clusters.get(name);
    if (local !== undefined) return local;
    throw new SlipwayError({
      code: "WORLD_NO_CLUSTER",
      where: `clusters/${name}`,
      message: "the world has no such cluster",
      hint: `Known: ${[...clusters.keys()].join(", ")}.`,
    });
  }

  /** The tag of the image that a pod runs: the commit. Read once for each pod, because every log line asks. */
  function releaseOf(backend: Backend): string {
    const key = `${backend.cluster}/${backend.pod}`;
    const known = releases.get(key);
    if (known !== undefined) return known;
    const pods = clusters.get(backend.cluster)?.cluster.store.list("Pod") ?? [];
    const image = pods.find(({ metadata }) => metadata.name === backend.pod)?.spec.containers[0]?.image ?? "";
    const release = /:([\w.-]+)(?:@|$)/.exec(image.slice(image.lastIndexOf("/")))?.[1] ?? "";
    if (releases.size > 1000) releases.clear(); // pods come and go; the world stays
    releases.set(key, release);
    return release;
  }

  function replicaSetOf(backend: Backend): string {
    const pods = clusters.get(backend.cluster)?.cluster.store.list("Pod") ?? [];
    const pod = pods.find(({ metadata }) => metadata.name === backend.pod);
    return pod?.metadata.ownerReferences?.find(({ kind }) => kind === "ReplicaSet")?.name ?? "";
  }

  function reportProblem(error: unknown): void {
    log(`edge: ${error instanceof Error ? error.message : String(error)}`);
  }

  async function stop(): Promise<void> {
    stopping.abort();
    control.close();
    metrics?.close();
    await edge?.close().catch(reportProblem);
    await Promise.all(
      [...clusters.values()].map(async ({ cluster, client }) => {
        await client.close();
        await cluster.stop();
      }),
    );
    await registry.close();
    await accessLog.end();
    await observing.stop(); // last: it reads what the others wrote last
    if (await isNamedOnDisk()) await removeWorld(paths);
    ended.resolve();
  }
}

function isPortTaken(error: unknown): boolean {
  return error instanceof SlipwayError && error.code === "CLUSTER_PORT_TAKEN";
}

/** The edge sees a cluster as any client does, over HTTPS, so that a lost API server is lost for it too. */
function clientOf(cluster: Cluster): KubeClient {
  return createHttpClient({ name: cluster.name, url: cluster.url, token: cluster.token, ca: cluster.ca });
}

export function mergeKubeconfigs(
  clusters: readonly Pick<ClusterState, "name" | "url" | "token" | "ca">[],
): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: clusters.map(({ name, url, ca }) => ({
      name,
      cluster: { server: url, "certificate-authority-data": Buffer.from(ca).toString("base64") },
    })),
    users: clusters.map(({ name, token }) => ({ name, user: { token } })),
    contexts: clusters.map(({ name }) => ({ name, context: { cluster: name, user: name } })),
    "current-context": clusters[0]?.name ?? "",
  });
}
