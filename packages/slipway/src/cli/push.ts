import { type CommandDeclaration, dryRunOption, isSet } from "./command.ts";

export const command: CommandDeclaration = {
  summary: "push the built images to the registry",
  isBrokenOff: true,
  options: [
    { flags: "--allow-dirty", description: "push uncommitted changes to an environment that is not local" },
    dryRunOption,
  ],
  examples: ["slipway push"],
  async run(context, input) {
    const { openProject, requireWorld, shippableVersion } = await import("./project.ts");
    const { outputOf, pushStep, readBuild } = await import("./steps.ts");
    const { needsWorld, registryPrefix } = await import("./compose.ts");
    const project = await openProject(context, input);
    const output = outputOf(context, isSet(input, "json"));
    const record = await readBuild(
      project,
      await shippableVersion(context, input, project.config),
      context.env,
    );
    const world = needsWorld(project.config) ? await requireWorld(project) : undefined;
    if (isSet(input, "dryRun")) {
      for (const { name, digest } of record.images) {
        output.emit({
          step: "push",
          kind: "would-push",
          image: name,
          digest,
          to: registryPrefix(project.config, world),
        });
        output.say(`would push ${name} ${digest} to ${registryPrefix(project.config, world)}`);
      }
      return 0;
    }
    await pushStep(context, project, record, world, output);
    return 0;
  },
};
