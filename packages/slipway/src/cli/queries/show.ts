import { type CommandDeclaration, isSet } from "../command.ts";

export const command: CommandDeclaration = {
  summary: "show a named query: what it is about, its parameters, its SQL",
  arguments: [{ flags: "<name>", description: "name of the query" }],
  examples: ["slipway queries show response-times"],
  onlyPrints: true,
  async run(context, input) {
    const { renderTable } = await import("@slipway/base");
    const { findQuery, loadQueries } = await import("../../observe/queries/load.ts");
    const { openProject } = await import("../project.ts");
    const { config } = await openProject(context, input);
    const query = findQuery(await loadQueries(config.root), input.arguments[0] ?? "");
    if (isSet(input, "json")) {
      context.write(`${JSON.stringify(query)}\n`);
      return 0;
    }
    const parameters = Object.entries(query.parameters).map(([name, parameter]) => [
      `--param ${name}=`,
      parameter.type,
      parameter.default === undefined ? "needed" : `default ${JSON.stringify(parameter.default)}`,
    ]);
    const parts = [
      `${query.title}${query.about === "" ? "" : `\n${query.about}`}`,
      ...(parameters.length === 0 ? [] : [renderTable(parameters)]),
      ...Object.entries(query.sql).map(([dialect, sql]) => `-- ${dialect}\n${sql}`),
    ];
    context.write(`${parts.join("\n\n")}\n`);
    return 0;
  },
};
