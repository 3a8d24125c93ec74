import {
  builderOption,
  type CliContext,
  type CommandDeclaration,
  type CommandInput,
  dryRunOption,
  isSet,
} from "./command.ts";
import type { Project } from "./project.ts";

export const command: CommandDeclaration = {
  summary: "build or fetch the images",
  description:
    "Makes every image of the configuration: from its Dockerfile (with an engine that answers, or without one), a Node service, a reference, an archive or a command. The result is a digest.\nWith --watch it stays and does so again at each change; the configuration counts as it was at the start, and a change of it is told.",
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
    if (!isSet(input, "watch") || isSet(input, "dryRun")) return build(context, input, project);
    const { outputOf } = await import("./steps.ts");
    const { sameConfig, unfinishedIndex, watchedSources } = await import("./build-watch.ts");
    const { headLog, indexFile, stayWithGit } = await import("./git.ts");
    const { runOnChange } = await import("./run-on-change.ts");
    const { root, images } = project.config;
    // git would lock its index to write down what it saw, and the `git checkout` of a person would fail (git-status, Background Refresh).
    const beside = { ...context, env: { ...context.env, GIT_OPTIONAL_LOCKS: "0" } };
    const git = await stayWithGit(root, beside.env);
    const [log, index] = await Promise.all([headLog(root, beside.env), indexFile(root, beside.env)]);
    const config = sameConfig(root, project.resolved.file);
    const watched = () => [...watchedSources(images, log), ...unfinishedIndex(index), { path: config.path }];
    return runOnChange(context, outputOf(context, isSet(input, "json")), watched, () => {
      config.check();
      return build(beside, input, project);
    }).finally(git.close);
  },
};

async function build(context: CliContext, input: CommandInput, project: Project): Promise<number> {
  const { shippableSources } = await import("./project.ts");
  const { builderOf } = await import("./builder.ts");
  const builder = builderOf(context, input);
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
}
