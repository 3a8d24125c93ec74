import { type CommandDeclaration, isSet } from "./command.ts";

export const command: CommandDeclaration = {
  summary: "list the releases, newest first",
  description: "Lists the releases as the clusters hold them; any one of them can answer.",
  examples: ["slipway history", "slipway history --json"],
  async run(context, input) {
    const { openProject } = await import("./project.ts");
    const { releaseContextOf, targetsOf } = await import("./compose.ts");
    const { history } = await import("../release/release.ts");
    const { renderHistory } = await import("../release/text.ts");
    const project = await openProject(context, input);
    const records = await history(releaseContextOf(context, project, await targetsOf(context, project)));
    context.write(
      isSet(input, "json")
        ? `${JSON.stringify(records)}\n`
        : `${renderHistory(records, context.clock.now())}\n`,
    );
    return 0;
  },
};
