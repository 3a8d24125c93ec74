/**
 * The one place that constructs adapters and plugs them into the parts that declare the ports. (The commands
 * `slipway compose …` are in the folder of that name.)
 */
import { isProcessAlive, shellLine, thisProcess } from "@slipway/base";
import type { Kubeconfig } from "../clusters/kubeconfig.ts";
import type { Config } from "../config/types.ts";
import { whoAmI } from "../config/who-am-i.ts";
import { ImageLayout } from "../images/layout.ts";
import { createRegistryClient, type RegistryClient } from "../images/registry/client.ts";
import { dockerCredentials, type FindCredentials } from "../images/registry/credentials.ts";
import { imageCheck } from "../images/registry/image-check.ts";
import type { ReleaseContext, Target } from "../release/model.ts";
import type { ImageBuild } from "../verify/compose/images.ts";
import type { LoadedProject } from "../verify/compose/load.ts";
import type { SandboxEngine } from "../verify/engines/sandbox/engine.ts";
import { findWorld, type WorldState } from "../world/state.ts";
import type { CliContext } from "./command.ts";
import { gatePortsOf } from "./gate-ports.ts";
import { lastCommitOf } from "./git.ts";
import { type Project, requireWorld } from "./project.ts";

/**
 * Clients of the environment's clusters; the local ones are found in the running world. A context that cannot be opened
 * is a cluster that cannot be asked; throws when that is true of all, because then nothing can be done.
 */
export async function targetsOf(
  context: CliContext,
  project: Project,
  world?: WorldState,
): Promise<readonly Target[]> {
  // Commands that ask no cluster, like `build`, start without them.
  const [{ createHttpClient }, { openContext, unopened }, { readKubeconfig }] = await Promise.all([
    import("@slipway/kube"),
    import("../clusters/context.ts"),
    import("../clusters/kubeconfig.ts"),
  ]);
  const { config } = project;
  const state = config.isLocal ? (world ?? (await requireWorld(project))) : undefined;
  const kubeconfig = config.isLocal ? undefined : readKubeconfig(context.env);
  const problems: unknown[] = [];
  const targets = await Promise.all(
    config.clusters.map(async (cluster): Promise<Target> => {
      const { name } = cluster;
      if (cluster.kind === "context") {
        const where = `${project.resolved.file}/environments/${config.environment}/clusters/${name}`;
        const written = { where, context: cluster.context, pin: cluster.uid };
        const opening = openContext(name, cluster.context, kubeconfig as Kubeconfig, context);
        try {
          const { client, server } = await opening;
          return { name, client, place: `context ${cluster.context} at ${server}`, written };
        } catch (error) {
          problems.push(error);
          return { name, client: unopened(name, error), place: `context ${cluster.context}`, written };
        }
      }
      const local = state?.clusters.find((one) => one.name === name);
      if (local === undefined) throw new Error(`cluster ${name} is not in the world`);
      const { url, token, ca } = local;
      return { name, client: createHttpClient({ name, url, token, ca }) };
    }),
  );
  if (problems.length > 0 && problems.length === targets.length) throw problems[0];
  return targets;
}

export function releaseContextOf(
  context: CliContext,
  project: Project,
  targets: readonly Target[],
  registry?: RegistryClient,
): ReleaseContext {
  const { config } = project;
  return {
    service: config.name,
    namespace: config.namespace,
    environment: config.environment,
    targets,
    clock: context.clock,
    random: context.random,
    who: whoAmI(context.env),
    from:
      context.env["CI"] === undefined
        ? "cli"
        : (context.env["CI_BUILD_LINK"] ?? context.env["DRONE_BUILD_LINK"] ?? "ci"),
    ...thisProcess(),
    release: config.release,
    unreachableAfterMs: config.release.unreachableAfterMs,
    images: registry === undefined ? undefined : imageCheck(registry),
    preflight: config.preflight,
    gates: gatePortsOf(context, project, targets),
    isHolderAlive: (holder) => isProcessAlive(holder),
    kubectl: (cluster) => kubectlFor(project, cluster),
  };
}

/** `kubectl` pinned to one cluster, as a line to paste. */
export function kubectlFor({ config, paths }: Project, cluster: string): string {
  const found = config.clusters.find(({ name }) => name === cluster);
  return shellLine(
    found?.kind === "context"
      ? ["kubectl", "--context", found.context]
      : ["kubectl", "--kubeconfig", paths.kubeconfig, "--context", cluster],
  );
}

/** The sandbox as an engine, for projects below these folders. */
export async function sandboxEngineOf(
  context: CliContext,
  paths: { readonly runs: string; readonly layers: string },
): Promise<SandboxEngine> {
  const { createSandboxEngine } = await import("../verify/engines/sandbox/engine.ts"); // few commands need it
  return createSandboxEngine({
    stateDirectory: paths.runs,
    layersDirectory: paths.layers,
    clock: context.clock,
  });
}

/**
 * What the images of a Compose project are built with; they are as old as the last commit of the project's folder. `bases`: of
 * the environment.
 */
export async function composeBuildOf(
  context: CliContext,
  { directory }: LoadedProject,
  layoutDirectory: string,
  bases: Config["bases"],
): Promise<ImageBuild> {
  const commit = await lastCommitOf(directory, [directory], context.env);
  return {
    layout: await ImageLayout.open(layoutDirectory, { clock: context.clock }),
    registry: createRegistryClient({
      clock: context.clock,
      random: context.random,
      credentials: dockerCredentials(context.env),
    }),
    root: directory,
    commitTimeMs: commit?.timeMs ?? 0,
    revision: commit?.commit,
    isLocal: true,
    allowHostBases: [],
    bases,
    signal: context.signal,
  };
}

/** `signal`: of whoever may stop at once. A release goes on asking, to bring clusters back. */
export function registryClientOf(
  context: CliContext,
  project: Project,
  signal?: AbortSignal,
): RegistryClient {
  return createRegistryClient({
    signal,
    clock: context.clock,
    random: context.random,
    credentials: credentialsOf(context, project),
  });
}

/** What docker login left, and for the registry of the local world the first user of the configuration who may push. */
function credentialsOf({ env }: CliContext, { config, paths }: Project): FindCredentials {
  const docker = dockerCredentials(env);
  const user = config.localRegistry.users.find(({ right }) => right === "write");
  const password = user === undefined ? undefined : env[user.passwordFrom];
  if (user === undefined || password === undefined) return docker;
  return async (registry) => {
    const world = await findWorld(paths);
    const isOurs = world.kind === "running" && world.state.registry === registry;
    return isOurs ? { kind: "basic", username: user.name, password } : docker(registry);
  };
}

/** Whether images go to the registry of the local world. A project without images needs none, wherever it is deployed. */
export const needsWorld = ({ registry, isLocal }: Config): boolean => registry === undefined && isLocal;

/** `host/prefix` that images of this project go to. */
export function registryPrefix(config: Config, world: WorldState | undefined): string {
  return config.registry ?? `${world?.registry}/${config.name}`;
}
