import { type CommandDeclaration, deployOptions, isSet } from "./command.ts";

export const command: CommandDeclaration = {
  summary: "deploy the pushed images, wave by wave",
  description:
    "Applies the manifests with the pushed images to the clusters, wave by wave, and judges each. When one fails, it says why and goes back.",
  options: deployOptions,
  examples: ["slipway deploy", "slipway deploy --dry-run", "slipway deploy --wait 5m"],
  async run(context, input) {
    const { ensureWorld, openProject, requireWorld, shippableVersion } = await import("./project.ts");
    const { outputOf, readBuild } = await import("./steps.ts");
    const { deployStep } = await import("./deploy-step.ts");
    const project = await openProject(context, input);
    const output = outputOf(context, isSet(input, "json"));
    const record = await readBuild(project, await shippableVersion(context, input, project.config));
    // A dry run starts nothing: without a running world there is nothing to plan against.
    const openWorld = () =>
      isSet(input, "dryRun") ? requireWorld(project) : ensureWorld(project, output.say);
    const world = project.config.isLocal ? await openWorld() : undefined;
    return deployStep(context, input, project, record, world, output);
  },
};
