/**
 * A run's folder and its node agent, which may be started before it is known what they will run: starting takes as long
 * as everything else of a small project, and images are being built meanwhile.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "@slipway/base";
import { createSandboxRuntime, type ResolvedImage, type SandboxRuntime } from "@slipway/cluster/sandbox";
import { ImageLayout } from "../../../images/layout.ts";
import { openRun } from "./runs.ts";

export interface AgentOptions {
  readonly stateDirectory: string;
  readonly layersDirectory: string;
  readonly clock: Clock;
}

export interface RunAgent {
  readonly runtime: SandboxRuntime;
  /** What may be started, by the name that it is started by; filled by the project. */
  readonly images: Map<string, RunImage>;
  /** Ends everything and removes the folder. */
  remove(): Promise<void>;
}

export interface RunImage {
  readonly image: ResolvedImage;
  /** Folder of the OCI image layout that has its layers. */
  readonly layout: string;
}

/** Rejects with SANDBOX_… when this system refuses what is needed; nothing is left then. */
export async function startAgent(options: AgentOptions): Promise<RunAgent> {
  const { stateDirectory, layersDirectory, clock } = options;
  const directory = await openRun(stateDirectory);
  const images = new Map<string, RunImage>();
  const find = (name: string): RunImage => {
    const found = images.get(name);
    if (found === undefined) throw new Error(`there is no image ${name}`);
    return found;
  };
  try {
    const runtime = await createSandboxRuntime({
      name: "project",
      directory: join(directory, "sandbox"),
      layersDirectory,
      images: {
        resolve: async (name) => find(name).image,
        openLayer: async ({ reference }, digest) =>
          (await ImageLayout.open(find(reference).layout)).openBlob(digest),
      },
      clock,
    });
    return {
      runtime,
      images,
      remove: async () => {
        await runtime.close();
        await rm(directory, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}
