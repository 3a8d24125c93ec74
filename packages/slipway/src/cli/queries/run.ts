import { type CommandDeclaration, dryRunOption } from "../command.ts";
import { askingOptions } from "./options.ts";

export const command: CommandDeclaration = {
  summary: "run a named query over the requests that were stored",
  description:
    "Runs it where the environment's requests are: in the local world, in the collectors of its clusters (each answers for\nitself: percentiles of several cannot be made into one), or in BigQuery.",
  arguments: [{ flags: "<name>", description: "name of the query; `slipway queries list` tells them" }],
  options: [
    { flags: "--param <name=value>", description: "value of a parameter (several)", repeatable: true },
    ...askingOptions,
    dryRunOption,
  ],
  examples: [
    "slipway queries run response-times",
    "slipway queries run slowest-routes --param from=-24h --param service=web",
    "slipway queries run budget --env production --on bigquery --dry-run",
  ],
  onlyPrints: true,
  async run(context, input) {
    const { findQuery, loadQueries } = await import("../../observe/queries/load.ts");
    const { resolveParameters } = await import("../../observe/queries/parameters.ts");
    const { openProject } = await import("../project.ts");
    const { textOption } = await import("../command.ts");
    const { queryPlaces } = await import("./place.ts");
    const { ask, givenParameters } = await import("./asking.ts");
    const project = await openProject(context, input);
    const query = findQuery(await loadQueries(project.config.root), input.arguments[0] ?? "");
    const parameters = resolveParameters(query, givenParameters(input), context.clock.now());
    return ask(
      context,
      input,
      await queryPlaces(context, project, textOption(input, "on")),
      query,
      parameters,
    );
  },
};
