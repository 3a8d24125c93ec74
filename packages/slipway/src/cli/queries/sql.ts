import { type CommandDeclaration, dryRunOption } from "../command.ts";
import { askingOptions } from "./options.ts";

export const command: CommandDeclaration = {
  summary: "run one SELECT of your own over the requests that were stored",
  description:
    "One statement, a SELECT, read-only, with a limit on rows, time and memory. The views are requests (without health checks,\neach request once), access (all that was logged), logs, quarantine and releases. What it names as $service (on BigQuery\n@service) is a parameter; $from and $to are times, by default the last hour, and on BigQuery it must name both.",
  arguments: [{ flags: "<select>", description: "the statement" }],
  options: [
    { flags: "--param <name=value>", description: "value of a parameter (several)", repeatable: true },
    ...askingOptions,
    dryRunOption,
  ],
  examples: [
    'slipway queries sql "SELECT release, count(*) FROM requests GROUP BY release"',
    'slipway queries sql --on bigquery "SELECT COUNT(*) FROM requests WHERE ts >= @from AND ts < @to" --param from=-6h',
  ],
  onlyPrints: true,
  async run(context, input) {
    const { openProject } = await import("../project.ts");
    const { textOption } = await import("../command.ts");
    const { queryPlaces } = await import("./place.ts");
    const { resolveParameters } = await import("../../observe/queries/parameters.ts");
    const { adHocQuery } = await import("./ad-hoc.ts");
    const { ask, givenParameters } = await import("./asking.ts");
    const project = await openProject(context, input);
    const places = await queryPlaces(context, project, textOption(input, "on"));
    const query = adHocQuery(places[0]?.place.dialect ?? "duckdb", input.arguments[0] ?? "");
    const parameters = resolveParameters(query, givenParameters(input), context.clock.now());
    return ask(context, input, places, query, parameters);
  },
};
