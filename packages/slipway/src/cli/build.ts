import {
  builderOption,
  type CliContext,
  type CommandDeclaration,
  type CommandInput,
  dryRunOption,
  isSet,
} from "./command.ts";
import type { Project, Sources } from "./project.ts";

export const command: CommandDeclaration = {
  summary: "build or fetch the images",
  description:
    "Makes every image of the configuration: from its Dockerfile (with an engine that answers, or without one), a Node service, a reference, an archive or a command. The result is a digest.\nWith --watch it stays and does so again at each change; the configuration counts as it was at the start, and a change of it is told. The same build that is asked for in another terminal is then answered by it.",
  isBrokenOff: true,
  options: [
    { flags: "--allow-dirty", description: "build uncommitted changes for an environment that is not local" },
    builderOption,
    { flags: "--push", description: "push what was built, as slipway push would" },
    { flags: "--watch", description: "build again when what the images are made from changes, until Ctrl-C" },
    dryRunOption,
  ],
  examples: ["slipway build", "slipway build --builder slipway", "slipway build --push --watch"],
  async run(context, input) {
    const { openProject } = await import("./project.ts");
    const project = await openProject(context, input);
    if (!isSet(input, "watch") || isSet(input, "dryRun")) {
      const { shippableSources } = await import("./project.ts");
      // git looks while the rest is loaded.
      return build(context, input, project, noticed(shippableSources(context, input, project.config)));
    }
    const { watchAndBuild } = await import("./watching-build.ts");
    return watchAndBuild(context, input, project, (beside, looking) =>
      build(beside, input, project, looking),
    );
  },
};

/** A rejection counts where it is awaited. */
function noticed<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

async function build(
  context: CliContext,
  input: CommandInput,
  project: Project,
  looking: Promise<Sources>,
): Promise<number> {
  const { builderOf } = await import("./builder.ts");
  const builder = builderOf(context, input);
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
}
