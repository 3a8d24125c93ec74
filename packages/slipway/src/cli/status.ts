import { type CommandDeclaration, isSet } from "./command.ts";

export const command: CommandDeclaration = {
  summary: "show what runs in each cluster, and an interrupted release",
  examples: ["slipway status", "slipway status --env production --json"],
  async run(context, input) {
    const { openProject } = await import("./project.ts");
    const { releaseContextOf, targetsOf } = await import("./compose.ts");
    const { status } = await import("../release/release.ts");
    const { renderStatus } = await import("../release/text.ts");
    const project = await openProject(context, input);
    const report = await status(releaseContextOf(context, project, await targetsOf(context, project)));
    context.write(isSet(input, "json") ? `${JSON.stringify(report)}\n` : `${renderStatus(report)}\n`);
    return 0;
  },
};
