import type { AlertsAnswer } from "../server/api.ts";
import { type CommandDeclaration, isSet } from "./command.ts";

export const command: CommandDeclaration = {
  summary: "show what is wrong, what is muted, and which rules watch",
  description:
    "Shows the incidents of the local world: what is open, with its numbers, top routes and failed requests; what is muted; what\nis over; and the rules that watch. Ends with 1 while something is open.",
  examples: ["slipway alerts", "slipway alerts --json"],
  onlyPrints: true,
  async run(context, input) {
    const { askObserver } = await import("./alerts/ask.ts");
    const { renderAlerts } = await import("./alerts/render.ts");
    const answer = await askObserver<AlertsAnswer>(context, input, "alerts");
    context.write(
      isSet(input, "json") ? `${JSON.stringify(answer)}\n` : renderAlerts(answer, context.clock.now()),
    );
    return answer.open.length === 0 ? 0 : 1;
  },
};
