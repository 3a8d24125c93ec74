import { type CommandDeclaration, isSet, listOption, textOption } from "./command.ts";

export const command: CommandDeclaration = {
  summary: "open the dashboard of an environment",
  description:
    "Prints a link that signs in. Of the local world the dashboard is served as long as the world runs; for other clusters\nit is served here until Ctrl-C, and they are reached as every other command reaches them. SLIPWAY_DASHBOARD_TOKEN chooses\nthe token, so that a page that is open outlives a restart.",
  options: [
    { flags: "--port <number>", description: "port; default: a free one" },
    { flags: "--host <address>", description: "address to listen on; default: 127.0.0.1" },
    {
      flags: "--name <host>",
      description: "a name under which it is reached, beside localhost and addresses (several)",
      repeatable: true,
    },
    { flags: "--open", description: "open it in the browser" },
  ],
  runsUntilStopped: true,
  examples: ["slipway dashboard", "slipway dashboard --env production --open"],
  async run(context, input) {
    const { serveDashboard } = await import("./serve-dashboard.ts");
    return serveDashboard(context, input, {
      port: textOption(input, "port"),
      host: textOption(input, "host"),
      names: listOption(input, "name"),
      opens: isSet(input, "open"),
    });
  },
};
