import { type CommandDeclaration, isSet } from "../command.ts";

export const command: CommandDeclaration = {
  summary: "list the named queries: the team's own and those that come with Slipway",
  description:
    "Files of queries/ beside slipway.config.ts come first; one with the name of one of Slipway's takes its place.",
  examples: ["slipway queries list", "slipway queries list --json"],
  onlyPrints: true,
  async run(context, input) {
    const { renderError, renderTable } = await import("@slipway/base");
    const { loadQueries } = await import("../../observe/queries/load.ts");
    const { openProject } = await import("../project.ts");
    const { config } = await openProject(context, input);
    const { queries, problems } = await loadQueries(config.root);
    if (isSet(input, "json")) {
      const listed = queries.map(({ name, title, file, schedule, sql }) => ({
        name,
        title,
        file,
        dialects: Object.keys(sql),
        schedule,
      }));
      context.write(
        `${JSON.stringify({ queries: listed, problems: problems.map((problem) => problem.toJSON()) })}\n`,
      );
    } else {
      const rows = queries.map(({ name, title, schedule, file }) => [
        name,
        title,
        schedule === undefined ? "" : `${schedule.cron} ${schedule.timeZone}`,
        file.startsWith("slipway/") ? "" : file,
      ]);
      context.write(`${renderTable([["name", "title", "schedule", "file"], ...rows])}\n`);
      for (const problem of problems) context.writeError(`${renderError(problem)}\n`);
    }
    return problems.length === 0 ? 0 : 2;
  },
};
