import { allowDirtyOption, type CommandDeclaration, isSet, planOptions } from "./command.ts";

export const command: CommandDeclaration = {
  summary: "show what a deploy would change in each cluster",
  description:
    "Tries every object in every cluster by a server-side dry run and shows the difference. Changes nothing. Values of\nSecrets are never shown. Then what the release does around them: hooks, waves, bakes, gates, and what a failure or a\ncluster that does not answer means. Exit code 0, or that of the first refusal.",
  options: [
    { flags: "--out <file>", description: "keep the plan in a file, for slipway deploy --plan" },
    {
      flags: "--detailed-exitcode",
      description: "exit with 5 when something would change, and with 3 when a cluster could not be asked",
    },
    { flags: "--full", description: "every field of objects that are created, too" },
    ...planOptions,
    allowDirtyOption,
  ],
  examples: [
    "slipway plan",
    "slipway plan --env production --detailed-exitcode",
    "slipway plan --out release.plan",
  ],
  async run(context, input) {
    const { openProject, requireWorld, shippableVersion } = await import("./project.ts");
    const { outputOf, readBuild } = await import("./steps.ts");
    const { planStep } = await import("./plan-step.ts");
    const project = await openProject(context, input);
    const output = outputOf(context, isSet(input, "json"));
    const record = await readBuild(
      project,
      await shippableVersion(context, input, project.config),
      context.env,
    );
    const world = project.config.isLocal ? await requireWorld(project) : undefined;
    return planStep(context, input, project, record, world, output);
  },
};
