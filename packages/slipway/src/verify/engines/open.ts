/** Which engine the containers of checks run on; opened only when a check needs one. */
import { join } from "node:path";
import { type Clock, SlipwayError } from "@slipway/base";
import type { Engine, Unseen } from "./engine.ts";

export const ENGINES = ["auto", "sandbox", "docker", "podman", "none"] as const;
export type EngineChoice = (typeof ENGINES)[number];

export interface EngineOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  /** `.slipway` of the project: the sandbox keeps its runs and its unpacked layers there. */
  readonly folder: string;
}

/**
 * `auto` takes the sandbox where it works, because it needs no copy of the image; then Docker, then Podman; and says why
 * when there is none. One that is asked for by name and does not answer is an error (exit 3). Undefined: nothing runs.
 */
export function engineOpener(
  choice: EngineChoice,
  options: EngineOptions,
): (() => Promise<Engine | Unseen>) | undefined {
  if (choice === "none") return undefined;
  if (choice === "sandbox") return () => openSandbox(options);
  if (choice !== "auto") return () => openDocker(choice, options);
  return async () => {
    const reasons: string[] = [];
    for (const open of [
      () => openSandbox(options),
      () => openDocker("docker", options),
      () => openDocker("podman", options),
    ]) {
      try {
        return await open();
      } catch (error) {
        if (!(error instanceof SlipwayError)) throw error;
        reasons.push(error.message);
      }
    }
    return {
      unseen: `nothing runs here: ${reasons.join("; ")}`,
      remedy: "Run it on Linux, or where a Docker or Podman engine answers.",
    };
  };
}

async function openSandbox({ clock, folder }: EngineOptions): Promise<Engine> {
  const { createSandboxEngine, sandboxRefusal } = await import("./sandbox/engine.ts");
  const refusal = await sandboxRefusal();
  if (refusal !== undefined) {
    throw new SlipwayError({
      code: "ENGINE_SANDBOX_REFUSED",
      where: "--engine sandbox",
      message: `the sandbox does not work here: ${refusal.message}`,
      hint: refusal instanceof SlipwayError ? refusal.hint : undefined,
      cause: refusal,
      exitCode: 3,
    });
  }
  return createSandboxEngine({
    stateDirectory: join(folder, "verify"),
    layersDirectory: join(folder, "layers"),
    clock,
  });
}

async function openDocker(kind: "docker" | "podman", { clock, env }: EngineOptions): Promise<Engine> {
  const { connect } = await import("./docker/connect.ts");
  const connection = await connect(kind, env);
  if (connection === undefined) {
    throw new SlipwayError({
      code: "ENGINE_MISSING",
      where: `--engine ${kind}`,
      message: `no ${kind === "docker" ? "Docker" : "Podman"} engine answers`,
      hint: "Start it, or name it with DOCKER_HOST or CONTAINER_HOST; --engine sandbox needs none.",
      exitCode: 3,
    });
  }
  const { dockerEngine } = await import("./docker/docker.ts");
  const { hostLook } = await import("./docker/host-look.ts");
  return dockerEngine({ connection, clock, look: hostLook });
}
