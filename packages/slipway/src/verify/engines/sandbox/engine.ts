/**
 * The sandbox as an engine: containers in namespaces of this machine, without a daemon. Every project has a node agent
 * of its own, and with it a network that exists nowhere else; all of it goes when the agent does, and the agent goes with
 * the process that made it.
 */
import type { Clock } from "@slipway/base";
import { probeSandbox } from "@slipway/cluster/sandbox";
import type { Engine, ProjectSpec } from "../engine.ts";
import { type RunAgent, startAgent } from "./agent.ts";
import { SandboxProject } from "./project.ts";
import { type Swept, sweepRuns } from "./runs.ts";

export interface SandboxEngineOptions {
  /** Where runs keep what must be found after a crash; one for each user of a machine, or for each project folder. */
  readonly stateDirectory: string;
  /** Unpacked layers; kept, and shared with the local clusters. */
  readonly layersDirectory: string;
  readonly clock: Clock;
}

export interface SandboxEngine extends Engine {
  /** Begins what the next project needs anyway, while its images are still being built. */
  prepare(): void;
  createProject(spec: ProjectSpec): Promise<SandboxProject>;
}

export function createSandboxEngine(options: SandboxEngineOptions): SandboxEngine {
  const projects = new Set<SandboxProject>();
  let prepared: Promise<RunAgent> | undefined;
  const prepare = (): void => {
    if (prepared !== undefined) return;
    prepared = startAgent(options);
    prepared.catch(() => {}); // told to who creates the project
  };
  return {
    name: "sandbox",
    description: `the sandbox of this machine (${process.getuid?.() === 0 ? "root" : "an ordinary user"})`,
    prepare,
    async createProject(spec) {
      const starting = prepared ?? startAgent(options);
      prepared = undefined;
      const project = await SandboxProject.create(spec, await starting, options.clock);
      projects.add(project);
      return project;
    },
    sweep: (): Promise<Swept> => sweepRuns(options.stateDirectory, options.clock),
    async close() {
      const unused = await prepared?.catch(() => undefined);
      prepared = undefined;
      await Promise.all([unused, ...projects].map((one) => one?.remove()));
    },
  };
}

/** Undefined when the sandbox works here; else what this system refuses, and what would allow it. */
export async function sandboxRefusal(): Promise<Error | undefined> {
  const probe = await probeSandbox();
  return probe.ok ? undefined : probe.error;
}
