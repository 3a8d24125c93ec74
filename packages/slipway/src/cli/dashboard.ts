import { type CommandDeclaration, isSet, listOption, textOption } from "./command.ts";

export const command: CommandDeclaration = {
  summary: "serve the dashboard of an environment",
  description:
    "Serves the pages on this machine until Ctrl-C and prints a link that signs in. Clusters are reached as every other\ncommand reaches them. Listens on loopback unless told otherwise.",
  options: [
    { flags: "--port <number>", description: "port; 0 takes a free one", default: "0" },
    { flags: "--host <address>", description: "address to listen on", default: "127.0.0.1" },
    {
      flags: "--name <host>",
      description: "a name under which it is reached, beside localhost and addresses (several)",
      repeatable: true,
    },
    { flags: "--open", description: "open it in the browser" },
  ],
  examples: ["slipway dashboard", "slipway dashboard --env production --open"],
  async run(context, input) {
    const { serveDashboard } = await import("./serve-dashboard.ts");
    return serveDashboard(context, input, {
      port: textOption(input, "port") ?? "0",
      host: textOption(input, "host") ?? "127.0.0.1",
      names: listOption(input, "name"),
      opens: isSet(input, "open"),
    });
  },
};
