/**
 * A Compose file as `docker compose` understands it: where that plugin is installed, it reads the files itself
 * (`docker compose config --format json`), and what it makes of them is the document.
 *
 * Source: docker compose 2.20, `docker compose config --help`.
 */
import { dirname, resolve } from "node:path";
import { exec, SlipwayError } from "@slipway/base";
import type { LoadedProject, LoadOptions } from "./load.ts";
import { defaultName, readProject } from "./project.ts";
import { parseTree } from "./tree.ts";

const SHOWN = "docker compose config";

/** Whether the plugin is there. */
export async function hasDockerCompose(env: NodeJS.ProcessEnv): Promise<boolean> {
  try {
    return (await exec(["docker", "compose", "version"], { env })).exitCode === 0;
  } catch (error) {
    if (error instanceof SlipwayError && error.code === "EXEC_NOT_FOUND") return false;
    throw error;
  }
}

/** The same as `loadProject`; rejects with COMPOSE_INVALID (exit 2) and the plugin's own words. */
export async function loadWithDocker(
  options: Pick<LoadOptions, "cwd" | "files" | "profiles" | "projectName"> & {
    readonly env: NodeJS.ProcessEnv;
  },
): Promise<LoadedProject> {
  const { cwd, env, files = [], profiles = [], projectName } = options;
  const command = [
    ...["docker", "compose"],
    ...files.flatMap((file) => ["--file", resolve(cwd, file)]),
    ...profiles.flatMap((profile) => ["--profile", profile]),
    ...(projectName === undefined ? [] : ["--project-name", projectName]),
    ...["config", "--format", "json"],
  ];
  const { exitCode, stdout, stderr } = await exec(command, { cwd, env });
  if (exitCode !== 0) {
    throw new SlipwayError({
      code: "COMPOSE_INVALID",
      where: files[0] ?? cwd,
      message: stderr.trim() || `docker compose config ended with ${exitCode}`,
      hint: "docker compose config shows the same.",
      exitCode: 2,
    });
  }
  const [first] = files;
  const directory = first === undefined ? cwd : dirname(resolve(cwd, first));
  const project = readProject(parseTree(stdout, SHOWN, directory), {
    // It has left out what is not active, and names those that are only with their profiles.
    profiles: ["*"],
    name: projectName ?? defaultName(directory),
  });
  const warnings = stderr.split("\n").flatMap((line) => /level=warning msg="(.*)"$/.exec(line)?.[1] ?? []);
  return { project, directory, files: files.map((file) => resolve(cwd, file)), warnings };
}
