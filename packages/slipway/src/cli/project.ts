/** The project a command works on: its configuration, its version, and its local world when it has one. */
import { SlipwayError } from "@slipway/base";
import { loadConfig } from "../config/load.ts";
import type { Resolved } from "../config/resolve.ts";
import type { Config } from "../config/types.ts";
import type { ImageVersion } from "../images/build.ts";
import { observerSpec } from "../observer/process.ts";
import { findWorld, type WorldPaths, type WorldSpec, type WorldState, worldPaths } from "../world/state.ts";
import { type CliContext, type CommandInput, isSet, textOption } from "./command.ts";
import {
  type GitHistory,
  gitHistory,
  type LastCommit,
  lastCommitOf,
  listed,
  readVersion,
  sourceOf,
  type Version,
} from "./git.ts";

export interface Project {
  readonly config: Config;
  readonly resolved: Resolved;
  readonly paths: WorldPaths;
}

export async function openProject(context: CliContext, input: CommandInput): Promise<Project> {
  const resolved = await loadConfig({
    cwd: context.cwd,
    file: textOption(input, "config"),
    environment: textOption(input, "env"),
    env: context.env,
  });
  return { config: resolved.config, resolved, paths: worldPaths(resolved.config.root) };
}

/** The version to ship; a dirty tree goes to local environments as `<commit>-dirty`, elsewhere only when allowed. */
export async function shippableVersion(
  context: CliContext,
  input: CommandInput,
  config: Config,
): Promise<Version> {
  const version = await readVersion(config.root, context.env);
  if (version.dirty && !config.isLocal && !isSet(input, "allowDirty")) {
    throw new SlipwayError({
      code: "GIT_DIRTY",
      where: config.root,
      message: whatIsDirty(version),
      hint: `Commit them, name what is only left over in .gitignore, or ship them all the same with --allow-dirty. (${config.environment} is not a local environment.)`,
      exitCode: 2,
    });
  }
  return version;
}

function whatIsDirty({ commit, changed }: Version): string {
  if (commit === undefined) return "is not committed to git";
  if (changed === undefined) return "git does not say whether all is committed (git status fails)";
  return `has changes that are not committed: ${listed(changed)}`;
}

/** What git says of what is to be built. */
export interface Sources {
  readonly version: Version;
  /** By image. */
  readonly versions: Readonly<Record<string, ImageVersion>>;
  /** Where they are, as an address for people. */
  readonly source: string | undefined;
  /** Images of which a shallow clone does not say how old they are. */
  readonly undated: readonly string[];
  readonly history: GitHistory;
}

/** As `shippableVersion`, with the rest that a build wants to know: asked in one go, git answers sooner. */
export async function shippableSources(
  context: CliContext,
  input: CommandInput,
  config: Config,
): Promise<Sources> {
  const history = gitHistory(config.root, context.env);
  const answers = Promise.all([
    shippableVersion(context, input, config),
    imageVersions(context, config),
    sourceOf(config.root, context.env),
  ]);
  // What dates COPY by wants to know of every context; a command of the build may yet make what git ignores.
  if (config.images.every(({ from }) => from.kind !== "command"))
    for (const { from } of config.images) if (from.kind === "context") history.ignored(from.context);
  const [version, commits, source] = await answers;
  const versions = Object.entries(commits).map(([name, { timeMs, commit }]): [string, ImageVersion] => [
    name,
    { commitTimeMs: timeMs, revision: commit },
  ]);
  return {
    version,
    versions: Object.fromEntries(versions),
    source,
    undated: Object.keys(commits).filter((name) => commits[name]?.isCutOff),
    history,
  };
}

/** An image is as old as the last commit that touched its context, so that other commits do not change its digest. */
async function imageVersions(context: CliContext, config: Config): Promise<Record<string, LastCommit>> {
  const entries = await Promise.all(
    config.images.map(async ({ name, from }) => {
      const paths =
        from.kind === "context" ? [from.context, from.dockerfile] : from.kind === "node" ? [from.folder] : [];
      const last = paths.length === 0 ? undefined : await lastCommitOf(config.root, paths, context.env);
      return last === undefined ? [] : [[name, last] as const];
    }),
  );
  return Object.fromEntries(entries.flat());
}

export function worldSpec(project: Project): WorldSpec {
  const { config } = project;
  if (!config.isLocal) {
    throw new SlipwayError({
      code: "WORLD_NOT_LOCAL",
      where: `environments/${config.environment}`,
      message: "has no local clusters",
      hint: "Choose an environment whose clusters are local() with --env.",
      exitCode: 2,
    });
  }
  return {
    projectRoot: config.root,
    clusters: config.clusters.map(({ name }) => name),
    egress: config.egress,
    edge: servedEdge(project),
    registry: config.localRegistry,
    observer: config.observe === undefined ? undefined : observerSpec(config),
  };
}

/** The running world, started first when there is none. `say` tells the person what is going on. */
export async function ensureWorld(
  project: Project,
  say: (line: string) => void,
  interrupt: AbortSignal,
): Promise<WorldState> {
  const spec = worldSpec(project);
  const presence = await findWorld(project.paths);
  if (presence.kind === "running") {
    const missing = spec.clusters.find(
      (name) => !presence.state.clusters.some((cluster) => cluster.name === name),
    );
    if (missing === undefined) {
      await tellObserver(presence.state, spec);
      return presence.state;
    }
    throw new SlipwayError({
      code: "WORLD_OUTDATED",
      where: `clusters/${missing}`,
      message: "is in the configuration but not in the running world",
      hint: "Run `slipway local down` and `slipway local up`; objects, history and images are kept.",
      exitCode: 3,
    });
  }
  say(
    presence.kind === "died"
      ? "the local world had died; starting it again with what it had stored"
      : "starting the local world",
  );
  const { launchWorld } = await import("../world/process.ts");
  return launchWorld(spec, interrupt);
}

/** A change of `observe` counts from now on, also from false to something and back. */
async function tellObserver(state: WorldState, { observer }: WorldSpec): Promise<void> {
  if (observer === undefined && state.observer === undefined) return;
  const { callWorld } = await import("../world/control.ts");
  // A world of an earlier Slipway does not know this call.
  await callWorld(state, "observe", { observer: observer ?? null }).catch(() => undefined);
}

/** The running world, or an error that says how to start one. */
export async function requireWorld(project: Project): Promise<WorldState> {
  const presence = await findWorld(project.paths);
  if (presence.kind === "running") return presence.state;
  throw new SlipwayError({
    code: presence.kind === "died" ? "WORLD_DIED" : "WORLD_ABSENT",
    where: "local world",
    message:
      presence.kind === "died"
        ? `process ${presence.state.pid} is gone; it was killed or the machine restarted`
        : "is not running",
    hint: "Start it with `slipway local up`; objects, history and images are kept.",
    exitCode: 3,
  });
}

/** The edge serves buckets from where `bucketStep` put them. */
export function servedEdge({ config, paths }: Project): Project["config"]["edge"] {
  if (config.edge === undefined) return undefined;
  return {
    ...config.edge,
    routes: config.edge.routes.map(({ path, target }) => ({
      path,
      target: target.kind === "bucket" ? { ...target, from: paths.bucket(target.name) } : target,
    })),
  };
}
