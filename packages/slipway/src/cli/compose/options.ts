/** What the commands of a Compose project have in common: which files, and where its state lies. */
import { join } from "node:path";
import type { LoadedProject } from "../../verify/compose/load.ts";
import {
  type CliContext,
  type CommandInput,
  listOption,
  type OptionDeclaration,
  optionWords,
  textOption,
} from "../command.ts";

export const fileOptions: readonly OptionDeclaration[] = [
  {
    flags: "-f, --file <file>",
    description: "a Compose file; later ones lie over earlier ones (default: compose.yaml, here or above)",
    repeatable: true,
  },
  { flags: "--profile <name>", description: "also the services of this profile", repeatable: true },
  { flags: "-p, --project-name <name>", description: "instead of the file's name, or the folder's" },
];

export async function loadComposeProject(context: CliContext, input: CommandInput): Promise<LoadedProject> {
  const { loadProject } = await import("../../verify/compose/load.ts");
  return loadProject({
    cwd: context.cwd,
    env: context.env,
    files: listOption(input, "file"),
    profiles: listOption(input, "profile"),
    projectName: textOption(input, "projectName"),
  });
}

/** The words that load the same project again, in another process. */
export function composeWords(input: CommandInput): readonly string[] {
  const projectName = textOption(input, "projectName");
  return [
    ...optionWords(input, ["config", "env"]),
    ...listOption(input, "file").flatMap((file) => ["--file", file]),
    ...listOption(input, "profile").flatMap((profile) => ["--profile", profile]),
    ...(projectName === undefined ? [] : ["--project-name", projectName]),
  ];
}

/** Below `.slipway/` beside the Compose file. Layers are shared with the local clusters of the same folder. */
export function composePaths({ directory, project }: LoadedProject) {
  const root = join(directory, ".slipway");
  return {
    root,
    layout: join(root, "compose", "layout"),
    runs: join(root, "compose", "runs", project.name),
    /** What an `up -d` of this project says in the background. */
    log: join(root, "compose", `${project.name}.log`),
    errors: join(root, "compose", `${project.name}.err`),
    layers: join(root, "layers"),
  };
}
