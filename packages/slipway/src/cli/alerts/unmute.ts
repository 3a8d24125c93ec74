import { type CommandDeclaration, isSet } from "../command.ts";

export const command: CommandDeclaration = {
  summary: "end a mute",
  arguments: [{ flags: "<what>", description: "the rule's name or incident's id that was muted" }],
  examples: ["slipway alerts unmute availability"],
  async run(context, input) {
    const { whoAmI } = await import("../../config/who-am-i.ts");
    const { openAlerts } = await import("./ask.ts");
    const [id = ""] = input.arguments;
    const alerts = await openAlerts(context, input);
    await alerts.mute({ id, forMs: 0, reason: "", who: whoAmI(context.env) });
    const { answer } = await alerts.list();
    context.write(isSet(input, "json") ? `${JSON.stringify(answer)}\n` : `${id} is not muted\n`);
    return 0;
  },
};
