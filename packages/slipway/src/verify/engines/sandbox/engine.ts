/**
 * The sandbox as an engine: containers in namespaces of this machine, without a daemon. Every project has a node agent
 * of its own, and with it a network that exists nowhere else; all of it goes when the agent does, and the agent goes with
 * the process that made it.
 */
import type { Clock } from "@slipway/base";
import { probeSandbox } from "@slipway/cluster/sandbox";
import type { Engine, ProjectSpec } from "../engine.ts";
import { SandboxProject } from "./project.ts";
import { openRun, type Swept, sweepRuns } from "./runs.ts";

export interface SandboxEngineOptions {
  /** Where runs keep what must be found after a crash; one for each user of a machine, or for each project folder. */
  readonly stateDirectory: string;
  /** Unpacked layers; kept, and shared with the local clusters. */
  readonly layersDirectory: string;
  readonly clock: Clock;
}

export interface SandboxEngine extends Engine {
  createProject(spec: ProjectSpec): Promise<SandboxProject>;
}

export function createSandboxEngine(options: SandboxEngineOptions): SandboxEngine {
  const projects = new Set<SandboxProject>();
  return {
    name: "sandbox",
    description: `the sandbox of this machine (${process.getuid?.() === 0 ? "root" : "an ordinary user"})`,
    async createProject(spec) {
      const { stateDirectory, layersDirectory, clock } = options;
      const directory = await openRun(stateDirectory, spec.services.length);
      const project = await SandboxProject.create(spec, { directory, layersDirectory, clock });
      projects.add(project);
      return project;
    },
    sweep: (): Promise<Swept> => sweepRuns(options.stateDirectory, options.clock),
    async close() {
      await Promise.all([...projects].map((project) => project.remove()));
    },
  };
}

/** Undefined when the sandbox works here; else what this system refuses, and what would allow it. */
export async function sandboxRefusal(): Promise<Error | undefined> {
  const probe = await probeSandbox();
  return probe.ok ? undefined : probe.error;
}
