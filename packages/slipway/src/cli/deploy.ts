import { type CommandDeclaration, dryRunOption, isSet } from "./command.ts";

export const command: CommandDeclaration = {
  summary: "deploy the pushed images, wave by wave",
  description:
    "Applies the manifests with the pushed images to the clusters, wave by wave, and judges each. When one fails, it says why and goes back.",
  options: [
    { flags: "--allow-dirty", description: "deploy uncommitted changes to an environment that is not local" },
    { flags: "--allow-held", description: "deploy although a rollback has put these images on hold" },
    {
      flags: "--skip-unreachable",
      description: "go on without clusters that cannot be reached; the release cannot become healthy then",
    },
    { flags: "--message <text>", description: "shown to whoever meets the lock" },
    { flags: "--wait <duration>", description: "wait this long for a lock that somebody holds" },
    dryRunOption,
  ],
  examples: ["slipway deploy", "slipway deploy --dry-run", "slipway deploy --wait 5m"],
  async run(context, input) {
    const { ensureWorld, openProject, shippableVersion } = await import("./project.ts");
    const { outputOf, readBuild } = await import("./steps.ts");
    const { deployStep } = await import("./deploy-step.ts");
    const project = await openProject(context, input);
    const output = outputOf(context, isSet(input, "json"));
    const record = await readBuild(project, await shippableVersion(context, input, project.config));
    const world = project.config.isLocal ? await ensureWorld(project, output.say) : undefined;
    return deployStep(context, input, project, record, world, output);
  },
};
