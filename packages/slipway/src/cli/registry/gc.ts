import { type CommandDeclaration, dryRunOption, isSet, textOption } from "../command.ts";

export const command: CommandDeclaration = {
  summary: "delete images of the local registry that nothing needs",
  description:
    "Drops tags by the rules of local.registry.retention, then deletes what no tag and no release needs any more. What is in\nthe release history of a cluster, or runs in one, stays: every release that can be gone back to keeps its images.",
  options: [
    {
      flags: "--grace <duration>",
      description: "leave what is younger, for pushes that are going on",
      default: "1h",
    },
    dryRunOption,
  ],
  examples: ["slipway registry gc --dry-run", "slipway registry gc --grace 10m"],
  async run(context, input) {
    const { parseDuration } = await import("@slipway/base");
    const { openProject, requireWorld } = await import("../project.ts");
    const { needsOf, tidiedText } = await import("./tidy.ts");
    const { ImageLayout } = await import("../../images/layout.ts");
    const { removeFiles } = await import("../../images/old-builds.ts");
    const { tidyRegistry } = await import("../../images/registry/tidy.ts");
    const project = await openProject(context, input);
    const { localRegistry } = project.config;
    const graceMs = parseDuration(textOption(input, "grace") ?? "1h", "--grace");
    const needs = await needsOf(project, await requireWorld(project));
    const isDryRun = isSet(input, "dryRun");
    const layout = await ImageLayout.open(project.paths.images, { clock: context.clock });
    const tidied = await tidyRegistry(layout, {
      ruleOf: (repository) => localRegistry.retentionOf[repository] ?? localRegistry.retention,
      needs,
      now: context.clock.now(),
      graceMs,
      isDryRun,
    });
    // The clusters' unpacked copies of what no image has any more.
    if (!isDryRun) await removeFiles(tidied.swept, { directory: project.paths.layers });
    context.write(
      isSet(input, "json")
        ? `${JSON.stringify({ ...tidied, dryRun: isDryRun, needed: [...needs.digests].length })}\n`
        : `${tidiedText(tidied, needs, isDryRun)}\n`,
    );
    return 0;
  },
};
