import { type CommandDeclaration, deployOptions, isSet, textOption } from "./command.ts";

export const command: CommandDeclaration = {
  summary: "deploy the pushed images, wave by wave",
  description:
    "Applies the manifests with the pushed images to the clusters, wave by wave, and judges each. When one fails, it says why and goes back.",
  options: [
    { flags: "--plan <file>", description: "carry out a plan of slipway plan --out, exactly or not at all" },
    { flags: "--resume", description: "go on with the release that was cut off, without git or a build" },
    ...deployOptions,
  ],
  examples: [
    "slipway deploy",
    "slipway deploy --dry-run",
    "slipway deploy --plan release.plan",
    "slipway deploy --resume",
  ],
  async run(context, input) {
    const { ensureWorld, openProject, requireWorld, shippableVersion } = await import("./project.ts");
    const { outputOf, readBuild } = await import("./steps.ts");
    const { deployFrozen, deployStep } = await import("./deploy-step.ts");
    const { readPlanFile, refuseBesidePlan } = await import("./frozen-plan-file.ts");
    const file = textOption(input, "plan");
    if (isSet(input, "resume")) {
      if (file !== undefined) throw await bothAsked();
      const { resumeStep } = await import("./resume-step.ts");
      return resumeStep(
        context,
        input,
        await openProject(context, input),
        outputOf(context, isSet(input, "json")),
      );
    }
    const frozen = file === undefined ? undefined : await readPlanFile(context, file);
    if (file !== undefined && frozen !== undefined) refuseBesidePlan(input, file, frozen);
    const environment = textOption(input, "env") ?? frozen?.environment;
    const project = await openProject(context, { ...input, options: { ...input.options, env: environment } });
    const output = outputOf(context, isSet(input, "json"));
    if (frozen !== undefined) {
      const world = project.config.isLocal ? await requireWorld(project) : undefined;
      return deployFrozen(context, input, project, frozen, world, output);
    }
    const record = await readBuild(
      project,
      await shippableVersion(context, input, project.config),
      context.env,
    );
    // A dry run starts nothing: without a running world there is nothing to plan against.
    const openWorld = () =>
      isSet(input, "dryRun") ? requireWorld(project) : ensureWorld(project, output.say, context.signal);
    const world = project.config.isLocal ? await openWorld() : undefined;
    return deployStep(context, input, project, record, world, output);
  },
};

async function bothAsked(): Promise<Error> {
  const { SlipwayError } = await import("@slipway/base");
  return new SlipwayError({
    code: "USAGE_RESUME",
    where: "deploy",
    message: "--resume goes on with what is stored in the clusters, --plan carries out a file; not both",
    hint: "Leave one of them out.",
    exitCode: 2,
  });
}
