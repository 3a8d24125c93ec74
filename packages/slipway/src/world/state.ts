/**
 * What is on disk of a project's local world, all below `.slipway/` beside the configuration:
 *
 *   world.json        the running world: process, ports, token (mode 0600); gone after `local down`
 *   ports.json        the ports of last time, so that kubeconfigs and image references stay valid
 *   world.log         what the world printed
 *   kubeconfig        all local clusters, for kubectl
 *   clusters/NAME/    objects (journal), certificates, pod logs
 *   layers/           unpacked image layers, shared by the clusters
 *   images/           the registry: an OCI image layout
 *   buckets/NAME/     static files the edge serves
 *   metrics/          token and ports of /metrics
 *   observe/          the warehouse: requests and logs, in DuckDB
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { readTextIfExists, startTicksOf, writeAtomic } from "@slipway/base";
import type { LocalRegistryConfig } from "../config/local-registry.ts";
import type { EdgeConfig } from "../config/types.ts";
import type { CompanionSpec, CompanionState } from "./companion.ts";

export interface WorldPaths {
  readonly root: string;
  readonly world: string;
  readonly ports: string;
  readonly log: string;
  readonly accessLog: string;
  readonly kubeconfig: string;
  readonly images: string;
  readonly layers: string;
  readonly observe: string;
  readonly metrics: string;
  cluster(name: string): string;
  bucket(name: string): string;
}

export function worldPaths(projectRoot: string): WorldPaths {
  const root = join(projectRoot, ".slipway");
  return {
    root,
    world: join(root, "world.json"),
    ports: join(root, "ports.json"),
    log: join(root, "world.log"),
    accessLog: join(root, "access.log"),
    kubeconfig: join(root, "kubeconfig"),
    images: join(root, "images"),
    layers: join(root, "layers"),
    observe: join(root, "observe"),
    metrics: join(root, "metrics"),
    cluster: (name) => join(root, "clusters", name),
    bucket: (name) => join(root, "buckets", name),
  };
}

export interface ClusterState {
  readonly name: string;
  readonly url: string;
  readonly token: string;
  readonly ca: string;
  readonly runtime: string;
  readonly agentPid: number | undefined;
  readonly agentStartTicks: string | undefined;
  readonly lost: boolean;
}

/** Contents of world.json, and the answer of the world's own status call. */
export interface WorldState {
  readonly pid: number;
  /** Start time of that process in clock ticks since boot (`/proc/PID/stat`), which tells a reused number. */
  readonly startTicks: string;
  readonly control: { readonly url: string; readonly token: string };
  /** `127.0.0.1:PORT` */
  readonly registry: string;
  readonly edge: string | undefined;
  /** Where Prometheus reads of the world itself; the token is in `.slipway/metrics/token`. */
  readonly metrics?: string | undefined;
  readonly clusters: readonly ClusterState[];
  /** Undefined with `observe: false`. */
  readonly observer?: CompanionState | undefined;
}

/** What a world is started with; the CLI has read the configuration, the world never does. */
export interface WorldSpec {
  readonly projectRoot: string;
  readonly clusters: readonly string[];
  readonly egress: Readonly<Record<string, string>>;
  readonly edge: EdgeConfig | undefined;
  readonly registry: LocalRegistryConfig;
  /** What watches it; undefined with `observe: false`. */
  readonly observer?: CompanionSpec | undefined;
}

export type WorldPresence =
  | { readonly kind: "running"; readonly state: WorldState }
  /** world.json names a process that is gone: the world was killed. */
  | { readonly kind: "died"; readonly state: WorldState }
  | { readonly kind: "absent" };

export async function findWorld(paths: WorldPaths): Promise<WorldPresence> {
  const text = await readTextIfExists(paths.world);
  if (text === undefined) return { kind: "absent" };
  const state = JSON.parse(text) as WorldState;
  return { kind: startTicksOf(state.pid) === state.startTicks ? "running" : "died", state };
}

export async function writeWorld(paths: WorldPaths, state: WorldState): Promise<void> {
  await writeAtomic(paths.world, `${JSON.stringify(state, undefined, 2)}\n`, 0o600);
}

export async function removeWorld(paths: WorldPaths): Promise<void> {
  await rm(paths.world, { force: true });
}

export type Ports = Readonly<Record<string, number>>;

export async function readPorts(paths: WorldPaths): Promise<Ports> {
  const text = await readTextIfExists(paths.ports);
  return text === undefined ? {} : (JSON.parse(text) as Ports);
}
