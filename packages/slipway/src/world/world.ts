/**
 * The world: one background process that holds every local cluster, the registry and the edge. Started by
 * `slipway local up` (see `process.ts`), asked through `control.ts`, stopped by `slipway local down`.
 */
import { statSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { newSecret, startTicksOf, systemClock, systemRandom, writeAtomic } from "@slipway/base";
import type { EdgeConfig } from "../config/types.ts";
import { type Edge, startEdge } from "../edge/edge.ts";
import { type EndpointSource, kubeEndpoints } from "../edge/endpoints.ts";
import { createRegistryClient } from "../images/registry/client.ts";
import { dockerCredentials } from "../images/registry/credentials.ts";
import { startRegistry } from "../images/registry/registry.ts";
import { createImageSource } from "../images/source.ts";
import type { MetricsServer } from "../observe/prometheus/serve.ts";
import { type CompanionSpec, createCompanion } from "./companion.ts";
import { serveControl } from "./control.ts";
import { mergeKubeconfigs } from "./kubeconfig.ts";
import { startLocalClusters } from "./local-clusters.ts";
import { createObserving } from "./observing.ts";
import { registryOptionsOf } from "./registry-options.ts";
import { createRemembering } from "./remembering.ts";
import { RotatedFile } from "./rotated-file.ts";
import {
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
const REFRESH_MS = 5000;

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

  const clusters = await startLocalClusters({
    names: spec.clusters,
    ports,
    optionsOf: (name, port) => ({
      name,
      directory: paths.cluster(name),
      layersDirectory: paths.layers,
      port,
      runtime: "auto",
      images,
      egress: spec.egress,
    }),
    log,
  }).catch(async (error: unknown) => {
    await registry.close();
    throw error;
  });

  /** Undefined until all has been written once. */
  let folder: string | undefined;
  let edge: Edge | undefined;
  let sources: readonly EndpointSource[] = [];
  let edgeConfig: EdgeConfig | undefined;
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
      lose: async (body) => {
        if (await clusters.lose((body as { cluster: string }).cluster)) await remember();
      },
      restore: async (body) => {
        const { cluster } = body as { cluster: string };
        // Its pods have the addresses that they had, and answer before they are ready.
        const forget = (): Promise<void> => refreshEndpoints(cluster);
        if (await clusters.restore(cluster, forget)) await remember();
      },
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
  const remembering = createRemembering(writeDown);
  await remember();
  folder = folderOf(paths.root);
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
        clusters.all.map(({ name, isLost, cluster }) => ({
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
    while ((await isNamedOnDisk()) && folderOf(paths.root) === folder) {
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
      clusters: clusters.states(),
      observer: observing.state(),
    };
  }

  function remember(): Promise<void> {
    return remembering.remember();
  }

  /** What was deleted is not written again: the world would live on by that, with nothing of what it had stored. */
  async function writeDown(): Promise<void> {
    if (folder !== undefined && !(await isNamedOnDisk())) return;
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
    sources = clusters.all.map(({ name, client }) => kubeEndpoints(name, client, systemClock, reportProblem));
    const port = before?.port ?? (config.port === 0 ? (ports["edge"] ?? 0) : config.port);
    const open = (onPort: number): Promise<Edge> =>
      startEdge({
        config: { ...config, port: onPort },
        sources,
        dial: (backend, timeoutMs) => clusters.dial(backend, timeoutMs),
        clock: systemClock,
        random,
        accessLog: (lines) => accessLog.write(lines),
        releaseOf: (backend) => clusters.releaseOf(backend),
        replicaSetOf: (backend) => clusters.replicaSetOf(backend),
        onProblem: reportProblem,
      });
    // A free port was asked for: last time's is only a wish.
    edge = config.port === 0 ? await open(port).catch(() => open(0)) : await open(port);
  }

  /** At most so long: the edge goes on with what it knows when a cluster that is back does not answer. */
  async function refreshEndpoints(cluster: string): Promise<void> {
    const timer = new AbortController();
    const late = systemClock.sleep(REFRESH_MS, timer.signal).catch(() => {});
    const refreshed = sources
      .filter((source) => source.cluster === cluster)
      .map((source) => source.refresh());
    await Promise.race([Promise.all(refreshed), late]);
    timer.abort();
  }

  function reportProblem(error: unknown): void {
    log(`edge: ${error instanceof Error ? error.message : String(error)}`);
  }

  async function stop(): Promise<void> {
    stopping.abort();
    control.close();
    metrics?.close();
    await edge?.close().catch(reportProblem);
    await clusters.stop();
    await registry.close();
    await accessLog.end();
    await observing.stop(); // last: it reads what the others wrote last
    await remembering.end();
    if (await isNamedOnDisk()) await removeWorld(paths);
    ended.resolve();
  }
}

/** Which folder it is: another one may have its number. Undefined when it is gone. */
function folderOf(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? undefined : `${stat.ino} ${stat.birthtimeMs}`;
}
