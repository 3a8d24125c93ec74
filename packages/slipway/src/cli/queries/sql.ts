import { type CommandDeclaration, dryRunOption } from "../command.ts";
import { askingOptions } from "./options.ts";

export const command: CommandDeclaration = {
  summary: "run one SELECT of your own over the requests that were stored",
  description:
    "One statement, a SELECT, read-only, with a limit on rows, time and memory. The views are requests (without health checks,\neach request once), access (all that was logged), logs, quarantine and releases.",
  arguments: [{ flags: "<select>", description: "the statement" }],
  options: [...askingOptions, dryRunOption],
  examples: ['slipway queries sql "SELECT release, count(*) FROM requests GROUP BY release"'],
  onlyPrints: true,
  async run(context, input) {
    const { openProject } = await import("../project.ts");
    const { textOption } = await import("../command.ts");
    const { queryPlaces } = await import("./place.ts");
    const { ask } = await import("./asking.ts");
    const project = await openProject(context, input);
    const sql = input.arguments[0] ?? "";
    const query = {
      name: "sql",
      title: "",
      about: "",
      parameters: {},
      chart: undefined,
      schedule: undefined,
      threshold: undefined,
      sql: { duckdb: sql, bigquery: sql },
      file: "sql",
    };
    return ask(context, input, await queryPlaces(context, project, textOption(input, "on")), query, {});
  },
};
