import { type CommandDeclaration, isSet } from "../command.ts";

export const command: CommandDeclaration = {
  summary: "show the resolved configuration and where each value comes from",
  examples: ["slipway config show", "slipway config show --env production"],
  onlyPrints: true,
  async run(context, input) {
    const { openProject } = await import("../project.ts");
    const { redact, renderConfig } = await import("../../config/show.ts");
    const { resolved } = await openProject(context, input);
    if (isSet(input, "json"))
      context.write(
        `${JSON.stringify({ config: redact(resolved.config), sources: Object.fromEntries(resolved.sources) })}\n`,
      );
    else context.write(`${renderConfig(resolved)}\n`);
    return 0;
  },
};
