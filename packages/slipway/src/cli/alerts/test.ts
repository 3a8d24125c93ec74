import { type CommandDeclaration, isSet } from "../command.ts";

export const command: CommandDeclaration = {
  summary: "send an incident that is none, and say whether it arrived",
  description: "Sends it the way that real ones go. Ends with 1 when it did not arrive within 15 seconds.",
  examples: ["slipway alerts test"],
  async run(context, input) {
    const { openAlerts } = await import("./ask.ts");
    const answer = await (await openAlerts(context, input)).test();
    context.write(isSet(input, "json") ? `${JSON.stringify(answer)}\n` : `${answer.text}\n`);
    return answer.delivered ? 0 : 1;
  },
};
