import { type CommandDeclaration, dryRunOption, isSet } from "./command.ts";

export const command: CommandDeclaration = {
  summary: "lift a freeze, and free a lock that a dead process left",
  description:
    "Lifts your own freeze and frees a lock whose process is gone (that one frees itself within 30 s, too). With --force also\nsomebody else's freeze, and the lock of a release that is going on, which then stops at its next step.",
  options: [
    { flags: "--force", description: "also somebody else's freeze, and a lock that is in use" },
    dryRunOption,
  ],
  examples: ["slipway unlock", "slipway unlock --force"],
  async run(context, input) {
    const { openProject } = await import("./project.ts");
    const { releaseContextOf, targetsOf } = await import("./compose.ts");
    const { unlock } = await import("../release/lock/freeze.ts");
    const project = await openProject(context, input);
    const release = releaseContextOf(context, project, await targetsOf(context, project));
    const isDryRun = isSet(input, "dryRun");
    const clusters = await unlock(release, { force: isSet(input, "force"), dryRun: isDryRun });
    if (isSet(input, "json")) context.write(`${JSON.stringify({ clusters })}\n`);
    else {
      for (const { cluster, did, failed } of clusters) {
        const would = isDryRun && did !== undefined ? "would: " : "";
        context.write(`${cluster}: ${failed ?? `${would}${did ?? "nothing to unlock"}`}\n`);
      }
    }
    return clusters.some(({ failed }) => failed !== undefined) ? 1 : 0;
  },
};
