import { type CommandDeclaration, isSet } from "./command.ts";

export const command: CommandDeclaration = {
  summary: "show what runs in each cluster, whether it is well, and what was changed by hand",
  description:
    "For each cluster: the release, its health, and every field that differs from what the release applied, with whoever\nowns it now (from managedFields). Also who is releasing, and an interrupted release. Reads only.",
  options: [
    { flags: "-w, --watch", description: "show it again whenever it changes, until Ctrl-C" },
    {
      flags: "--exit-code",
      description:
        "0 only when every cluster runs a release and is well; 1 when one does not, 3 when one cannot be asked, 4 when one is still on its way",
    },
  ],
  examples: [
    "slipway status",
    "slipway status --watch",
    "slipway status --exit-code > status.txt",
    "slipway status --env production --json",
  ],
  onlyPrints: true,
  async run(context, input) {
    const { openProject } = await import("./project.ts");
    const { releaseContextOf, targetsOf } = await import("./compose.ts");
    const { status } = await import("../release/release.ts");
    const { statusExitCode } = await import("../release/status/status.ts");
    const { renderStatus } = await import("../release/text.ts");
    const project = await openProject(context, input);
    const release = releaseContextOf(context, project, await targetsOf(context, project));
    const isJson = isSet(input, "json");
    // What is drawn in place has no room for it.
    const tellsSlow = context.isTerminal && !isJson && !isSet(input, "watch");
    const onSlow = (cluster: string): void =>
      context.writeError(`waiting for ${cluster}, which does not answer yet\n`);
    let exitCode = 0;
    const show = async (): Promise<string> => {
      const report = await status(release, { onSlow: tellsSlow ? onSlow : undefined });
      if (isSet(input, "exitCode")) exitCode = statusExitCode(report);
      return isJson ? `${JSON.stringify(report)}\n` : `${renderStatus(report, context.clock.now())}\n`;
    };
    if (!isSet(input, "watch")) {
      context.write(await show());
      return exitCode;
    }
    const { watchStatus } = await import("./watch-status.ts");
    await watchStatus(context, release, { show, redraws: context.isTerminal && !isJson });
    return exitCode;
  },
};
