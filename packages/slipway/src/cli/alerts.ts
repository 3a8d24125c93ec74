import { type CommandDeclaration, isSet } from "./command.ts";

export const command: CommandDeclaration = {
  summary: "show what is wrong, what is muted, and which rules watch",
  description:
    "Shows the incidents of the local world, or of each cluster as its collector sees them: what is open, with its numbers, top\nroutes and failed requests; what is muted; what is over; and the rules that watch. Ends with 1 while something is open, with 3\nwhen a cluster could not be asked.",
  examples: ["slipway alerts", "slipway alerts --env production --json"],
  onlyPrints: true,
  async run(context, input) {
    const { openAlerts } = await import("./alerts/ask.ts");
    const { renderAlerts } = await import("./alerts/render.ts");
    const { answer, unasked } = await (await openAlerts(context, input)).list();
    for (const { cluster, reason } of unasked)
      context.writeError(`${cluster}: alerts cannot be asked for: ${reason}\n`);
    const names = unasked.map(({ cluster }) => cluster);
    context.write(
      isSet(input, "json") ? `${JSON.stringify(answer)}\n` : renderAlerts(answer, context.clock.now(), names),
    );
    if (answer.open.length > 0) return 1;
    return unasked.length > 0 ? 3 : 0;
  },
};
