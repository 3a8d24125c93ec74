import { builderOption, type CommandDeclaration, dryRunOption, isSet } from "./command.ts";

export const command: CommandDeclaration = {
  summary: "build or fetch the images",
  description:
    "Makes every image of the configuration: from its Dockerfile (with an engine that answers, or without one), a Node service, a reference, an archive or a command. The result is a digest.",
  options: [
    { flags: "--allow-dirty", description: "build uncommitted changes for an environment that is not local" },
    builderOption,
    { flags: "--push", description: "push what was built, as slipway push would" },
    dryRunOption,
  ],
  examples: ["slipway build", "slipway build --builder slipway", "slipway build --json"],
  async run(context, input) {
    const { openProject, shippableSources } = await import("./project.ts");
    const { builderOf } = await import("./builder.ts");
    const builder = builderOf(context, input);
    const project = await openProject(context, input);
    // git looks while the rest is loaded.
    const looking = shippableSources(context, input, project.config);
    looking.catch(() => {}); // thrown where it is awaited
    const { buildStep, outputOf, pushedAhead, pushStep } = await import("./steps.ts");
    const output = outputOf(context, isSet(input, "json"));
    if (isSet(input, "dryRun")) {
      const { versionTag } = await import("./git.ts");
      const tag = versionTag((await looking).version);
      for (const image of project.config.images) {
        output.emit({
          step: "build",
          kind: "would-build",
          image: image.name,
          from: image.from,
          tag,
        });
        output.say(`would build ${image.name}:${tag} from ${image.from.kind}`);
      }
      return 0;
    }
    const ahead = isSet(input, "push") ? pushedAhead(context, project) : undefined;
    const built = await buildStep(context, project, looking, output, builder, ahead);
    if (!isSet(input, "push")) return 0;
    const { requireWorld } = await import("./project.ts");
    const { needsWorld } = await import("./compose.ts");
    const world = needsWorld(project.config) ? await requireWorld(project) : undefined;
    await pushStep(context, project, built, world, output, ahead);
    return 0;
  },
};
