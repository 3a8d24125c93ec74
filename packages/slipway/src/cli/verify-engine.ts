/** Which engine the containers of checks run on; opened only when a check needs one. */
import { join } from "node:path";
import { SlipwayError } from "@slipway/base";
import type { Engine, Unseen } from "../verify/engines/engine.ts";
import type { CliContext } from "./command.ts";
import type { Project } from "./project.ts";

export const ENGINES = ["auto", "sandbox", "docker", "podman", "none"] as const;
export type EngineChoice = (typeof ENGINES)[number];

export function engineChoice(text: string | undefined): EngineChoice {
  const found = ENGINES.find((one) => one === (text ?? "auto"));
  if (found !== undefined) return found;
  throw new SlipwayError({
    code: "USAGE_ENGINE",
    where: `--engine ${text}`,
    message: `should be one of ${ENGINES.join(", ")}`,
    exitCode: 2,
  });
}

/**
 * `auto` takes the sandbox where it works, because it needs no copy of the image; then Docker, then Podman; and says why
 * when there is none. One that is asked for by name and does not answer is an error (exit 3). Undefined: nothing runs.
 */
export function engineOpener(
  choice: EngineChoice,
  context: CliContext,
  project: Pick<Project, "paths">,
): (() => Promise<Engine | Unseen>) | undefined {
  if (choice === "none") return undefined;
  if (choice === "sandbox") return () => openSandbox(context, project);
  if (choice !== "auto") return () => openDocker(choice, context);
  return async () => {
    const reasons: string[] = [];
    for (const open of [
      () => openSandbox(context, project),
      () => openDocker("docker", context),
      () => openDocker("podman", context),
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

async function openSandbox(context: CliContext, { paths }: Pick<Project, "paths">): Promise<Engine> {
  const { createSandboxEngine, sandboxRefusal } = await import("../verify/engines/sandbox/engine.ts");
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
    stateDirectory: join(paths.root, "verify"),
    layersDirectory: paths.layers,
    clock: context.clock,
  });
}

async function openDocker(kind: "docker" | "podman", context: CliContext): Promise<Engine> {
  const { connect } = await import("../verify/engines/docker/connect.ts");
  const connection = await connect(kind, context.env);
  if (connection === undefined) {
    throw new SlipwayError({
      code: "ENGINE_MISSING",
      where: `--engine ${kind}`,
      message: `no ${kind === "docker" ? "Docker" : "Podman"} engine answers`,
      hint: "Start it, or name it with DOCKER_HOST or CONTAINER_HOST; --engine sandbox needs none.",
      exitCode: 3,
    });
  }
  const { dockerEngine } = await import("../verify/engines/docker/docker.ts");
  const { hostLook } = await import("../verify/engines/docker/host-look.ts");
  return dockerEngine({
    connection,
    clock: context.clock,
    look: hostLook,
  });
}
