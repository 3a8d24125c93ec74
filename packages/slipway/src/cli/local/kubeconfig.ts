import { readFile } from "node:fs/promises";
import { type CommandDeclaration, isSet } from "../command.ts";

export const command: CommandDeclaration = {
  summary: "print the path of a kubeconfig for the local clusters",
  options: [{ flags: "--raw", description: "print its content instead" }],
  examples: ["export KUBECONFIG=$(slipway local kubeconfig)", "kubectl --context osaka get pods"],
  onlyPrints: true,
  async run(context, input) {
    const { openProject, requireWorld } = await import("../project.ts");
    const project = await openProject(context, input);
    const state = await requireWorld(project);
    const path = project.paths.kubeconfig;
    if (isSet(input, "raw")) context.write(await readFile(path, "utf8"));
    else
      context.write(
        isSet(input, "json")
          ? `${JSON.stringify({ path, contexts: state.clusters.map(({ name }) => name) })}\n`
          : `${path}\n`,
      );
    return 0;
  },
};
