/** Compose files for checks: read and built without Docker, started on the engine of the run. */
import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { type Clock, SlipwayError, systemCode } from "@slipway/base";
import type { ComposeRunner } from "../observe/compose-run.ts";
import { completedFor, variablesOf } from "../readiness/readiness.ts";
import type { ImageBuild } from "./images.ts";
import type { LoadedProject } from "./load.ts";
import { checkNames } from "./names.ts";

export interface ComposeRunnerOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** What the images are built with; its registry client is closed here. */
  readonly buildOf: (loaded: LoadedProject) => Promise<ImageBuild>;
}

export function composeRunner({ env, clock, signal, buildOf }: ComposeRunnerOptions): ComposeRunner {
  return {
    async up({ paths, profiles, readyMs, readyWhen = {} }, engine, { asked, onVariables }) {
      const { loadProject } = await import("./load.ts");
      const { hasDockerCompose, loadWithDocker } = await import("./docker-config.ts");
      const { buildProject } = await import("./images.ts");
      const { bringUp, upError } = await import("./run.ts");
      const [first = "."] = paths;
      const isFolder = paths.length === 1 && (await isDirectory(first));
      // On Docker's own engine its plugin says what the file means, where there is one.
      const load = engine.name === "docker" && (await hasDockerCompose(env)) ? loadWithDocker : loadProject;
      const loaded = await load({
        cwd: isFolder ? first : dirname(first),
        env,
        ...(profiles.length === 0 ? {} : { profiles }),
        ...(isFolder ? {} : { files: paths }),
      });
      const { services, inactive } = loaded.project;
      const said = Object.entries(readyWhen).map(([service, { place }]) => ({ service, place }));
      checkNames(
        [...said, ...asked],
        services.map(({ name }) => name),
        inactive,
      );
      const build = await buildOf(loaded);
      const built = await buildProject(loaded.project, build).finally(() => build.registry.close());
      for (const { environment } of built.services) onVariables(environment);
      for (const variables of variablesOf(readyWhen)) onVariables(variables);
      const completed = completedFor(readyWhen, built.services);
      const project = await engine.createProject({
        // Another run of the same file may go on beside this one.
        name: `${built.name}-${process.pid}`,
        // Checks ask from inside; a port of this machine would only be in somebody's way.
        services: built.services.map((service) => ({ ...service, published: [] })),
      });
      try {
        const result = await bringUp(project, { clock, signal, deadlineMs: readyMs, readyWhen: completed });
        if (result.kind === "failed") throw upError(result);
        return project;
      } catch (error) {
        await project.remove();
        throw error;
      }
    },
  };
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (systemCode(error) !== "ENOENT") throw error;
    throw new SlipwayError({
      code: "VERIFY_COMPOSE_MISSING",
      where: path,
      message: "there is no such Compose file or folder",
      hint: "Correct the path in describeCompose; it is relative to the spec file.",
      exitCode: 2,
    });
  }
}
